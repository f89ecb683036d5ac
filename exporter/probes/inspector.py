"""Looks at our domains and servers from outside when it is time, and at what receivers wrote on mail that arrived."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from exporter.metrics.probe import Seen, collect_inspections
from exporter.probes.dns.verdict import Verdict
from exporter.probes.placement import look, verify
from exporter.probes.schedule import starts
from parsers.signature import Signatures

if TYPE_CHECKING:
    from exporter.config import Config
    from exporter.probes.dns.world import World
    from exporter.probes.end import LogEnds
    from exporter.probes.estate import Negative, Posture
    from exporter.probes.negative import Attempted
    from exporter.probes.posture import Findings
    from exporter.probes.section import Probe

logger = logging.getLogger(__name__)

_FIRST_SECONDS = 5.0  # within which the first look after a start is
_VERIFYING = 4  # signatures at a time
_VERIFY_SECONDS = 20.0
_LOCAL_PART = re.compile(r"[^\s<>@]{1,64}@")


Due = TypeVar("Due", "Posture", "Negative")


class Inspector(Collector):
    """Runs postures and negative probes, and reads mail that arrived. `signatures` are what logs tell of those who
    sign; of mail that arrived they are added. `now` gives seconds since the epoch."""

    def __init__(
        self, config: Config, signatures: Signatures | None = None, now: Callable[[], float] = time.time
    ) -> None:
        self.seen = Seen()
        self._signatures = signatures or Signatures()
        self._now = now
        self._looked_at: dict[str, list[str]] = {}
        self._changed = asyncio.Event()
        self._verifying: set[asyncio.Task[None]] = set()
        self._world: World | None = None
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Go on with this configuration; what is known of names that stay is kept."""
        self._config = config
        self._world = None
        self._probes: dict[str, Probe] = {probe.name: probe for probe in config.probes}
        self._postures: dict[str, Posture] = {it.name: it for it in config.posture}
        self._negatives: dict[str, Negative] = {it.name: it for it in config.negative}
        self._signatures.watch(it.domain for it in config.posture)
        _keep(self._looked_at, self._postures)
        _keep(self.seen.findings, self._postures)
        _keep(self.seen.refusals, self._negatives)
        _keep(self.seen.placements, self._probes)
        _keep(self.seen.own_signature, self._probes)
        self._changed.set()

    @property
    def world(self) -> World:
        """Through what the checks look; made when it is needed first. Raises ImportError without the extra."""
        if self._world is None:
            from exporter.probes.dns.resolver import Resolver  # noqa: PLC0415 - an extra
            from exporter.probes.dns.world import World  # noqa: PLC0415 - an extra

            self._world = World(resolver=Resolver(self._config.resolver))
        return self._world

    async def run(self) -> None:
        """Look at what is due, until cancelled; begin anew when the configuration changes."""
        while True:
            self._changed.clear()
            postures = self._postures.values()
            tasks = [asyncio.create_task(_repeated(it, self.examine, self._has_news)) for it in postures]
            tasks += [asyncio.create_task(_repeated(it, self.attempt)) for it in self._negatives.values()]
            try:
                await self._changed.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def examine(self, posture: Posture, *, is_told: bool = True) -> Findings:
        """Look at a domain now; log what changed where that is to be told."""
        await asyncio.to_thread(_load)
        from exporter.probes.posture import examine  # noqa: PLC0415 - an extra

        selectors = self._looked_at[posture.name] = self.selectors(posture.domain)
        findings = await examine(posture, self.world, selectors)
        before = self.seen.findings.get(posture.name)
        if is_told:
            _tell(posture.name, before.checks if before else {}, findings.checks)
            _tell(posture.name, before.zones if before else {}, findings.zones)
        self.seen.findings[posture.name] = findings
        return findings

    def selectors(self, domain: str) -> list[str]:
        """Those that probes sign with for a domain, and those seen of it, in logs or on mail that arrived."""
        keys = [it.send.dkim for it in self._probes.values() if it.send.dkim]
        own = [key.selector.lower() for key in keys if key.domain.lower() == domain.lower()]
        return [*own, *self._signatures.selectors(domain, self._now())]

    def _has_news(self, posture: Posture) -> bool:
        """Whether mail is signed with a selector that was not looked at: a new key, which the DNS may not have."""
        return not {*self.selectors(posture.domain)} <= {*self._looked_at.get(posture.name, ())}

    async def attempt(self, negative: Negative, *, is_told: bool = True) -> Attempted:
        """Try at a server now what it has to refuse; log what changed where that is to be told."""
        from exporter.probes.negative import attempt  # noqa: PLC0415 - only where it is configured

        attempted = await attempt(negative, self._now)
        if is_told:
            _tell(negative.name, self.seen.refusals.get(negative.name, {}), attempted.verdicts)
        self.seen.refusals[negative.name] = attempted.verdicts
        return attempted

    # --- mail that arrived ---

    def observe_arrival(self, name: str, raw: bytes, _folder: str, arrived: float) -> None:
        """Read what the receiver wrote on a probe's mail."""
        probe = self._probes.get(name)
        if probe is None or probe.arrive is None:
            return
        domain = str(probe.send.dkim.domain if probe.send.dkim else (probe.send.from_ or "").rpartition("@")[2])
        placement = look(raw, probe.arrive.authserv_id, arrived, domain)
        self.seen.placements[name] = placement
        for signature in placement.signatures:
            self._signatures.note(arrived, signature.domain, signature.selector)
        if probe.send.dkim and len(self._verifying) < _VERIFYING:
            task = asyncio.get_running_loop().create_task(self._verify(name, raw, domain))
            self._verifying.add(task)
            task.add_done_callback(self._verifying.discard)

    async def _verify(self, name: str, raw: bytes, domain: str) -> None:
        try:
            from exporter.probes.dns.resolver import Names  # noqa: PLC0415 - an extra

            names = Names(self.world.resolver, _VERIFY_SECONDS)
            result = await asyncio.to_thread(verify, raw, domain, names.txt)
        except ImportError:
            return  # without the extra nobody can ask for the key
        except Exception:
            logger.exception("a signature could not be verified", extra={"probe": name})
            return
        if name in self._probes:
            self.seen.own_signature[name] = result

    # --- a scrape ---

    def describe(self) -> list[Family]:
        """Nothing in advance: registering must not collect."""
        return []

    def collect(self) -> Iterator[Family]:
        """The families of a scrape."""
        yield from collect_inspections(self.seen)


def _load() -> None:
    """Load what the checks need, for some it takes a second. Raises ImportError without the extra."""
    for module in ("checkdmarc.dmarc", "cryptography.x509", "dkim", "exporter.probes.posture"):
        import_module(module)


def _keep(known: dict[str, Any], names: Iterable[str]) -> None:
    for gone in known.keys() - set(names):
        del known[gone]


async def _repeated(
    what: Due, look_at: Callable[[Due], Awaitable[object]], has_news: Callable[[Due], bool] = lambda _: False
) -> None:
    """Look once soon, then each interval, or where there are news a sixtieth of it; spread, so that not all begin at
    once."""
    loop = asyncio.get_running_loop()
    chance = Random()  # noqa: S311 - jitter
    first = next(starts(what.name, min(what.every, _FIRST_SECONDS), loop.time(), chance))
    await asyncio.sleep(first - loop.time())
    while True:
        begin = loop.time()
        try:
            await look_at(what)
        except ImportError as error:
            logger.warning("posture needs more: install mailstat[posture]", extra={"error": str(error)})
            return
        except Exception:
            logger.exception("what is ours could not be looked at", extra={"probe": what.name})
        until = max(begin + what.every * chance.uniform(1, 1.02), loop.time() + 1.0)
        while (left := until - loop.time()) > 0:
            await asyncio.sleep(min(left, what.every / 60))
            if has_news(what):
                break


def _tell(name: str, before: Mapping[str, Verdict], after: Mapping[str, Verdict]) -> None:
    """Log what changed."""
    for check, verdict in after.items():
        known = before.get(check)
        if known is not None and known[:2] == verdict[:2]:
            continue
        text = _LOCAL_PART.sub("…@", verdict.text)
        extra = {"probe": name, "check": check, "reason": verdict.reason, "text": text}
        if verdict.is_valid is False:
            logger.warning("a check failed", extra=extra)
        elif verdict.is_valid is None:
            logger.info("a check cannot tell", extra=extra)
        elif known is not None:
            logger.info("a check is well again", extra=extra)


async def inspect_once(config: Config, name: str, logs: LogEnds) -> tuple[list[str], bool]:
    """Look once at what has this name, for whoever waits: what to show, and whether there is good and nothing bad.
    The selectors that the ends of the logs tell of are looked at as well.

    Raises ImportError without the extra that a posture needs."""
    inspector = Inspector(config, logs.signatures)
    logs.read()
    posture = next((it for it in config.posture if it.name == name), None)
    negative = next((it for it in config.negative if it.name == name), None)
    verdicts: dict[str, Verdict] = {}
    lines: list[str] = []
    if posture:
        findings = await inspector.examine(posture, is_told=False)
        verdicts = {**findings.checks, **findings.zones}
    elif negative:
        attempted = await inspector.attempt(negative, is_told=False)
        lines, verdicts = attempted.dialogue.text().splitlines(), attempted.verdicts
    told = {it.is_valid for it in verdicts.values()}
    return [*lines, *(_line(*it) for it in verdicts.items())], True in told and False not in told


def _line(check: str, verdict: Verdict) -> str:
    word = {True: "good", False: "BAD", None: "?"}[verdict.is_valid]
    text = "".join(char if char.isprintable() else "?" for char in verdict.text)[:500]
    return f"{check:16} {word:5} {verdict.reason}{': ' + text if text else ''}"
