"""Metrics under the names of other exporters: tables that name what exists, and figures that agree with ours."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from exporter import compat
from exporter.demo import PostfixTraffic
from exporter.metrics.catalogue import METRICS
from tests.service import running, write_config

ALIASES = [(name, alias) for name in compat.names() for alias in compat.table(name).aliases]
EXIM = {"mta": "exim", "service": "exim"}


class Fixed(Collector):
    """A registry that always says the same."""

    def __init__(self, *families: Family) -> None:
        self._families = families

    def collect(self) -> list[Family]:
        return list(self._families)


def made(name: str, *rows: tuple[dict[str, str], float]) -> Family:
    metric = METRICS[name]
    kind = CounterMetricFamily if metric.type == "counter" else GaugeMetricFamily
    family = kind(name, metric.help, labels=metric.labels)
    for labels, value in rows:
        family.add_metric([labels.get(label, "") for label in metric.labels], value)
    return family


def figures(name: str, *families: Family) -> dict[tuple[str, ...], float]:
    """What a name has, by the values of its labels."""
    found = {}
    for family in compat.Compatible(Fixed(*families), compat.names()).collect():
        found |= {tuple(it.labels.values()): it.value for it in family.samples if it.name == name}
    return found


@pytest.mark.parametrize(("exporter", "alias"), ALIASES, ids=lambda it: getattr(it, "name", it))
def test_an_alias_is_made_of_what_exists(exporter: str, alias: compat.Alias) -> None:
    metric = METRICS[alias.source]
    assert {*alias.where, *alias.labels.values()} <= set(metric.labels)
    assert set(alias.values) <= set(alias.labels)
    assert set(alias.labels).isdisjoint(alias.constant)
    assert alias.name not in METRICS


def test_no_name_is_in_two_tables_nor_both_there_and_missing() -> None:
    seen = Counter(name for one in compat.names() for name in {it.name for it in compat.table(one).aliases})
    seen += Counter(it.name for one in compat.names() for it in compat.table(one).missing)
    assert [name for name, times in seen.items() if times > 1] == []


def test_samples_that_differ_in_other_labels_are_added() -> None:
    ours = made(
        "mail_deliveries_total",
        ({"mta": "postfix", "direction": "outbound", "provider": "google", "status": "sent"}, 3),
        ({"mta": "postfix", "direction": "outbound", "provider": "yahoo", "status": "sent"}, 4),
        ({"mta": "postfix", "direction": "outbound", "provider": "yahoo", "status": "deferred"}, 5),
        ({"mta": "postfix", "direction": "local", "status": "sent"}, 100),
        ({"mta": "sendmail", "direction": "outbound", "status": "sent"}, 1000),
    )
    assert figures("postfix_smtp_messages_processed_total", ours) == {("sent",): 7, ("deferred",): 5}
    assert figures("postfix_smtp_status_deferred", ours) == {(): 5}
    assert figures("exim_messages_total", ours) == {}


def test_one_name_may_be_made_of_several_metrics_with_values_renamed() -> None:
    ours = [
        made("mail_messages_received_total", ({**EXIM, "via": "smtp"}, 2), ({**EXIM, "via": "local"}, 1)),
        made("mail_deliveries_total", ({**EXIM, "status": "sent"}, 5), ({**EXIM, "status": "bounced"}, 1)),
        made("mail_messages_removed_total", (EXIM, 3)),
    ]
    expected = {("arrived",): 3, ("delivered",): 5, ("failed",): 1, ("completed",): 3}
    assert figures("exim_messages_total", *ours) == expected


def test_a_histogram_keeps_its_buckets() -> None:
    ours = HistogramMetricFamily("mail_delivery_stage_seconds", "", labels=["mta", "stage"])
    ours.add_metric(["postfix", "connect"], [("1", 2.0), ("+Inf", 3.0)], sum_value=9)
    name = "postfix_smtp_delivery_delay_seconds"
    stage = "connection_setup"
    assert figures(f"{name}_bucket", ours) == {(stage, "1"): 2, (stage, "+Inf"): 3}
    assert figures(f"{name}_count", ours) == {(stage,): 3}
    assert figures(f"{name}_sum", ours) == {(stage,): 9}


def test_both_formats_can_be_read_back() -> None:
    ours = [made(name) for name, metric in METRICS.items() if metric.type != "histogram"]
    registry = CollectorRegistry()
    registry.register(compat.Compatible(Fixed(*ours), compat.names()))
    assert b"# TYPE postfix_up gauge" in generate_latest(registry)
    names = {family.name for family in text_string_to_metric_families(openmetrics.generate_latest(registry).decode())}
    assert {"postfix_smtp_status_deferred", "exim_messages", "postfix_connects"} <= names


def test_the_service_shows_the_old_names_beside_ours_only_when_asked(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    source = PostfixTraffic(Random(1), start=1_790_000_000.0, rfc3339=True)
    log.write_text("".join(f"{line}\n" for _, line in islice(source, 2000)))
    config = write_config(tmp_path, log)
    with running(tmp_path, "--config.file", config, "--compat", "hsn723") as exporter:
        page = exporter.until(lambda it: it.lines() > 0 and it.total("mailstat_log_lag_bytes") == 0)
        sent = page.total("mail_deliveries_total", status="sent", direction="outbound")
        assert sent > 0
        assert page.total("postfix_smtp_messages_processed_total", status="sent") == sent
        removed = page.total("mail_messages_removed_total")
        assert page.total("postfix_qmgr_messages_removed_total") == removed > 0
        assert not page.has("exim_queue")
