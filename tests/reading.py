"""How tests read one message of a log, without the file around it."""

from __future__ import annotations

from parsers.events import Event, Origin
from parsers.reader import understand


def read(message: str, origin: Origin) -> Event | None:
    """The event of a message; None where it is of no use. Raises ValueError for what is malformed or unknown."""
    events = read_all(message, origin)
    assert len(events) < 2
    return events[0] if events else None


def read_all(message: str, origin: Origin) -> list[Event]:
    """The events of a message. Raises ValueError for what is malformed or unknown."""
    outcome, events = understand(message, 1.0, origin)
    if outcome not in ("parsed", "ignored"):
        raise ValueError(outcome)
    return events
