"""How tests read one message of a log, without the file around it."""

from __future__ import annotations

from parsers.events import Event, Origin
from parsers.reader import understand


def read(message: str, origin: Origin) -> Event | None:
    """The event of a message; None where it is of no use. Raises ValueError for what is malformed or unknown."""
    outcome, event = understand(message, 1.0, origin)
    if outcome not in ("parsed", "ignored"):
        raise ValueError(outcome)
    return event
