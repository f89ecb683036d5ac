"""What to do about a failure, in a sentence for whoever looks at its dialogue: by its reason (see failure.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.probes.dialogue import Dialogue
    from exporter.probes.failure import Failure

BY_PHASE = {
    ("connect", "timeout"): "The host is down, or a firewall drops what comes: try from another network.",
    ("banner", "timeout"): (
        "The server says nothing. If it wants TLS from the first byte, as on port 465, set `tls: implicit`; else it"
        " may delay or tarpit us."
    ),
    ("arrival", "timeout"): (
        "The server of the mailbox does not answer. If it wants TLS from the first byte, as on port 993 or 995, set"
        " `tls: implicit`."
    ),
    ("dns", "timeout"): "The resolver of this host does not answer: try `getent ahosts` with the name.",
}
BY_REASON = {
    "dns": "Is the name right, and has it an address of this `family`? Try `getent ahosts` with it.",
    "refused": "Nobody listens there: is the port right, and does the server run?",
    "unreachable": "No route leads there from here: see `family` and `source_address`, and the host's own addresses.",
    "timeout": "The server did not answer in time: its log says what it waited for; or `timeout` is too short.",
    "lost": "The server closed the connection without a word: its log says why.",
    "protocol_error": "That is not what such a server says: is the port right, and nothing in between that meddles?",
    "certificate-expired": "Renew the certificate, and have the server read the new one.",
    "certificate-host-mismatch": (
        "Name the server as its certificate does, or for sending set `server_name` to one of the certificate's names."
    ),
    "certificate-not-trusted": (
        "The server has to show the certificates between its own and its authority's; where the authority is your"
        " own, set `ca_file`."
    ),
    "validation-failure": (
        "TLS did not come to be: a port that begins in the clear wants `tls: starttls`; or no version is common to"
        " both."
    ),
    "starttls-not-supported": (
        "Is it the port for submission? Where the server has no TLS by intention, set `tls: opportunistic` or `none`."
    ),
    "plaintext_auth": "The server lost its TLS: set `tls: starttls`, so that this is told as such.",
    "auth_not_offered": (
        "Is it the port for submission, and does the server want TLS before it offers AUTH? Without `auth`, the best"
        " offered mechanism is taken."
    ),
    "auth": "See whether the user name and the password are right, and the account is not locked.",
    "no_secret": "Put the secret there, and let the exporter's user read it.",
    "own_limit": "Probe less often, or another mailbox.",
    "refused_command": "The server's log says more; where it names a folder, see `folders`.",
}


def tell(failure: Failure, dialogue: Dialogue) -> None:
    """Say what failed, and what to try."""
    dialogue.said("--", f"failed at {failure.phase}: {failure.reason}: {failure.text}")
    if what_to_do := hint(failure):
        dialogue.said("--", what_to_do)


def hint(failure: Failure) -> str:
    """What to try; "" where the failure says all that is known."""
    if failure.phase == "arrival" and not failure.reason.startswith("mailbox_"):
        return ""  # its text says where the mail is
    reason = failure.reason.removeprefix("mailbox_")
    if reason == "smtp_auth":
        reason = "auth"
    known = BY_PHASE.get((failure.phase, reason)) or BY_REASON.get(reason)
    if known is None and failure.reply_code:
        return "`mailstat explain` tells what such a reply means, and what to do."
    return known or ""
