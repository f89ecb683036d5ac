"""What happens to a quick stack in some minutes: a while of peace, all faults, and peace again.

What has to come is waited for, however busy the host is; what does not come in all that time is not in the story.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from mailstat.prometheus import instant
from stack import exim, exporter, fault, panel, postfix, process, prometheus, traffic, webhook, world
from stack.fault import Fault
from stack.ground import is_talked_to, wait_for
from stack.plan import EXIM, EXIM_SUBMISSION, POSTFIX, POSTFIX_SUBMISSION, Plan

PEACE = 60.0  # seconds until the first fault, or longer: an hour of the rules
PATIENCE = 300.0  # seconds until somebody has to be told, and until what was told in peace has to be over
LOOKING = 120.0  # seconds until a panel has to have data
TICK = 1.0
LOOKS = 3  # in a row: a message that goes from one queue to another may be in neither of them for one look
RATE_INTERVAL, RANGE = "15s", "10m"

Query = tuple[str, str, str, str]  # board, title and kind of a panel, and which of its queries

# Empty in peace without saying so: they compare with a past that the stack has not got.
YOUNG = {("overview", "This hour and the weeks before", "timeseries", "B")}
# Empty while faults last: a queue that grows has no end, and a probe that is locked out sees no clock.
AFTERWARDS = {*YOUNG, ("queue", "Empty in", "stat", "A"), ("probe", "Clocks on the way", "timeseries", "A")}


class Story(NamedTuple):
    """What was seen: the queries that had data in peace, and at any time; the seconds until each fault was told of,
    and until it was told to be over; alerts that fired while all was well."""

    peace: set[Query]
    shown: set[Query]
    fired: dict[str, float]
    resolved: dict[str, float]
    false_alarms: set[str]


def play(plan: Plan) -> Story:
    """Let it happen, from a stack that was just started to one in which all faults have ended."""
    story = Story(set(), set(), {}, {}, set())
    time.sleep(PEACE)
    patiently(lambda: not firing(plan), PATIENCE)  # what was told of a host that stood still for a while is over soon
    story.false_alarms.update(firing(plan))
    see_peace(plan, story)
    for begin, _ in fault.UNTOLD:
        begin(plan)
    strike(plan, fault.TOGETHER, story)
    postfix.rotate_log(plan)
    wait_for(lambda: value(plan, "sum(mailstat_log_rotations_total)") == 1, "the exporter to follow a rotation")
    for one in fault.ALONE:
        strike(plan, [one], story)
    for _, end in fault.UNTOLD:
        end(plan)
    patiently(lambda: not look(plan, story), LOOKING)
    return story


def see_peace(plan: Plan, story: Story) -> None:
    """Until all panels have data at the same time, but those that may be empty."""
    needed = expressions(may_be_empty=False).keys() - YOUNG

    def is_full() -> bool:
        story.peace.clear()
        story.peace.update(with_data(plan, expressions()))
        return needed <= story.peace

    patiently(is_full, LOOKING)
    story.shown.update(story.peace)


def worsen(plan: Plan) -> None:
    """A while of peace, then all faults, which last."""
    time.sleep(2 * PEACE)
    for one in fault.TOGETHER:
        one.begin(plan)
    for begin, _ in fault.UNTOLD:
        begin(plan)
    wait_for_all(plan, fault.TOGETHER, "firing", {})


def strike(plan: Plan, faults: Sequence[Fault], story: Story) -> None:
    """Let faults begin together, and end when somebody was told of all of them and panels have shown them."""
    try:
        for one in faults:
            one.begin(plan)
        wait_for_all(plan, faults, "firing", story.fired)
        patiently(lambda: look(plan, story) <= AFTERWARDS, LOOKING)
    finally:
        for one in faults:
            one.end(plan)
    patiently(lambda: look(plan, story) <= YOUNG, LOOKING)  # soon: what has waited is sent now, and then all is over
    wait_for_all(plan, [it for it in faults if it.name in story.fired], "resolved", story.resolved)


# --- alerts ---


def wait_for_all(plan: Plan, faults: Iterable[Fault], status: str, seconds: dict[str, float]) -> None:
    """Until somebody was told of each; how long that took."""
    began, missing = time.monotonic(), list(faults)

    def are_told() -> bool:
        for one in [it for it in missing if is_told(plan, it, status)]:
            seconds[one.name] = round(time.monotonic() - began, 1)
            missing.remove(one)
        return not missing

    patiently(are_told, PATIENCE)


def firing(plan: Plan) -> set[str]:
    """The alerts of which the last that somebody was told is that they fire."""
    last = {alert["alertname"]: alert["status"] for alert in webhook.told(plan)}
    return {name for name, status in last.items() if status == "firing"}


def is_told(plan: Plan, one: Fault, status: str) -> bool:
    """Whether the last that somebody was told of it is this."""
    told = [it for it in webhook.told(plan) if it["alertname"] == one.alert and one.told.items() <= it.items()]
    return bool(told) and told[-1]["status"] == status


# --- panels ---


@cache
def expressions(*, may_be_empty: bool = True) -> dict[Query, str]:
    """The queries of all panels, or of those that do not say why they may be empty, as they are asked."""
    return {
        (it.board, it.title, it.kind, target.ref): target.asked(rate_interval=RATE_INTERVAL, time_range=RANGE)
        for it in panel.read()
        if may_be_empty or not it.empty
        for target in it.targets
    }


def look(plan: Plan, story: Story) -> set[Query]:
    """Look at the queries that had no data so far: those that still have none."""
    story.shown.update(with_data(plan, expressions().keys() - story.shown))
    return expressions().keys() - story.shown


def with_data(plan: Plan, queries: Iterable[Query]) -> set[Query]:
    """Those of the queries that have data now."""
    url = plan.url(prometheus.NAME)
    return {it for it in queries if instant(url, expressions()[it])}


# --- the end ---


def come_to_rest(plan: Plan) -> float:
    """End clients and probes, and wait until nothing is under way; the time of a scrape that knows all of it."""
    process.stop(plan.folder, traffic.NAME)
    exporter.end_probes(plan)
    wait_for(lambda: all(is_quiet(plan) for _ in range(LOOKS)), "quiet")
    process.stop(plan.folder, world.NAME)
    quiet = time.time()
    wait_for(lambda: is_read(plan, scraped_after(plan, quiet)), "the exporter to know all of it")
    return scraped_after(plan, time.time())


def is_quiet(plan: Plan) -> bool:
    """Whether nothing waits, and nobody brings anything."""
    doors = (POSTFIX, POSTFIX_SUBMISSION, EXIM, EXIM_SUBMISSION)
    return not (any(map(is_talked_to, doors)) or postfix.waiting(plan) or exim.waiting(plan))


def is_read(plan: Plan, at: float) -> bool:
    """Whether the exporter had read the logs to their end then, and the end of each message."""
    return value(plan, "sum(mailstat_log_lag_bytes) + sum(mail_messages_in_flight)", time=at) == 0


def scraped_after(plan: Plan, moment: float) -> float:
    """The time of the first scrape that is seen and began after this; both in seconds since the epoch."""
    found = 0.0

    def is_seen() -> bool:
        nonlocal found
        found = value(plan, "min(timestamp(mailstat_log_lag_bytes))") or 0.0
        return found > moment

    wait_for(is_seen, "a scrape")
    return found


def value(plan: Plan, expression: str, **at: float) -> float | None:
    """Of an expression that has one."""
    found = instant(plan.url(prometheus.NAME), expression, **at)
    return found[0][1] if found else None


def patiently(is_so: Callable[[], object], seconds: float) -> None:
    """Until it is so, or for so many seconds."""
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(TICK)
