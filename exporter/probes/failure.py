"""What goes wrong with a probe: the phase it was in and the reason, in words that may be labels.

Reasons are the classes of the taxonomy where a server replied, the result types of RFC 8460 where TLS failed, and
else `timeout`, `refused`, `unreachable`, `lost`, `dns`, `protocol_error`.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from typing import NamedTuple

PHASES = ("dns", "connect", "banner", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "end_of_data", "arrival")

# OpenSSL's X509_V_ERR_…: has expired; the host name, the address differ; what nobody we trust has signed.
_EXPIRED = {9, 10}
_MISMATCH = {62, 64}
_UNTRUSTED = {2, 18, 19, 20, 21, 27}
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EAFNOSUPPORT}
_LOST = {errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}
# Of OpenSSL's reasons, those that tell nothing to who does not know them.
_OPENSSL = {
    "WRONG_VERSION_NUMBER": "what the server says is no TLS (WRONG_VERSION_NUMBER)",
    "RECORD_LAYER_FAILURE": "what the server says is no TLS (RECORD_LAYER_FAILURE)",
}
_ADDRESS = re.compile(r"<?[^\s<>()\[\]:;,\"'@]{1,64}@[\w.\[\]:-]{1,255}>?")


class ProbeError(Exception):
    """A probe failed: `reason` is a label, `text` is for people and may hold what the server said."""

    def __init__(self, reason: str, text: str, reply_code: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.reply_code = reply_code


class Failure(NamedTuple):
    """Where and why it failed; `text` is for people. `queue_id` is of a mail that waits in our own queue."""

    phase: str
    reason: str
    text: str
    reply_code: int | None = None
    queue_id: str | None = None


def without_addresses(text: str) -> str:
    """The text as a log or a page may show it."""
    return _ADDRESS.sub("<address>", text)


def explain(error: BaseException) -> ProbeError:
    """The reason of an error of the network, of TLS or of a deadline."""
    if isinstance(error, ProbeError):
        return error
    if isinstance(error, TimeoutError):
        return ProbeError("timeout", str(error) or "no answer before the deadline")
    if isinstance(error, socket.gaierror | UnicodeError):
        why = getattr(error, "strerror", None) or str(error)
        return ProbeError("dns", f"the name cannot be resolved: {why}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return ProbeError(_certificate_reason(error.verify_code), error.verify_message)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return ProbeError("validation-failure", _OPENSSL.get(reason, reason))
    if isinstance(error, OSError):
        # asyncio adds its own words to the system's.
        is_system = error.errno is not None and error.errno > 0
        return ProbeError(_network_reason(error), os.strerror(error.errno or 0) if is_system else str(error))
    raise error


def _certificate_reason(code: int) -> str:
    if code in _EXPIRED:
        return "certificate-expired"
    if code in _MISMATCH:
        return "certificate-host-mismatch"
    return "certificate-not-trusted" if code in _UNTRUSTED else "validation-failure"


def _network_reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if error.errno == errno.ETIMEDOUT:
        return "timeout"
    return "lost" if error.errno in _LOST else "unreachable"
