"""The whole thing for real: what people see on dashboards and are told of is what happened to the mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from mailstat.log import Log, Selection
from mailstat.prometheus import instant
from parsers.events import Delivery
from stack import control, fault, prometheus, story, traffic, webhook, world
from stack.destination import Reply
from stack.plan import Plan
from stack.story import Story

pytestmark = pytest.mark.stack

FAULTS = (*fault.TOGETHER, *fault.ALONE)
PATIENCE = 900.0  # seconds that another stack on this host may take


class Run(NamedTuple):
    """What happened, and what each side counted."""

    plan: Plan
    story: Story
    end: float  # when all of it was scraped, in seconds since the epoch
    facts: Counter[traffic.Fact]
    replies: list[tuple[str, Reply]]

    def by(self, expression: str, *labels: str) -> Counter[tuple[str, ...]]:
        """The sums that Prometheus had in the end, by some labels; those that are not 0."""
        found: Counter[tuple[str, ...]] = Counter()
        for series, value in instant(self.plan.url(prometheus.NAME), expression, time=self.end):
            found[tuple(series[label] for label in labels)] += round(value)
        return +found

    def answered(self, *statuses: str) -> Counter[tuple[str, ...]]:
        """What destinations answered, by provider and status."""
        return Counter(
            (domain.removesuffix(".example"), it.status) for domain, it in self.replies if it.status in statuses
        )


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    if missing := control.missing():
        pytest.skip(f"not here: {', '.join(missing)} (.ci/run and tools/mail_servers.sh fetch them)")
    with TemporaryDirectory(prefix="mailstat-stack-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        plan = control.up(Path(name) / "stack", is_quick=True, patience=PATIENCE)
        try:
            told = story.play(plan)
            print(told.fired, told.resolved)  # which pytest shows where a test fails
            end = story.come_to_rest(plan)
            yield Run(plan, told, end, Counter(traffic.read_facts(plan)), world.read_replies(plan))
        finally:
            control.end(plan.folder)


# --- dashboards ---


def test_every_query_of_every_panel_had_data(run: Run) -> None:
    assert [it for it in story.expressions() if it not in run.story.shown] == []


def test_a_panel_that_was_empty_in_peace_says_why(run: Run) -> None:
    assert story.expressions(may_be_empty=False).keys() - run.story.peace <= story.YOUNG


# --- alerts ---


@pytest.mark.parametrize("name", [it.name for it in FAULTS])
def test_somebody_is_told_of_a_fault_and_of_its_end(run: Run, name: str) -> None:
    assert name in run.story.fired, f"nobody was told of it: {webhook.told(run.plan)[-20:]}"
    assert name in run.story.resolved, f"nobody was told of its end: {webhook.told(run.plan)[-20:]}"


def test_nothing_fires_in_peace(run: Run) -> None:
    assert run.story.false_alarms == set()


def test_alerts_go_to_those_who_can_act(run: Run) -> None:
    told = {(it["alertname"], it["receiver"]) for it in webhook.told(run.plan)}
    assert ("MailProviderBlocked", "on-call") in told
    assert ("MailAuthCampaign", "abuse-team") in told
    assert ("MailCertificateExpiring", "mail-team") in told


# --- numbers ---


def test_every_line_is_known_and_none_is_lost(run: Run) -> None:
    assert run.by("mailstat_log_skipped_bytes_total") == {}
    assert run.by('mailstat_log_lines_total{outcome=~"unknown|malformed"}', "mta", "outcome") == {}
    assert run.by("mailstat_log_rotations_total") == {(): 2}


def test_messages_are_those_of_clients_and_probes(run: Run) -> None:
    counted: Counter[tuple[str, ...]] = Counter()
    for (kind, mta, *via), number in run.facts.items():
        if kind == "message":
            counted[mta, via[0]] += number
    probes = sum(domain == "probe.example" and it.status == "sent" for domain, it in run.replies)
    counted["postfix", "submission"] += probes
    counted["postfix", "local"] += 1  # the one that was stuck
    received = run.by('mail_messages_received_total{via!="notification"}', "mta", "via")
    assert received == counted


def test_notifications_are_those_that_came_back(run: Run) -> None:
    came = sum(it.is_notification and it.status == "sent" for _, it in run.replies)
    assert run.by('mail_messages_received_total{via="notification"}') == {(): came}


def test_all_of_them_left(run: Run) -> None:
    assert run.by("mail_messages_removed_total", "mta") == run.by("mail_messages_received_total", "mta")


def test_what_was_sent_and_refused_is_what_destinations_say(run: Run) -> None:
    counted = run.by('mail_deliveries_total{direction="outbound", status=~"sent|bounced"}', "status")
    told: Counter[tuple[str, ...]] = Counter()
    for (_, status), number in run.answered("sent", "bounced").items():
        told[status,] += number
    assert counted == told


@pytest.mark.parametrize("provider", ["google", "yahoo", "gmx"])
def test_a_provider_has_what_its_hosts_answered(run: Run, provider: str) -> None:
    counted = run.by(f'mail_deliveries_total{{provider="{provider}", status!="expired"}}', "provider", "status")
    told = run.answered("sent", "deferred", "bounced")
    assert counted == {key: number for key, number in told.items() if key[0] == provider}, differences(run, provider)


def differences(run: Run, provider: str) -> dict[tuple[str | None, str], int]:
    """By recipient and status, how many attempts more the logs tell of than the hosts: to find out why."""
    paths = [*run.plan.postfix_log.parent.glob("mail.*"), run.plan.exim_log]
    events = [event for batch in Log(paths, Selection(), zone=UTC).batches() for event in batch]
    found: Counter[tuple[str | None, str]] = Counter()
    for event in events:
        if isinstance(event, Delivery) and str(event.recipient).endswith(f"@{provider}.example"):
            found[event.recipient, event.status] += 1
    for domain, reply in run.replies:
        if domain == f"{provider}.example":
            found[reply.recipient, reply.status] -= 1
    return {key: number for key, number in found.items() if number and key[1] != "expired"}


def test_logins_are_those_of_clients(run: Run) -> None:
    logins = {key[2:]: number for key, number in run.facts.items() if key[:2] == ("login", "exim")}
    assert run.by('mail_auth_attempts_total{mta="exim"}', "result") == logins


def test_what_was_refused_at_the_door_is_what_clients_saw(run: Run) -> None:
    refused = {key[1:]: number for key, number in run.facts.items() if key[0] == "refused"}
    counted = run.by('mail_rejects_total{phase="rcpt"}', "mta", "phase")
    assert counted["exim", "rcpt"] == refused["exim", "rcpt"]
    assert counted["postfix", "rcpt"] >= refused["postfix", "rcpt"]  # the negative probe is refused as well


def test_a_probe_sees_what_the_dns_and_the_server_are_like(run: Run) -> None:
    """Before all probes ended; those that are listed and struck by faults are among the alerts."""
    valid = run.by("max by (check) (max_over_time(mail_probe_dns_check[1h]))", "check")
    assert {("mx",), ("ptr",), ("fcrdns",), ("spf",), ("dmarc",)} <= set(valid)
    refused = run.by("min by (check) (max_over_time(mail_probe_refused[1h]))", "check")
    assert {("open_relay",), ("plaintext_auth",), ("vrfy",), ("old_tls",)} <= set(refused)
