"""dkimpy-milter, with `SyslogSuccess yes`: dkimMilter.sign_dkim() in dkimpy_milter/__init__.py."""

from __future__ import annotations

from parsers.shape import Grammar, shape
from parsers.signature import Signed, Signer

SHAPES = (
    shape(
        "{_}: {_:rsa-sha256|ed25519-sha256} DKIM signature added (s={selector} d={domain})",
        "4dHvRq1ZTPz9sWk: ed25519-sha256 DKIM signature added (s=s2026 d=example.com)",
        Signed,
    ),
)
SIGNER = Signer("dkimpy-milter", frozenset({"dkimpy-milter"}), Grammar("dkimpy", SHAPES, lead=": "))
