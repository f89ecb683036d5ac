"""What became of an attempt to deliver, as qmail-lspawn and qmail-rspawn report it and qmail-send logs it.

The words are those of qmail-local.c, qmail-remote.c and the two that run them (qmail-lspawn.c, qmail-rspawn.c). A log
line has no blanks in them: `_` stands for a blank and for what is no printable ASCII, `/` for the end of a line
(logsafe in qsutil.c).
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from parsers.events import Delivery, Origin
from parsers.memo import Memo
from parsers.reason import reason_of
from parsers.reply import read_reply
from parsers.shape import shape

SAID = "Remote_host_said:_"
ACCEPTED = "_accepted_message"
# qmail-send.c adds it to a report of a temporary failure, and takes that for a permanent one.
GAVE_UP = "I'm_not_going_to_try_again;"
REPORTS = 1_000  # texts of failures that are kept: a remote host may make one of them 5 kB long
# What was being done when it failed, in the order of qmail-remote.c and of what its patches add.
PHASES = (
    ("does_not_like_recipient", "rcpt"),
    ("but_sender_was_rejected", "mail"),
    ("failed_after_I_sent_the_message", "end_of_data"),
    ("failed_on_DATA_command", "data"),
    ("Possible_duplicate!", "end_of_data"),
    ("but_greeting_failed", "banner"),
    ("but_my_name_was_rejected", "ehlo"),
    ("TLS_", "starttls"),
    ("authentication_was_rejected", "auth"),
    ("establish_an_SMTP_connection", "connect"),
    ("couldn't_find_any_host", "dns"),
    ("CNAME_lookup_failed", "dns"),
    ("couldn't_find_a_mail_exchanger", "dns"),
    ("listed_as_a_best-preference_MX", "dns"),
)
_PEER = re.compile(
    r"(?:(?:^|[_/])(?P<refusing>[0-9a-fA-F.:]{3,45})_(?:does_not_like_recipient|failed_(?:on|after))"
    r"|(?:Connected_to|connected_to|connecting_to|Giving_up_on)_(?P<named>[0-9a-fA-F.:]{3,45}?)(?:_|\.?/|\.?$))"
)
_NEXT_LINE = re.compile(r"/(?=[2-5]\d\d[ -])")
CODES = {f"{code}{mark}": code for code in range(200, 600) for mark in " -"}
_OWN_DSN = re.compile(r"#([245]\.\d{1,3}\.\d{1,3})")
# What the next hop calls the message now, in the wordings of Postfix and Exim.
_NEXT_ID = re.compile(r"(?:queued as |OK id=)([0-9A-Za-z-]{5,40})")


def read_address(text: str) -> str | None:
    """The last word of a text where it is an IP address (a patch may put a host's name or an address before it)."""
    word = re.split(r"[_/]", text)[-1].strip("[]")
    try:
        return str(ip_address(word))
    except ValueError:
        return None


ADDRESSES: Memo[str, str | None] = Memo(read_address)


def plain(text: str) -> str:
    """A report's text with its blanks back, and on one line."""
    words = text.rstrip("/").replace("_", " ")
    return _NEXT_LINE.sub(" ", words) if "/" in words else words


class Failure(NamedTuple):
    """What the text of a failure tells, whose attempt it ever was."""

    has_expired: bool
    is_remote: bool
    relay_ip: str | None
    phase: str | None
    reply: str
    reply_code: int | None
    dsn: str | None
    reason: str


def read_failure(text: str) -> Failure:
    """The remote host's reply where there was one, else our own words."""
    report, gave_up, _ = text.partition(GAVE_UP)
    own, said, answer = (report or text).partition(SAID)
    reply = plain(answer.partition("/Giving_up_on_")[0] if said else own)
    code, dsn = read_reply(reply)
    number = _OWN_DSN.search(reply)
    dsn = dsn or (number[1] if number else None)
    phase = next((phase for words, phase in PHASES if words in own), None)
    peer = _PEER.search(own)
    ip = ADDRESSES[peer["refusing"] or peer["named"]] if peer else None
    is_remote = bool(ip or phase or said)
    return Failure(bool(gave_up), is_remote, ip, phase, reply, code, dsn, reason_of(reply, code, dsn, phase))


FAILURES: Memo[str, Failure] = Memo(read_failure, most=REPORTS)


def sent(time: float, origin: Origin, queue_id: str, text: str) -> Delivery:
    """A success, locally `did_1+0+0/` (mailboxes, forwards, programs). For `queue_id`, see `attempted`."""
    before, accepted, after = text.partition(ACCEPTED)
    event = Delivery(time, origin, queue_id, None, "sent", "outbound" if accepted else "local")
    if not accepted:
        event.reply = plain(text)
        return event
    event.relay_ip = ADDRESSES[before]
    reply = event.reply = plain(after.partition(SAID)[2])
    event.reply_code = CODES.get(reply[:4])
    if "ed as " in reply or "OK id=" in reply:
        found = _NEXT_ID.search(reply)
        event.new_queue_id = found[1] if found else None
    return event


def failed(time: float, origin: Origin, queue_id: str, status: str, text: str) -> Delivery:
    """A failure for ever, or for now. For `queue_id`, see `attempted`."""
    known = FAILURES[text]
    event = Delivery(
        time,
        origin,
        queue_id,
        None,
        "deferred" if status == "deferral" else "expired" if known.has_expired else "bounced",
        "outbound" if known.is_remote else "local",
    )
    _, _, event.relay_ip, event.phase, event.reply, event.reply_code, event.dsn, event.reason = known
    if known.has_expired:
        event.attempts = 1  # it gives up after a last attempt
    return event


def attempted(time: float, origin: Origin, queue_id: str, status: str, text: str) -> Delivery:
    """The end of an attempt.

    It names neither the message nor the recipient: until `join.Attempts` fills them in, the `queue_id` is the
    attempt's number. Raises ValueError where that is none.
    """
    if not queue_id.replace(".", "", 1).isdecimal():  # IndiMail: number and queue
        raise ValueError(f"no number: {queue_id}")
    return sent(time, origin, queue_id, text) if status == "success" else failed(time, origin, queue_id, status, text)


def mangled(time: float, origin: Origin, queue_id: str, text: str) -> Delivery:
    """A report that qmail-send could not make sense of: it will try again."""
    event = failed(time, origin, queue_id, "deferral", text)
    event.reason = "system_error"
    return event


def cut(time: float, origin: Origin, text: str) -> Delivery:  # noqa: ARG001 - a shape's fields
    """A line that some limit on its length left without what matters. Always raises ValueError."""
    raise ValueError("cut off")


SHAPES = (
    shape(
        "delivery {queue_id}: {status:success|failure|deferral}: {text}[ queue{_}]",
        "delivery 251: success: 192.0.2.25_accepted_message./Remote_host_said:_250_2.0.0_Ok:_queued_as_4dHvRr2ZXR/",
        attempted,
    ),
    shape(
        "delivery {queue_id}: {text:report mangled, will defer}",
        "delivery 252: report mangled, will defer",
        mangled,
    ),
    shape("delivery {text}", "delivery 253: succ", cut, general=True),
)
