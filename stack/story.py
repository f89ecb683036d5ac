"""What happens to a quick stack in some minutes: a while of peace, all faults, and peace again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from mailstat.prometheus import instant
from stack import exim, exporter, fault, panel, postfix, process, prometheus, traffic, webhook
from stack.fault import Fault
from stack.plan import Plan

PEACE = 60.0  # seconds until the first fault: an hour of the rules
PATIENCE = 240.0  # seconds until what is waited for has to be there
TICK = 1.0
RATE_INTERVAL, RANGE = "15s", "10m"

Query = tuple[str, str, str]  # board, panel, query


class Story(NamedTuple):
    """What was seen: the queries that had data at each time, the seconds until each fault was told of, and until it
    was told to be over; alerts that fired while all was well."""

    shown: dict[str, set[Query]]
    fired: dict[str, float]
    resolved: dict[str, float]
    false_alarms: set[str]


def play(plan: Plan) -> Story:
    """Let it happen, from a stack that was just started to one whose queues are empty and whose clients are gone."""
    story = Story({}, {}, {}, set())
    time.sleep(PEACE)
    story.shown["peace"] = with_data(plan)
    last = {alert["alertname"]: alert["status"] for alert in webhook.told(plan)}
    story.false_alarms.update(name for name, status in last.items() if status == "firing")
    for begin, _ in fault.UNTOLD:
        begin(plan)
    strike(plan, fault.TOGETHER, story)
    postfix.rotate_log(plan)
    for one in fault.ALONE:
        strike(plan, [one], story)
    for _, end in fault.UNTOLD:
        end(plan)
    story.shown["after"] = with_data(plan)
    come_to_rest(plan)
    return story


def worsen(plan: Plan) -> None:
    """A while of peace, then all faults, which last."""
    time.sleep(2 * PEACE)
    for one in fault.TOGETHER:
        one.begin(plan)
    for begin, _ in fault.UNTOLD:
        begin(plan)
    wait_for_all(plan, fault.TOGETHER, "firing", {})


def strike(plan: Plan, faults: Sequence[Fault], story: Story) -> None:
    """Let faults begin together, and end when somebody was told of all of them."""
    name = ", ".join(it.name for it in faults)
    try:
        for one in faults:
            one.begin(plan)
        wait_for_all(plan, faults, "firing", story.fired)
        story.shown[name] = with_data(plan)
    finally:
        for one in faults:
            one.end(plan)
    wait_for_all(plan, [it for it in faults if it.name in story.fired], "resolved", story.resolved)


def wait_for_all(plan: Plan, faults: Iterable[Fault], status: str, seconds: dict[str, float]) -> None:
    """Until somebody was told of each; how long that took."""
    began, missing = time.monotonic(), list(faults)
    while missing and time.monotonic() - began < PATIENCE:
        time.sleep(TICK)
        for one in [it for it in missing if is_told(plan, it, status)]:
            seconds[one.name] = round(time.monotonic() - began, 1)
            missing.remove(one)


def is_told(plan: Plan, one: Fault, status: str) -> bool:
    """Whether the last that somebody was told of it is this."""
    told = [it for it in webhook.told(plan) if it["alertname"] == one.alert and one.told.items() <= it.items()]
    return bool(told) and told[-1]["status"] == status


def with_data(plan: Plan) -> set[Query]:
    """The queries of all panels that have data now."""
    url = plan.url(prometheus.NAME)
    return {
        (it.board, it.title, target.ref)
        for it in panel.read()
        for target in it.targets
        if instant(url, target.asked(rate_interval=RATE_INTERVAL, time_range=RANGE))
    }


def come_to_rest(plan: Plan) -> None:
    """No client, no probe, an empty queue, and all of it scraped."""
    process.stop(plan.folder, traffic.NAME)
    exporter.end_probes(plan)
    wait_for(lambda: not postfix.waiting(plan) and not exim.waiting(plan))
    wait_for(lambda: lag(plan) == 0)
    time.sleep(3 * TICK)


def lag(plan: Plan) -> float:
    """Bytes of the logs that are not read yet."""
    found = instant(plan.url(prometheus.NAME), "sum(mailstat_log_lag_bytes)")
    return found[0][1] if found else -1


def wait_for(is_so: Callable[[], object]) -> None:
    """Until it is so. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError("waited in vain")
        time.sleep(TICK)
