"""Why a delivery failed or a client was refused: the classes of the taxonomy."""

from __future__ import annotations


def reason_of(text: str, reply_code: int | None, dsn: str | None, phase: str | None) -> str:
    """The reason class of a reply or of our own server's words; `unclassified` where nothing tells."""
    return "unclassified"
