"""Rules as data: what they need, and in which order they can be recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailstat import rulebook
from mailstat.report import ReportError
from mailstat.rulebook import Rule

SHIPPED = rulebook.read(rulebook.files_of([rulebook.shipped()]))


def rule(name: str, expression: str, *, is_alert: bool = False) -> Rule:
    return Rule(name, expression, 60.0, is_alert)


def test_ours_are_found_where_we_are() -> None:
    assert {"MailProviderBlocked", "provider:mail_deferral:ratio_rate1h"} <= {it.name for it in SHIPPED}


def test_a_rule_has_the_times_of_its_group_and_its_own() -> None:
    blocked = next(it for it in SHIPPED if it.name == "MailProviderBlocked")
    assert (blocked.interval, blocked.wait, blocked.labels) == (60.0, 300.0, {"severity": "critical"})


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 0), ("90s", 90), ("1h30m", 5400), ("1w", 604_800), ("500ms", 0.5)]
)
def test_durations(text: str, seconds: float) -> None:
    assert rulebook.seconds(text) == seconds


def test_layers_record_what_the_next_ones_need() -> None:
    rules = [rule("c", "a + b"), rule("b", "rate(a[5m])"), rule("a", "x"), rule("Alert", "c > 1", is_alert=True)]
    assert [[it.name for it in layer] for layer in rulebook.layers(rules)] == [["a"], ["b"], ["c"]]


def test_rules_that_need_each_other_are_refused() -> None:
    with pytest.raises(ReportError, match="these rules need each other: a, b"):
        list(rulebook.layers([rule("a", "b"), rule("b", "a")]))


def test_what_stands_in_a_text_is_no_metric() -> None:
    assert "mail_down" not in rule("a", 'x{job="mail_down"}').names


def test_the_sources_of_an_alert_are_those_behind_what_is_recorded() -> None:
    rules = [rule("b", "rate(mail_a_total[5m])"), rule("Alert", "b > 1", is_alert=True)]
    assert {"b", "mail_a_total"} <= rulebook.sources(rules[1], rules)


def test_a_folder_without_rules_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="no rules"):
        rulebook.files_of([tmp_path])
