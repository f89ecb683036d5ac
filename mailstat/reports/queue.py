"""What waits in the queues of this host, how old it is, for whom and why, and when it will be gone."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from mailstat.interrupt import Interrupt
from mailstat.number import seconds
from mailstat.report import Column, Report, ReportError, Section

if TYPE_CHECKING:
    from exporter.queues.entry import Place
    from exporter.queues.figure import Figures
    from exporter.queues.scan import Scan

NAME = "queue"
HELP = "what waits in the queues of this host: how much, how old, for whom and why, and when it will be gone"
DESCRIPTION = (
    "The queues that this host is found to have, or those of the exporter's configuration: messages by age, "
    "recipients by domain and age, the reasons why they wait. What your user may not read is said. With --watch, a "
    "second look after so many seconds tells whether the queue drains, and when it will be empty if that goes on."
)
READS_LOG = False
DOMAINS = 10_000  # that are told apart
BUDGET = 600.0  # seconds for one queue
TICK = 0.1
INTERRUPTED = 130  # the status of a command that Ctrl-C ended


def add_arguments(parser: ArgumentParser) -> None:
    """Which queues, and how long to look."""
    parser.add_argument("--config", metavar="CONFIG", type=Path, help="the exporter's configuration, for its queues")
    parser.add_argument("--watch", metavar="SECONDS", type=seconds, default=0, help="look again after so long")


def make(options: Namespace) -> Report:
    """Look at each queue. Raises ReportError where there is none, or where none may be read."""
    places = _places(options.config)
    if not places:
        raise ReportError("no queue was found on this host: name one in a configuration file")
    scans = _scan(places)
    if all(found.backlog is None for found in scans):
        raise ReportError("\n".join(f"{found.place.spool}: {found.error}" for found in scans))
    is_over = bool(options.watch) and _wait(options.watch)
    later = _scan(places) if is_over else []
    status = INTERRUPTED if options.watch and not is_over else 0
    return Report(NAME, "Queues", list(_sections(scans, later)), document=_document(scans, later), status=status)


def _wait(seconds: float) -> bool:
    """Wait, and return whether it was to the end, or until Ctrl-C."""
    end = monotonic() + seconds
    with Interrupt() as interrupt:
        while not interrupt.is_set and (left := end - monotonic()) > 0:
            sleep(min(left, TICK))
    return not interrupt.is_set


def _places(config: Path | None) -> Sequence[Place]:
    from exporter.config import ConfigError, load_config  # noqa: PLC0415
    from exporter.queues.place import find_queues, places  # noqa: PLC0415

    if config is None:
        return find_queues()
    try:
        return places(load_config(config).queues) or find_queues()
    except ConfigError as error:
        raise ReportError("\n".join(error.errors)) from None


def _scan(places: Sequence[Place]) -> list[Scan]:
    from exporter.queues.scan import scan  # noqa: PLC0415

    return [scan(place, seconds=BUDGET, domains=DOMAINS) for place in places]


def _sections(scans: list[Scan], later: list[Scan]) -> Iterator[Section]:
    yield Section("", [Column("service"), Column("queue"), *_QUEUE], [*_queues(scans)])
    yield Section(
        "Recipients by domain", [Column("domain"), Column("recipients", "number"), *_ages()], _domains(scans)
    )
    yield Section("Why messages wait", _CAUSE, _causes(scans))
    if later:
        yield Section("Forecast", _FORECAST, [list(row.values()) for row in _forecast(scans, later)])
    errors = [(str(found.place.spool), found.error) for found in scans if found.error]
    if errors:
        yield Section("Not read, or not whole", (Column("spool"), Column("why")), errors)


_QUEUE = (Column("messages", "number"), Column("bytes", "bytes"), Column("oldest", "seconds"))
_CAUSE = (Column("provider"), Column("reason"), Column("messages", "number"))
_FORECAST = (
    Column("service"),
    Column("messages", "number"),
    Column("before", "number"),
    Column("an_hour", "number"),
    Column("empty_in", "seconds"),
)


def _queues(scans: list[Scan]) -> Iterator[list[Any]]:
    for found in scans:
        if found.backlog is None:
            continue
        for queue, it in found.backlog.queues.items():
            yield [found.place.service, queue, it.messages, it.size, _age(it, found.backlog.now)]


def _age(figures: Figures, now: float) -> float | None:
    return None if figures.oldest is None else max(now - figures.oldest, 0.0)


def _ages() -> list[Column]:
    """A column for each age, headed as qshape(1) heads them: minutes, hours, days."""
    from exporter.queues.figure import AGES  # noqa: PLC0415

    return [Column(f"<{_short(age)}", "number") for age in AGES] + [Column(f">{_short(AGES[-1])}", "number")]


def _short(seconds: float) -> str:
    length, unit = next(
        (length, unit) for length, unit in ((86400, "d"), (3600, "h"), (60, "m")) if seconds >= length
    )
    return f"{seconds / length:g}{unit}"


def _domains(scans: list[Scan]) -> list[list[Any]]:
    rows: dict[str, list[int]] = {}
    for found in scans:
        for domain, it in found.backlog.domains.items() if found.backlog else ():
            row = rows.setdefault(domain, [0] * (len(it.ages) + 1))
            row[:] = [old + new for old, new in zip(row, [it.messages, *it.ages], strict=True)]
    return [[domain, *row] for domain, row in sorted(rows.items(), key=lambda item: (-item[1][0], item[0]))]


def _causes(scans: list[Scan]) -> list[list[Any]]:
    from collections import Counter  # noqa: PLC0415

    causes: Counter[tuple[str, str]] = Counter()
    for found in scans:
        causes.update(found.backlog.causes if found.backlog else {})
    return [[*cause, messages] for cause, messages in sorted(causes.items(), key=lambda item: (-item[1], item[0]))]


def _forecast(scans: list[Scan], later: list[Scan]) -> Iterator[dict[str, Any]]:
    """How each queue changed between two looks; `empty_in` is None where it does not shrink."""
    for first, second in zip(scans, later, strict=True):
        if first.backlog is None or second.backlog is None or first.error or second.error:
            continue
        before, messages = first.backlog.messages, second.backlog.messages
        rate = (messages - before) / max(second.backlog.now - first.backlog.now, 1.0)
        yield {
            "service": second.place.service,
            "messages": messages,
            "before": before,
            "an_hour": round(rate * 3600),
            "empty_in": 0.0 if not messages else messages / -rate if rate < 0 else None,
        }


def _document(scans: list[Scan], later: list[Scan]) -> dict[str, Any]:
    names = ("provider", "reason", "messages")
    return {
        "queues": [_queue(found) for found in scans],
        "domains": [{"domain": row[0], "recipients": row[1], "ages": row[2:]} for row in _domains(scans)],
        "causes": [dict(zip(names, row, strict=True)) for row in _causes(scans)],
        "forecast": list(_forecast(scans, later)) if later else [],
    }


def _queue(found: Scan) -> dict[str, Any]:
    names = ("queue", "messages", "bytes", "oldest_seconds")
    return {
        "mta": found.place.mta,
        "service": found.place.service,
        "spool": str(found.place.spool),
        "is_complete": found.error is None,
        "error": found.error,
        "queues": [dict(zip(names, row[1:], strict=True)) for row in _queues([found])],
    }
