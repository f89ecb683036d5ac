"""The same log through the report, through /metrics, and counted here over its plain text: one set of numbers.

What is counted here knows nothing of the parsers: it cuts lines at words.
"""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from exporter.demo import PostfixTraffic
from exporter.metrics.catalogue import METRICS
from tests.service import ROOT, Scrape, environment, following

START = 1_790_000_000.0
LINES = 30_000
LAB = ROOT / "../shared/lab"
LAB_LOGS = sorted(LAB.glob("postfix-*/mail*.log.gz"))

STATUSES = ("sent", "deferred", "bounced", "expired")
STAGES = ("before_queue", "in_queue", "connect", "transmit")
RELAYS = {
    "google.com": "google",
    "outlook.com": "microsoft",
    "yahoodns.net": "yahoo",
    "icloud.com": "apple",
    "gmx.net": "gmx",
    "web.de": "gmx",
    "orange.fr": "orange",
}
LOST = (
    "]: connect to ",
    "lost connection after ",
    "timeout after ",
    "SSL_accept error ",
    ": lost connection with ",
    " refused to talk to me: ",
)
# The mark of a reason in the text, where one wording has it and no other reason does.
REASONS = {
    ("deferred", "greylisted"): "Greylisted",
    ("bounced", "no_mx"): "(nullMX)",
    ("bounced", "message_too_large"): "5.3.4 Message size exceeds",
    ("bounced", "domain_not_found"): "type=A: Host not found)",
    ("deferred", "dns_failure"): "Host not found, try again)",
}


class Read(NamedTuple):
    """A log, and what each way of reading it tells."""

    lines: list[str]
    summary: dict[str, Any]
    metrics: Scrape
    openmetrics: Scrape


def read(folder: Path, *logs: Path) -> Read:
    command = [sys.executable, "-m", "mailstat", "summary", "--format", "json", *map(str, logs)]
    report = subprocess.run(command, capture_output=True, cwd=ROOT, env=environment(), check=True)
    assert report.stderr == b""
    with following(folder, *logs) as exporter:
        metrics = exporter.until_ready()
        openmetrics = exporter.scrape_openmetrics()
    texts = (log.read_text(encoding="utf-8", errors="surrogateescape") for log in logs)
    return Read(
        [line for text in texts for line in text.splitlines()], json.loads(report.stdout), metrics, openmetrics
    )


@pytest.fixture(scope="module")
def traffic() -> tuple[str, Counter[tuple[str, str]]]:
    """Slow traffic, so that it lasts long enough for retries and expiry."""
    source = PostfixTraffic(Random(20), rate=0.2, start=START, rfc3339=True)
    text = "".join(f"{line}\n" for _, line in islice(source, LINES))
    return text, source.tally


@pytest.fixture(scope="module")
def demo(traffic: tuple[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Read:
    folder = tmp_path_factory.mktemp("demo")
    log = folder / "mail.log"
    log.write_text(traffic[0])
    return read(folder, log)


@pytest.fixture(scope="module", params=LAB_LOGS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Read:
    folder = tmp_path_factory.mktemp("lab")
    log = folder / "mail.log"
    log.write_bytes(gzip.decompress(request.param.read_bytes()))
    stamp = json.loads(gzip.decompress((request.param.parent / "truth.jsonl.gz").read_bytes()).splitlines()[-1])["t"]
    os.utime(log, (stamp, stamp))
    return read(folder, log)


# --- counting by words ---


def between(line: str, start: str, end: str) -> str:
    return line.partition(start)[2].partition(end)[0]


def identity(line: str) -> str:
    """The queue id, or the word in its place."""
    return line.partition("]: ")[2].partition(": ")[0]


def status_of(line: str) -> str | None:
    if "status=expired, returned" in line or "status=force-expired, returned" in line:
        return "expired"
    if " to=<" in line and " delays=" in line:
        status = between(line, " status=", " ")
        return status if status in STATUSES else None
    return None


def deliveries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Status and line."""
    return ((status, line) for line in lines if (status := status_of(line)))


def provider_of(line: str) -> str:
    host = between(line, " relay=", ",").partition("[")[0]
    if host == "none":  # the host that the text names
        host = re.sub(r".*(?:host|connect to|connection with|conversation with) (\S+)\[.*", r"\1", line)
    if "/lmtp[" in line or "/local[" in line:
        return "local"
    return next((name for suffix, name in RELAYS.items() if host.endswith(suffix)), "other")


def delay_of(line: str) -> float:
    return float(between(line, " delay=", ","))


def stages_of(line: str) -> list[float]:
    return [float(part) for part in between(line, " delays=", ",").split("/")]


def sizes(lines: list[str]) -> dict[str, int]:
    """Of each message, at the first time that the queue names it."""
    found: dict[str, int] = {}
    for line in lines:
        if ", size=" in line:
            found.setdefault(identity(line), int(between(line, ", size=", ",")))
    return found


def logins(lines: list[str]) -> int:
    """What sessions say when they end, and those that are still open and have named a login."""
    done, is_open = 0, set()
    for line in lines:
        process = line.partition(" mail ")[2].partition(":")[0]
        if ", sasl_username=" in line and ": client=" in line:
            is_open.add(process)
        elif ": disconnect from " in line:
            is_open.discard(process)
            done += int(between(line, " auth=", " ").partition("/")[0] or 0)
    return done + len(is_open)


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[max(math.ceil(share * len(values) - 1e-9), 1) - 1]


# --- the demonstration's log ---


def test_lines_by_outcome(demo: Read) -> None:
    told = demo.summary["lines"]
    assert told["total"] == LINES == demo.metrics.lines()
    for outcome in ("parsed", "ignored", "unknown", "malformed"):
        assert told[outcome] == demo.metrics.lines(outcome)
    assert told["unknown"] == told["malformed"] == 0 < told["ignored"]


def test_deliveries_by_status(demo: Read, traffic: tuple[str, Counter[tuple[str, str]]]) -> None:
    counted = Counter(status for status, _ in deliveries(demo.lines))
    assert all(counted[status] for status in STATUSES), "the log is to have some of each"
    assert demo.summary["deliveries"] == dict(counted)
    assert demo.metrics.by("mail_deliveries_total", "status") == {(status,): n for status, n in counted.items()}
    assert {("delivery", status): n for status, n in counted.items()}.items() <= traffic[1].items()


def test_deliveries_by_provider(demo: Read) -> None:
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for status, line in deliveries(demo.lines):
        if status != "expired":  # that line names no destination
            counted[provider_of(line)][status] += 1
    assert len(counted) == len(set(RELAYS.values())) + 2
    assert {
        row["provider"]: {status: row[status] for status in STATUSES[:3] if row[status]}
        for row in demo.summary["providers"]
    } == counted
    by_label = demo.metrics.by("mail_deliveries_total", "direction", "provider", "status")
    assert {key: n for key, n in by_label.items() if key[2] != "expired"} == {
        ("local" if name == "local" else "outbound", "" if name == "local" else name, status): n
        for name, counts in counted.items()
        for status, n in counts.items()
    }


def test_reasons_of_failures(demo: Read) -> None:
    told = {(row["status"], row["reason"]): row["count"] for row in demo.summary["reasons"]}
    assert demo.metrics.by("mail_delivery_failures_total", "status", "reason") == told
    for key, mark in REASONS.items():
        counted = sum(1 for status, line in deliveries(demo.lines) if status == key[0] and mark in line)
        assert told[key] == counted > 0, key
    for status in STATUSES[1:]:
        assert sum(n for (of, _), n in told.items() if of == status) == demo.summary["deliveries"][status]


def test_enhanced_status_codes(demo: Read) -> None:
    counted = Counter(
        (status, between(line, " dsn=", ",")) for status, line in deliveries(demo.lines) if " dsn=" in line
    )
    assert demo.metrics.by("mail_delivery_replies_total", "status", "dsn") == counted


def test_delays(demo: Read) -> None:
    sent: dict[str, list[float]] = defaultdict(list)
    for status, line in deliveries(demo.lines):
        if status == "sent":
            sent[provider_of(line)].append(delay_of(line))
    for name, delays in sent.items():
        label = "" if name == "local" else name
        assert demo.metrics.total("mail_delivery_seconds_count", provider=label) == len(delays)
        assert demo.metrics.total("mail_delivery_seconds_sum", provider=label) == pytest.approx(sum(delays))
        (row,) = (row for row in demo.summary["providers"] if row["provider"] == name)
        assert (row["delay_p50"], row["delay_p90"]) == (quantile(delays, 0.5), quantile(delays, 0.9))
    everything = [delay for delays in sent.values() for delay in delays]
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    assert demo.summary["delay"] == {name: quantile(everything, share) for name, share in shares.items()}


def test_the_four_stages_are_four_series(demo: Read) -> None:
    rows = [stages_of(line) for status, line in deliveries(demo.lines) if status == "sent"]
    sums = dict(zip(STAGES, map(sum, zip(*rows, strict=True)), strict=True))
    assert len({round(value, 3) for value in sums.values()}) == 4, "stages that are alike cannot be told apart"
    assert {sample.labels["stage"] for sample in demo.metrics.of("mail_delivery_stage_seconds_sum")} == set(STAGES)
    for stage, value in sums.items():
        assert demo.metrics.total("mail_delivery_stage_seconds_sum", stage=stage) == pytest.approx(value)
        assert demo.metrics.total("mail_delivery_stage_seconds_count", stage=stage) == len(rows)


def test_each_stage_falls_into_its_buckets(demo: Read) -> None:
    rows = [stages_of(line) for status, line in deliveries(demo.lines) if status == "sent"]
    for stage, values in zip(STAGES, zip(*rows, strict=True), strict=True):
        for sample in demo.metrics.of("mail_delivery_stage_seconds_bucket", stage=stage):
            assert sample.value == sum(value <= float(sample.labels["le"]) for value in values), (stage, sample)


def test_attempts(demo: Read) -> None:
    tries: Counter[tuple[str, str]] = Counter()
    counts: dict[str, list[int]] = defaultdict(list)
    for status, line in deliveries(demo.lines):
        if status == "expired":
            waiting = [n for (queue_id, _), n in tries.items() if queue_id == identity(line)]
            counts[status].append(max(waiting))
            continue
        key = (identity(line), between(line, " to=<", ">"))
        if status == "deferred":
            tries[key] += 1
        else:
            counts[status].append(tries.pop(key, 0) + 1)
    assert max(counts["sent"]) > 2
    for status, attempts in counts.items():
        assert demo.metrics.total("mail_delivery_attempts_count", status=status) == len(attempts)
        assert demo.metrics.total("mail_delivery_attempts_sum", status=status) == sum(attempts)


def test_messages(demo: Read, traffic: tuple[str, Counter[tuple[str, str]]]) -> None:
    messages, told = sizes(demo.lines), demo.summary["messages"]
    removed = sum(line.endswith(": removed") for line in demo.lines)
    notified = sum(": sender non-delivery notification: " in line for line in demo.lines)
    assert told == {
        "received": len(messages),
        "bytes": sum(messages.values()),
        "removed": removed,
        "notifications": notified,
    }
    assert demo.metrics.total("mail_messages_received_total") == len(messages)
    assert demo.metrics.total("mail_message_size_bytes_sum") == sum(messages.values())
    assert demo.metrics.total("mail_message_size_bytes_count") == len(messages)
    assert demo.metrics.total("mail_messages_removed_total") == removed == traffic[1]["removed", ""]
    assert demo.metrics.total("mail_notifications_total", type="bounce") == notified
    assert demo.metrics.total("mail_notifications_total") == notified == traffic[1]["notification", "bounce"] > 0


def test_messages_by_the_way_they_came(demo: Read) -> None:
    ways: dict[str, str] = {}
    for line in demo.lines:
        if ": client=" in line:
            ways[identity(line)] = "submission" if "sasl_username=" in line else "smtp"
        elif "/pickup[" in line:
            ways[identity(line)] = "local"
        elif ": sender non-delivery notification: " in line:
            ways[line.rpartition(": ")[2]] = "notification"
    counted = Counter(ways[queue_id] for queue_id in sizes(demo.lines))
    assert set(counted) == {"smtp", "submission", "local", "notification"}
    assert demo.metrics.by("mail_messages_received_total", "via") == {(via,): n for via, n in counted.items()}


def test_recipients_of_messages(demo: Read) -> None:
    counted: dict[str, int] = {}
    for line in demo.lines:
        if ", nrcpt=" in line:
            counted.setdefault(identity(line), int(between(line, ", nrcpt=", " ")))
    assert demo.metrics.total("mail_message_recipients_sum") == sum(counted.values())


def test_messages_in_flight(demo: Read) -> None:
    queued = set(sizes(demo.lines))
    removed = {identity(line) for line in demo.lines if line.endswith(": removed")}
    assert demo.metrics.total("mail_messages_in_flight", mta="postfix") == len(queued - removed) > 0


def test_connections(demo: Read, traffic: tuple[str, Counter[tuple[str, str]]]) -> None:
    programs = {
        "smtpd": sum("smtpd[" in line and "]: connect from " in line for line in demo.lines),
        "postscreen": sum("/postscreen[" in line and "]: CONNECT from " in line for line in demo.lines),
    }
    assert demo.metrics.by("mail_connections_total", "program") == {(name,): n for name, n in programs.items()}
    assert demo.summary["connections"] == sum(programs.values())
    assert programs == {"smtpd": traffic[1]["connect", ""], "postscreen": traffic[1]["connect", "postscreen"]}


def test_logins(demo: Read) -> None:
    failures = sum(" authentication failed: " in line for line in demo.lines)
    assert demo.summary["auth"] == {"success": logins(demo.lines), "failure": failures}
    assert demo.metrics.by("mail_auth_attempts_total", "result") == {
        ("success",): logins(demo.lines),
        ("failure",): failures,
    }


def test_rejects(demo: Read) -> None:
    counted = sum(": reject: " in line for line in demo.lines)
    told = demo.summary["rejects"]
    assert told["total"] == counted == demo.metrics.total("mail_rejects_total") > 0
    assert demo.metrics.by("mail_rejects_total", "reason") == {(it,): n for it, n in told["by_reason"].items()}


def test_tls_sessions(demo: Read) -> None:
    counted = {
        ("inbound",): sum("TLS connection established from " in line for line in demo.lines),
        ("outbound",): sum("TLS connection established to " in line for line in demo.lines),
    }
    assert demo.metrics.by("mail_tls_connections_total", "direction") == counted


def test_connection_errors(demo: Read) -> None:
    errors = sum(any(mark in line for mark in LOST) and not status_of(line) for line in demo.lines)
    assert demo.metrics.total("mail_connection_errors_total") == errors > 0


def test_period(demo: Read) -> None:
    first, last = (line.partition(" ")[0] for line in (demo.lines[0], demo.lines[-1]))
    assert demo.summary["period"]["first"][:19] == first[:19]
    assert demo.summary["period"]["last"][:16] == last[:16]  # the last line may be one that tells nothing
    assert demo.metrics.total("mailstat_log_last_event_timestamp_seconds") > START


# --- the exposition itself ---


def test_histograms_are_whole(demo: Read) -> None:
    # A log fills them all but the one of probes.
    names = [name for name, it in METRICS.items() if it.type == "histogram" and not name.startswith("mail_probe_")]
    for name in names:
        rows: dict[frozenset[tuple[str, str]], list[tuple[float, float]]] = defaultdict(list)
        for sample in demo.metrics.of(f"{name}_bucket"):
            labels = {key: value for key, value in sample.labels.items() if key != "le"}
            rows[frozenset(labels.items())].append((float(sample.labels["le"]), sample.value))
        assert rows, name
        for labels_of, buckets in rows.items():
            assert [bound for bound, _ in buckets] == [*METRICS[name].bounds, math.inf]
            assert all(below <= value for (_, below), (_, value) in pairwise(buckets))
            assert buckets[-1][1] == demo.metrics.total(f"{name}_count", **dict(labels_of)) > 0


def test_both_formats_say_the_same(demo: Read) -> None:
    def told(scrape: Scrape) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        return {
            (it.name, tuple(sorted(it.labels.items()))): it.value
            for it in scrape.samples
            if it.name.startswith("mail")
        }

    assert told(demo.metrics) == told(demo.openmetrics)
    assert len(told(demo.metrics)) > 300


def test_every_sample_is_of_the_catalogue(demo: Read) -> None:
    for family in demo.openmetrics.families:
        if not family.name.startswith("mail"):
            continue
        metric = METRICS.get(family.name) or METRICS[f"{family.name}_total"]
        assert (family.type, family.documentation) == (metric.type, metric.help)
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


@pytest.mark.skipif(not shutil.which("promtool"), reason="Prometheus' own checker is not installed")
def test_prometheus_own_checker_finds_nothing(demo: Read) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=demo.metrics.text,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


# --- the logs of real servers ---


@pytest.mark.corpus
def test_real_logs(lab: Read) -> None:
    counted = Counter(status for status, _ in deliveries(lab.lines))
    rows = [stages_of(line) for status, line in deliveries(lab.lines) if status == "sent"]
    delays = [delay_of(line) for status, line in deliveries(lab.lines) if status == "sent"]
    told, metrics = lab.summary, lab.metrics
    assert told["lines"]["total"] == metrics.lines() == len(lab.lines)
    assert +Counter(told["deliveries"]) == counted
    assert metrics.by("mail_deliveries_total", "status") == {(status,): n for status, n in counted.items()}
    assert metrics.total("mail_delivery_seconds_sum") == pytest.approx(sum(delays))
    assert metrics.total("mail_delivery_seconds_count") == len(delays) > 0
    for stage, values in zip(STAGES, zip(*rows, strict=True), strict=True):
        assert metrics.total("mail_delivery_stage_seconds_sum", stage=stage) == pytest.approx(sum(values))
    removed = sum(line.endswith(": removed") for line in lab.lines)
    assert told["messages"]["removed"] == metrics.total("mail_messages_removed_total") == removed > 0
    connections = sum("]: connect from " in line or "]: CONNECT from " in line for line in lab.lines)
    assert told["connections"] == metrics.total("mail_connections_total") == connections


@pytest.mark.corpus
def test_report_and_metrics_agree_on_real_logs(lab: Read) -> None:
    told, metrics = lab.summary, lab.metrics
    assert told["messages"] == {
        "received": metrics.total("mail_messages_received_total"),
        "bytes": metrics.total("mail_message_size_bytes_sum"),
        "removed": metrics.total("mail_messages_removed_total"),
        "notifications": metrics.total("mail_notifications_total"),
    }
    assert +Counter(told["auth"]) == {it: n for (it,), n in metrics.by("mail_auth_attempts_total", "result").items()}
    assert told["rejects"]["by_reason"] == {it: n for (it,), n in metrics.by("mail_rejects_total", "reason").items()}
    assert {(row["status"], row["reason"]): row["count"] for row in told["reasons"]} == metrics.by(
        "mail_delivery_failures_total", "status", "reason"
    )
    for outcome in ("parsed", "ignored", "unknown", "malformed"):
        assert told["lines"][outcome] == metrics.lines(outcome)
