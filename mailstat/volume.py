"""How much mail there was in two periods, by the hour, and whether the difference may be chance."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, lgamma, log, log1p
from typing import TYPE_CHECKING, Any, NamedTuple

from mailstat.measure import MEASURES, amount
from mailstat.report import Column, Section, grouped

if TYPE_CHECKING:
    from mailstat.database import Table

SIGNIFICANT = 0.01
LEAST = 1.5  # times as much, or as little: mail comes in bursts, and less of a change is soon no chance
MOST = 10_000  # rows of a kind, those that changed most
ALL = "all"
BEFORE = "(epoch(time) >= $first AND epoch(time) < $first_end)"
AFTER = "(epoch(time) >= $second AND epoch(time) < $second_end)"
NAMES = {
    "provider": "destination(direction, provider)",
    "domain": "domain(recipient)",
    "sender": "CASE WHEN sender = '' THEN '<>' ELSE lower(sender) END",
}
# However often it is tried, and to however many: what is one decision of one sender comes once. (A number takes less
# room than what it is made of.)
MESSAGE = "hash(mta, host, coalesce(queue_id, message_id, CAST(number AS VARCHAR)), message_since)"
OF_NAME = f"""
SELECT {{label}} AS label, count(DISTINCT {MESSAGE}) FILTER (WHERE {BEFORE}) AS before,
    count(DISTINCT {MESSAGE}) FILTER (WHERE {AFTER}) AS after, count(*) OVER () AS names
FROM events WHERE kind = 'delivery' AND ({BEFORE} OR {AFTER}) GROUP BY label
ORDER BY abs(after / $hours_after - before / $hours_before) DESC, label LIMIT {MOST}"""  # noqa: S608 - made of its own parts
OF_ALL = "SELECT {counts} FROM events"
COUNT = "CAST(coalesce({amount} FILTER (WHERE ({test}) AND {period}), 0) AS BIGINT)"
COLUMNS = (
    Column("of"),
    grouped("name"),
    Column("before", "number"),
    Column("after", "number"),
    Column("per_hour_before", "number"),
    Column("per_hour_after", "number"),
    Column("times", "number"),
    Column("p", "number"),
)


class Volume(NamedTuple):
    """How much there was of something in two periods of so many hours."""

    of: str
    name: str | None
    before: int
    after: int
    hours_before: float
    hours_after: float

    @property
    def rates(self) -> tuple[float, float]:
        """An hour, before and after."""
        return self.before / self.hours_before, self.after / self.hours_after

    @property
    def times(self) -> float | None:
        """How many times as much it is; None where there was none."""
        return self.after / self.before * (self.hours_before / self.hours_after) if self.before else None

    @property
    def chance(self) -> float | None:
        """The p-value of the rates being one and the same; None where there was nothing."""
        return chance(self.before, self.after, self.hours_after / (self.hours_before + self.hours_after))

    @property
    def is_change(self) -> bool:
        """Whether it is much, and may not be chance."""
        times, p = self.times, self.chance
        return p is not None and p < SIGNIFICANT and (times is None or times >= LEAST or times <= 1 / LEAST)


def questions() -> dict[str, str]:
    """What is asked of the table, by what it is of."""
    counts = (
        COUNT.format(amount=amount(name), test=test, period=period)
        for name, test in MEASURES.items()
        for period in (BEFORE, AFTER)
    )
    return {ALL: OF_ALL.format(counts=", ".join(counts))} | {
        of: OF_NAME.format(label=label) for of, label in NAMES.items()
    }


def section(
    events: Table,
    times: Mapping[str, float],
    *,
    before: float | None,
    after: float | None,
    is_complete: bool,
) -> Section:
    """The changes, of the whole first, then of its parts; of each the biggest first. `times` has `first`,
    `first_end`, `second` and `second_end`; `before` and `after` are the hours that the log tells of, None where it
    does not."""
    known, left_out = ([], 0) if before is None or after is None else _volumes(events, times, (before, after))
    found = [volume for volume in known if is_complete or volume.is_change]
    order = [ALL, *NAMES]
    found.sort(key=lambda it: (order.index(it.of), -abs(it.rates[1] - it.rates[0]), it.name or ""))
    rows = [[*it[:4], *it.rates, it.times, it.chance] for it in found]
    return Section("Volume", COLUMNS, rows, left_out if is_complete else 0, key="volume")


def _volumes(events: Table, times: Mapping[str, float], hours: tuple[float, float]) -> tuple[list[Volume], int]:
    """Those that changed most of each kind, and how many there are besides."""
    asked = questions()
    (counts,) = events.ask(asked.pop(ALL), times)
    pairs = zip(MEASURES, counts[::2], counts[1::2], strict=True)
    found = [Volume(ALL, name, before, after, *hours) for name, before, after in pairs if before or after]
    left_out = 0
    rates: dict[str, Any] = {**times, "hours_before": hours[0], "hours_after": hours[1]}
    for of, sql in asked.items():
        rows = events.ask(sql, rates)
        found += [Volume(of, name, before, after, *hours) for name, before, after, _ in rows]
        left_out += rows[0][-1] - len(rows) if rows else 0
    return found, left_out


def chance(before: int, after: int, share: float) -> float | None:
    """The two-sided p-value of the exact test of two rates: of all that was counted, as much or as little falls into
    the second period, whose `share` of the time is its share of what is expected. Twice the smaller tail of the
    binomial distribution, 1 at most (J. Przyborowski and H. Wilenski, Biometrika 31, 1940)."""
    every = before + after
    if not every:
        return None
    if after < every * share:
        after, share = before, 1 - share
    return min(2 * _tail(after, every, share), 1.0)


def _tail(least: int, every: int, share: float) -> float:
    """How probable so many of them or more are, which is no less than their mean: the terms become smaller."""
    of_least = lgamma(every + 1) - lgamma(least + 1) - lgamma(every - least + 1)
    term = exp(of_least + least * log(share) + (every - least) * log1p(-share))
    found = 0.0
    for at in range(least, every + 1):
        found += term
        term *= (every - at) / (at + 1) * share / (1 - share)
        if term <= found * 1e-16:
            break
    return found
