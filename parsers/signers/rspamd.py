"""Rspamd, by syslog, in the journal or in its own file: the line of each message, with DKIM_SIGNED among its symbols.

What a stranger wrote stands in the same line, so only the mail of a user who had logged in is believed: before the
user's name, strangers choose the Message-ID alone, in which Rspamd lets no blank be. (`log_format` in rspamd.conf,
insert_sign_results() in plugins/dkim_signing.lua)
"""

from __future__ import annotations

from parsers.events import Event, Origin
from parsers.shape import Grammar, shape
from parsers.signature import Signed, Signer


def signed(time: float, origin: Origin, signatures: str) -> list[Event]:
    """Each of `example.com:s=s2026;example.com:s=e2026;`."""
    pairs = [option.partition(":s=") for option in signatures.split(";")]
    return [Signed(time, origin, domain, selector) for domain, _, selector in pairs if selector]


_LINE = (
    "{_:proxy|task}; rspamd_task_write_log: id: {_: } qid: {_: } ip: {_: } user: {_: } {_}DKIM_SIGNED({_})"
    "{{{signatures}}}{_}"
)
_SAMPLE = (
    "<8ae27d>; proxy; rspamd_task_write_log: id: <1@example.com>, qid: <4dHvRq1ZTPz9sWk>, ip: 192.0.2.7, user: kim,"
    " from: <kim@example.com>, (default: F (no action): [-0.10/15.00] [MIME_GOOD(-0.10){text/plain;},"
    "DKIM_SIGNED(0.00){example.com:s=s2026;},RCVD_COUNT_ZERO(0.00){0;}]), len: 1234, time: 50.1ms"
)
SHAPES = (
    shape(f"{{_}} {_LINE}", _SAMPLE, signed, several=True),
    shape(f"{{_}} <{{_}}>; {_LINE}", f"#4711(rspamd_proxy) {_SAMPLE}", signed, several=True, unkeyed=True),
)
SIGNER = Signer("Rspamd", frozenset({"rspamd"}), Grammar("rspamd", SHAPES, lead=" "))
