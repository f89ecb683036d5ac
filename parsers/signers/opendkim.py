"""OpenDKIM, with `SyslogSuccess yes`: mlfi_eom() in opendkim/opendkim.c."""

from __future__ import annotations

from parsers.shape import Grammar, shape
from parsers.signature import Signed, Signer

SHAPES = (
    shape(
        "{_}: DKIM-Signature field added (s={selector}, d={domain})",
        "4dHvRq1ZTPz9sWk: DKIM-Signature field added (s=s2026, d=example.com)",
        Signed,
    ),
)
SIGNER = Signer("OpenDKIM", frozenset({"opendkim"}), Grammar("opendkim", SHAPES, lead=": "))
