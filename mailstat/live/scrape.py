"""A running exporter's metrics, asked again and again: what was counted between two answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families

from mailstat.live.pulse import LOST, Key, Pulse, Row

SECONDS = 10.0  # between two answers
TIMEOUT = 10.0
LARGEST = 64 << 20  # bytes of an answer
Labels = dict[str, str]
Sample = tuple[str, Labels, float]


class Scrape:
    """Asks `/metrics` into a pulse. `source` says to people who is asked, `error` what is wrong with it."""

    tells_lines = False

    def __init__(self, url: str, *, now: Callable[[], float]) -> None:
        self.pulse = Pulse()
        self.source = url
        self.error = ""
        self._now = now
        self._asked = 0.0
        self._before: dict[tuple[Any, ...], float] | None = None

    async def poll(self) -> bool:
        """Ask, where it is time."""
        if self._now() - self._asked < SECONDS:
            return False
        self._asked = self._now()
        try:
            self.take(await asyncio.to_thread(fetch, self.source), self._asked)
            self.error = ""
        except (OSError, URLError, HTTPException, ValueError) as error:
            self.error = f"{self.source}: {_said(error)}"
        return False

    def close(self) -> None:
        """Nothing is open between two answers."""

    def take(self, text: str, time: float) -> None:
        """Count what an answer has more than the one before. A counter that fell began anew."""
        samples = [
            (sample.name, sample.labels, sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
        more = list(self._more(samples))
        for key, value in counters(more):
            self.pulse.count(time, key, round(value))
        self.pulse.newest = time
        self.pulse.queue = list(queues(samples))

    def _more(self, samples: Sequence[Sample]) -> Iterator[Sample]:
        """The counters, each with what it has more than before; nothing of the first answer."""
        before, self._before = self._before, {}
        for name, labels, value in samples:
            if name.endswith("_total"):
                series = (name, *sorted(labels.items()))
                self._before[series] = value
                old = 0.0 if before is None else before.get(series, 0.0)
                if before is not None and value != old:
                    yield name, labels, value - old if value > old else value


def fetch(url: str) -> str:
    """The answer's text. Raises OSError and what it has below it, and ValueError where it is no answer for us."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("http:// or https:// is needed")
    with urlopen(Request(url), timeout=TIMEOUT) as answer:  # noqa: S310 - looked at above
        body: bytes = answer.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise ValueError("the answer is too long")
    return body.decode("utf-8", "replace")


def _said(error: Exception) -> str:
    """In the words of the system, where they are its."""
    reason = getattr(error, "reason", error)
    return getattr(reason, "strerror", None) or str(error)


def counters(samples: Iterable[Sample]) -> Iterator[tuple[Key, float]]:
    """What each counter says, as a pulse counts it."""
    for name, labels, value in samples:
        status = LOST.get(labels.get("status", ""), labels.get("status", ""))
        if name == "mail_deliveries_total":
            is_local = labels.get("direction") == "local"
            yield ("", "", status), value
            yield ("providers", "local" if is_local else labels.get("provider", "other"), status), value
        elif name == "mail_delivery_failures_total":
            yield ("reasons", labels.get("reason", ""), status), value
            yield ("destinations", labels.get("domain") or labels.get("provider", ""), status), value
        elif name == "mail_connection_errors_total" and labels.get("provider"):  # the others are of clients
            yield ("destinations", labels["provider"], "unreached"), value
        elif name == "mail_rejects_total":
            yield ("", "", "rejects"), value
            yield ("reasons", labels.get("reason", ""), "rejects"), value
        elif name == "mail_messages_received_total":
            yield ("", "", "received"), value
        elif name == "mail_connections_total":
            yield ("", "", "connections"), value
        elif name == "mail_auth_attempts_total":
            is_failure = labels.get("result") == "failure"
            yield ("attackers", f"method {labels.get('method', '')}", "failures" if is_failure else "logins"), value
            if is_failure:
                yield ("", "", "failed logins"), value


def queues(samples: Iterable[Sample]) -> Iterator[Row]:
    """What waits, and the age of the oldest in seconds; what is in flight, and who attacks, as the exporter tells."""
    ages: dict[tuple[str, str], float] = {}
    waiting: dict[tuple[str, str], float] = {}
    for name, labels, value in samples:
        place = (labels.get("service", ""), labels.get("queue", ""))
        if name == "mail_queue_messages":
            waiting[place] = value
        elif name == "mail_queue_oldest_age_seconds":
            ages[place] = value
        elif name == "mail_messages_in_flight":
            yield f"{labels.get('mta', '')}: in flight", (value,)
        elif name == "mail_auth_attackers" and value:
            yield f"attackers: {labels.get('kind', '')}", (value,)
    for (service, queue), value in waiting.items():
        yield f"{service} {queue}", (value, ages.get((service, queue), 0.0))
