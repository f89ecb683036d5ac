"""The mail of a probe: told from all other mail by a token that only we can make.

The token stands in the Message-ID, which every log and mailbox keeps, and in a header of its own: it is the HMAC
of the probe's name and of the id, so that neither can be changed.
"""

from __future__ import annotations

import hmac
import os
import re
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import NamedTuple

from exporter.probes.failure import ProbeError
from exporter.probes.section import Dkim, Send

HEADER = "X-Mailstat-Probe"
_MESSAGE_ID = re.compile(r"mailstat-probe\.([0-9a-f]{16})\.([0-9a-f]{32})@")
_OWN = re.compile(
    rb"^X-Mailstat-Probe:[ \t]{0,9}([A-Za-z0-9_.-]{1,64})[ \t]([0-9a-f]{16})[ \t]([0-9a-f]{32})[ \t]{0,9}\r?$",
    re.MULTILINE | re.IGNORECASE,
)
_HEADERS_LIMIT = 1 << 18  # bytes in which the header has to stand
_FILL = "0123456789abcdef" * 4 + "\r\n"


class Mail(NamedTuple):
    """A mail to send, its id (16 hexadecimal digits) and its Message-ID without angle brackets."""

    id: str
    message_id: str
    raw: bytes


class Key:
    """The secret of the tokens: it never leaves this host."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def in_folder(cls, folder: Path | None) -> Key:
        """The key of a state folder, made where there is none; without a folder one for this run. Raises OSError."""
        if folder is None:
            return cls(os.urandom(32))
        path = folder / "probe.key"
        if not path.exists():
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.touch(mode=0o600)
            fresh.write_bytes(os.urandom(32))
            try:
                os.link(fresh, path)  # unlike a rename it keeps the key that another process made meanwhile
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        return cls(path.read_bytes())

    def token(self, probe: str, mail_id: str) -> str:
        """The token of a mail: 32 hexadecimal digits."""
        return hmac.new(self._secret, f"{probe}\n{mail_id}".encode(), "sha256").hexdigest()[:32]

    def is_ours(self, probe: str, mail_id: str, token: str) -> bool:
        """Whether we made it."""
        return hmac.compare_digest(self.token(probe, mail_id), token)


def compose(probe: str, send: Send, key: Key, mail_id: str, now: float) -> Mail:
    """The mail of a probe at this time, signed where that is asked for. Raises ProbeError where it cannot be."""
    token = key.token(probe, mail_id)
    domain = (send.from_ or "").rpartition("@")[2]
    message_id = f"mailstat-probe.{mail_id}.{token}@{domain}"
    made = EmailMessage()
    made["From"] = send.from_ or ""
    made["To"] = send.to or ""
    made["Subject"] = send.subject
    made["Date"] = format_datetime(datetime.fromtimestamp(now, UTC))
    made["Message-ID"] = f"<{message_id}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody shall answer
    made["X-Auto-Response-Suppress"] = "All"
    made[HEADER] = f"{probe} {mail_id} {token}"
    made.set_content(send.text + "\n", cte="7bit" if send.text.isascii() else "quoted-printable")
    raw = made.as_bytes(policy=made.policy.clone(linesep="\r\n", max_line_length=900))
    missing = max(send.size - len(raw), 0)
    raw += (_FILL * (missing // len(_FILL) + 1)).encode()[: max(missing - 2, 0)]
    raw = raw.rstrip(b"\r\n") + b"\r\n"
    return Mail(mail_id, message_id, _signed(raw, send.dkim) if send.dkim else raw)


def _signed(raw: bytes, how: Dkim) -> bytes:
    try:
        import dkim  # noqa: PLC0415 - an extra
    except ImportError:
        raise ProbeError("internal", "dkim: install mailstat[dkim]") from None
    try:
        signature: bytes = dkim.sign(
            raw, how.selector.encode(), how.domain.encode(), how.key_file.read_bytes(), canonicalize=(b"relaxed",) * 2
        )
    except (OSError, dkim.DKIMException) as error:
        raise ProbeError("internal", f"dkim: {error}") from None
    return signature + raw


def whose(raw: bytes, key: Key) -> tuple[str, str] | None:
    """The probe and the id of a mail of ours; None where it is not, or only pretends to be."""
    end = re.search(rb"\r?\n\r?\n", raw[:_HEADERS_LIMIT])
    for match in _OWN.finditer(raw[: end.start() + 1 if end else _HEADERS_LIMIT]):
        probe, mail_id, token = (part.decode() for part in match.groups())
        if key.is_ours(probe, mail_id, token):
            return probe, mail_id
    return None


def named(message_id: str | None) -> tuple[str, str] | None:
    """The id and the token in a Message-ID that looks like ours."""
    match = _MESSAGE_ID.match(message_id or "", 0)
    return (match[1], match[2]) if match else None


def new_id() -> str:
    """The id of a new mail."""
    return os.urandom(8).hex()
