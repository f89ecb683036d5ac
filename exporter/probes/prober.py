"""The probes of the configuration, and the running of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from exporter.probes.failure import ProbeError
from exporter.probes.limit import Allowance
from exporter.probes.message import Key
from exporter.probes.run import Outcome, send_probe
from exporter.probes.section import Probe, Send

logger = logging.getLogger(__name__)


class Prober:
    """Runs probes. `now` gives seconds since the epoch."""

    def __init__(self, probes: Iterable[Probe], state_dir: Path | None, now: Callable[[], float] = time.time) -> None:
        self.probes: dict[str, Probe] = {}
        self._now = now
        self._state_dir = state_dir
        self._key: Key | None = None
        self._allowance = Allowance()
        self.configure(probes)

    def configure(self, probes: Iterable[Probe]) -> None:
        """Go on with these probes."""
        self.probes = {probe.name: probe for probe in probes}

    @property
    def key(self) -> Key:
        """The key of the tokens; one for this run alone where it cannot be kept."""
        if self._key is None:
            try:
                self._key = Key.in_folder(self._state_dir)
            except OSError as error:
                logger.warning("the key of the probes cannot be kept", extra={"error": str(error)})
                self._key = Key.in_folder(None)
        return self._key

    async def send(self, probe: Probe, send: Send, seconds: float | None = None) -> Outcome:
        """Run the dialogue of a probe with a server of its own, for whoever asks; the ledger knows nothing of it."""
        return await send_probe(probe, send, self.key, self._now, seconds, lambda _: self._count(send))

    def _count(self, send: Send) -> None:
        to = send.to or ""
        if not self._allowance.has_room(to, self._now()):
            raise ProbeError("own_limit", "so many mails went there in the last hour that this one is not sent")
        self._allowance.note(to, self._now())
