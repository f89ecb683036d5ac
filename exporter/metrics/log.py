"""What is known of the logs themselves: the `mailstat_log_…` metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from prometheus_client.metrics_core import Metric as Family

from exporter.metrics.series import family
from parsers.speaker import Tally


class LogNumbers(Protocol):
    """What a source tells of itself; times in seconds since the epoch."""

    name: str

    @property
    def restarts(self) -> int: ...
    @property
    def tallies(self) -> dict[str, Tally]: ...
    @property
    def read_bytes(self) -> int: ...
    @property
    def rotations(self) -> int: ...
    @property
    def truncations(self) -> int: ...
    @property
    def skipped_bytes(self) -> int: ...
    @property
    def dropped(self) -> int: ...
    @property
    def lag_bytes(self) -> int: ...
    @property
    def lag_seconds(self) -> float: ...
    @property
    def is_up(self) -> bool: ...
    @property
    def last_time(self) -> float: ...


OUTCOMES = ("parsed", "ignored", "unknown", "malformed")


def collect(sources: Sequence[LogNumbers]) -> Iterator[Family]:
    """The families of a scrape."""
    yield family(
        "mailstat_log_lines_total",
        {
            (source.name, mta, outcome): getattr(tally, outcome)
            for source in sources
            for mta, tally in source.tallies.items()
            for outcome in OUTCOMES
        },
    )
    yield family("mailstat_log_read_bytes_total", {(it.name,): it.read_bytes for it in sources})
    yield family("mailstat_log_rotations_total", {(it.name,): it.rotations for it in sources})
    yield family("mailstat_log_truncations_total", {(it.name,): it.truncations for it in sources})
    yield family("mailstat_log_skipped_bytes_total", {(it.name,): it.skipped_bytes for it in sources})
    yield family("mailstat_log_dropped_messages_total", {(it.name,): it.dropped for it in sources})
    yield family("mailstat_log_source_restarts_total", {(it.name,): it.restarts for it in sources})
    yield family("mailstat_log_lag_bytes", {(it.name,): it.lag_bytes for it in sources})
    yield family("mailstat_log_lag_seconds", {(it.name,): it.lag_seconds for it in sources})
    yield family("mailstat_log_source_up", {(it.name,): it.is_up for it in sources})
    yield family(
        "mailstat_log_last_event_timestamp_seconds",
        {(it.name,): it.last_time for it in sources if it.last_time},
    )
