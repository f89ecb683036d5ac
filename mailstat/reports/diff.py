"""What changed between two times, in outcome and in volume: biggest first, and whether it may be chance."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from math import erfc, sqrt
from typing import TYPE_CHECKING, NamedTuple

from mailstat.report import Column, Report, ReportError, Section, grouped

if TYPE_CHECKING:
    from mailstat.log import Log

NAME = "diff"
HELP = "what changed between two periods: outcome by provider, reason and domain, volume; what may be chance"
DESCRIPTION = (
    "The outcome of deliveries in two periods: the share that each status and reason has of all the deliveries to a"
    " provider, or to a domain, in both, biggest change first; and the volume. A period is a day (2026-01-05, "
    "today, yesterday) or FROM..TO with moments as in --since. p is the chance that shares as different as these "
    "come of one and the same source (two-sided z-test of two proportions; changes that may well be chance, p >= "
    "0.01, are left out unless --all is given). A host that runs many tests sees some changes that are none: at "
    "0.01 one in a hundred. The volume is that of each measure of timeline, and of the messages to each provider "
    "and domain and of each sender (a message counts once, however many its recipients and attempts are), by the "
    "hour, so that periods of different length can be compared; of a period that is not over, or of which the log "
    "has a part only, it is that of the part. What is 1.5 times as much or as little at least is told, where p "
    "(two-sided exact test of two Poisson rates) is below 0.01; with --all, everything is. Mail comes in bursts, "
    "and more of it by day than by night, of which no test knows: compare like with like."
)
SIGNIFICANT = 0.01
HOUR = 3600.0
SLIP = 0.05  # of a period, of which the log need not tell
Span = tuple[float, float]
LEAST = 5  # deliveries of a kind in both periods together, below which the test says nothing
GROUPS = {"provider": "destination(direction, provider)", "domain": "domain(recipient)", "all": "'(all)'"}
COLUMNS = (
    Column("status"),
    Column("reason"),
    Column("before", "number"),
    Column("after", "number"),
    Column("share_before", "percent"),
    Column("share_after", "percent"),
    Column("change", "percent"),
    Column("p", "number"),
    Column("example"),
)
COUNTED = """
WITH told AS (
    SELECT {label} AS label, status, CASE WHEN status = 'sent' THEN NULL ELSE why(reason) END AS reason,
        reply, number,
        epoch(time) >= $first AND epoch(time) < $first_end AS is_before,
        epoch(time) >= $second AND epoch(time) < $second_end AS is_after
    FROM deliveries()
), counted AS (
    SELECT label, status, reason, count(*) FILTER (is_before) AS before, count(*) FILTER (is_after) AS after,
        arg_max(reply, number) FILTER (is_before OR is_after) AS example
    FROM told GROUP BY label, status, reason
)
SELECT label, status, reason, before, after, CAST(sum(before) OVER (PARTITION BY label) AS BIGINT),
    CAST(sum(after) OVER (PARTITION BY label) AS BIGINT), example
FROM counted ORDER BY label, status, reason"""


class Change(NamedTuple):
    """Deliveries of one kind, and all of the same destination, before and after."""

    label: str | None
    status: str
    reason: str | None
    before: int
    after: int
    all_before: int
    all_after: int
    example: str | None

    @property
    def shares(self) -> tuple[float, float]:
        """Of the deliveries to the destination, before and after."""
        return self.before / (self.all_before or 1), self.after / (self.all_after or 1)

    @property
    def chance(self) -> float | None:
        """The p-value of a two-sided z-test of two proportions, pooled; None where it cannot tell."""
        return chance(self.before, self.all_before, self.after, self.all_after)


def add_arguments(parser: ArgumentParser) -> None:
    """The periods, which stand before the files."""
    parser.add_argument("first", metavar="PERIOD", help="the one before, as 2026-01-05, yesterday, or FROM..TO")
    parser.add_argument("second", metavar="PERIOD", help="the one after")
    parser.add_argument("--all", action="store_true", help="changes that may be chance too")


def make(log: Log, options: Namespace) -> Report:
    """Count both, and compare. Raises ReportError where a period is none."""
    from mailstat import volume  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.engine import left_out, table  # noqa: PLC0415

    periods = [period(text, options) for text in (options.first, options.second)]
    (first, first_end), (second, second_end) = periods
    times = {"first": first, "first_end": first_end, "second": second, "second_end": second_end}
    questions = {name: COUNTED.format(label=label) for name, label in GROUPS.items()}
    with table(log, options, [*questions.values(), *volume.questions().values()]) as events:
        found = {name: [Change(*row) for row in events.ask(sql, times)] for name, sql in questions.items()}
        told = [told_of(of, events.span, options.now) for of in periods]
        volumes = volume.section(
            events, times, before=_hours(told[0]), after=_hours(told[1]), is_complete=options.all
        )
    log.notes += _silences(options, found["all"])
    for text, of, part in zip((options.first, options.second), periods, told, strict=True):
        log.notes += _parts(text, of, part, options)
    sections = [_section(name, found[name], is_complete=options.all) for name in ("provider", "domain", "all")]
    log.notes += left_out([volumes], options)
    return Report(NAME, f"From {options.first} to {options.second}", [*sections, volumes])


def told_of(period: Span, log: Span | None, now: float) -> Span | None:
    """The part of a period that is over and of which the log tells: all that is over where it tells of nearly all, or
    ended before, for then there was nothing; None where it begins later."""
    first, last = _over(period, now)
    if log is None or log[1] <= first:
        return first, last
    if log[0] >= last:
        return None
    slip = (last - first) * SLIP
    return log[0] if log[0] - first > slip else first, log[1] if last - log[1] > slip else last


def _over(period: Span, now: float) -> Span:
    return period[0], min(period[1], now) if now > period[0] else period[1]


def _hours(span: Span | None) -> float | None:
    return max(span[1] - span[0], 1.0) / HOUR if span else None


def _parts(text: str, period: Span, told: Span | None, options: Namespace) -> Iterator[str]:
    """That a log tells of a part of a period only, which the rates are of, or of none."""
    from mailstat.cell import clock_time, duration  # noqa: PLC0415

    if told is None:
        yield f"{text}: the log begins later, so no volume can be compared"
        return
    rest = f"so rates an hour are of the {duration(told[1] - told[0])} that it has"
    for edge, was, verb in zip(told, _over(period, options.now), ("begins", "ends"), strict=True):
        if edge != was:
            yield f"{text}: the log {verb} at {clock_time(edge, options.zone)}, {rest}"


def _silences(options: Namespace, changes: list[Change]) -> Iterator[str]:
    """Of a period in which nothing was delivered, no share can be told: that mail has stopped must not look like no
    change."""
    if not sum(change.before for change in changes):
        yield f"{options.first}: the log has no delivery of this period, so no share can be compared"
    if not sum(change.after for change in changes):
        yield f"{options.second}: the log has no delivery of this period, so no share can be compared"


def period(text: str, options: Namespace) -> tuple[float, float]:
    """Where a period begins and ends. Raises ReportError."""
    from mailstat.period import read_time  # noqa: PLC0415

    begin, dots, end = text.partition("..")
    try:
        first = read_time(begin, now=options.now, zone=options.zone)
        last = read_time(end, now=options.now, zone=options.zone) if dots else _next_day(first, options)
    except ValueError as error:
        raise ReportError(f"{text}: {error}") from None
    if first >= last:
        raise ReportError(f"{text}: a period ends after it begins")
    return first, last


def chance(before: int, all_before: int, after: int, all_after: int) -> float | None:
    """The two-sided p-value of a z-test of two proportions with their pooled variance."""
    if not all_before or not all_after or before + after < LEAST:
        return None
    pooled = (before + after) / (all_before + all_after)
    deviation = sqrt(pooled * (1 - pooled) * (1 / all_before + 1 / all_after))
    if not deviation:
        return None
    return erfc(abs(before / all_before - after / all_after) / deviation / sqrt(2))


def _next_day(first: float, options: Namespace) -> float:
    """A day is as long as it is where people live: 23, 24 or 25 hours."""
    from datetime import datetime, timedelta  # noqa: PLC0415

    return (datetime.fromtimestamp(first, options.zone) + timedelta(days=1)).timestamp()


def _section(name: str, changes: list[Change], *, is_complete: bool) -> Section:
    shown = [
        change
        for change in changes
        if change.before + change.after
        and (is_complete or (change.chance is not None and change.chance < SIGNIFICANT))
    ]
    shown.sort(key=lambda change: -abs(change.shares[1] - change.shares[0]) * (change.all_before + change.all_after))
    rows = [
        (
            change.label,
            change.status,
            change.reason,
            change.before,
            change.after,
            *change.shares,
            change.shares[1] - change.shares[0],
            change.chance,
            change.example,
        )
        for change in shown
    ]
    return Section(f"By {name}" if name != "all" else "All together", (grouped(name), *COLUMNS), rows)
