"""amavis, by its usual `$log_templ`: `dkim_new` are the signatures that it made, `dkim_sd` those that it verified.

A sender chooses the Message-ID, which may look like what comes behind it: `dkim_new` is looked for at the end.
"""

from __future__ import annotations

from parsers.events import Event, Origin
from parsers.shape import Grammar, shape
from parsers.signature import Signed, Signer


def signed(time: float, origin: Origin, signatures: str) -> list[Event]:
    """Each of `s2026:example.com,e2026:example.com,`."""
    pairs = [pair.partition(":") for pair in signatures.split(",")]
    return [Signed(time, origin, domain, selector) for selector, _, domain in pairs if domain]


SHAPES = (
    shape(
        "{_} Passed {_>, dkim_new=}{signatures: } {_: } ms",
        "(04711-01) Passed CLEAN {RelayedOutbound}, ORIGINATING LOCAL [192.0.2.7]:40000 <kim@example.com> ->"
        " <lee@example.org>, Message-ID: <1@example.com>, mail_id: 8Vq1nZ, Hits: -0.4, size: 316, queued_as:"
        " 4dHvRq1ZTPz9sWk, dkim_new=s2026:example.com, 235 ms",
        signed,
        several=True,
    ),
)
SIGNER = Signer("amavis", frozenset({"amavis"}), Grammar("amavis", SHAPES, lead=" "))
