"""How many mails a destination gets at most, whatever the configuration says."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

MAILS_PER_HOUR = 120
"""To one address: a probe every half minute. More is no longer a test, for whoever runs the mailbox."""

_HOUR = 3600.0
_ADDRESSES = 10_000


class Allowance:
    """Counts the mails of the last hour by recipient; times are seconds since the epoch."""

    def __init__(self, most: int = MAILS_PER_HOUR) -> None:
        self._most = most
        self._times: dict[str, deque[float]] = {}

    def take(self, address: str, now: float) -> bool:
        """Whether there may be one more; then it is noted."""
        if not self._has_room(address, now):
            return False
        self.note(address, now)
        return True

    def give_back(self, address: str, time: float) -> None:
        """The mail of this time was not sent: what cannot be reached shall fail for that, and not for the limit."""
        times = self._times.get(address.lower())
        if times and time in times:
            times.remove(time)

    def note(self, address: str, time: float) -> None:
        """A mail went there at this time."""
        self._times.setdefault(address.lower(), deque(maxlen=self._most)).append(time)
        if len(self._times) > _ADDRESSES:
            self._times = {key: kept for key, kept in self._times.items() if kept and kept[-1] > time - _HOUR}

    def _has_room(self, address: str, now: float) -> bool:
        times: Iterable[float] = self._times.get(address.lower(), ())
        return sum(now - _HOUR < time <= now for time in times) < self._most
