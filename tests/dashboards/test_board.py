"""The dashboards: current, made of names that exist, and readable by whoever is on call."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dashboards import generate
from exporter.metrics.catalogue import METRICS
from tests.dashboards import expression
from tests.dashboards.rulebook import ALERTS, FOLDER, KNOWN, check

NAMES = ["deliverability", "exporter", "overview", "probe", "queue", "security"]
BOARDS = {name: json.loads((FOLDER / f"grafana/{name}.json").read_text()) for name in NAMES}
COLORS = {"green", "orange", "red", "blue"}

# metric: why no dashboard has it
NOT_SHOWN: dict[str, str] = {
    "mail_queue_scan_timestamp_seconds": "whether a scan was complete is shown, and how long"
}


class Panel(NamedTuple):
    """A panel and where it stands."""

    board: str
    body: dict[str, Any]

    @property
    def expressions(self) -> list[str]:
        return [target["expr"] for target in self.body["targets"]]

    def __str__(self) -> str:
        return f"{self.board}: {self.body['title']}"


PANELS = [Panel(name, it) for name, board in BOARDS.items() for it in board["panels"] if it["type"] != "row"]
each_panel = pytest.mark.parametrize("panel", PANELS, ids=str)


def test_the_dashboards_are_what_the_code_says() -> None:
    assert generate.stale(generate.FOLDER) == []


def test_a_dashboard_that_is_not_current_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    assert generate.main([], tmp_path, manifests) == 0
    assert generate.main(["--check"], tmp_path, manifests) == 0
    (tmp_path / "queue.json").write_text("{}")
    (tmp_path / "probe.json").unlink()
    (tmp_path / "gone.json").write_text("{}")
    assert generate.main(["--check"], tmp_path, manifests) == 1
    assert re.findall(r"/(\w+)\.json", capsys.readouterr().err) == ["gone", "probe", "queue"]


@each_panel
def test_every_name_exists_and_the_sides_of_every_operator_match(panel: Panel) -> None:
    assert panel.expressions
    for text in panel.expressions:
        check(text)


@each_panel
def test_a_legend_names_labels_that_the_result_has(panel: Panel) -> None:
    for target in panel.body["targets"]:
        had = expression.labels(expression.parsed(target["expr"]), KNOWN) or frozenset()
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= had


@each_panel
def test_a_panel_says_what_it_shows_in_which_unit_and_why_it_may_be_empty(panel: Panel) -> None:
    defaults = panel.body["fieldConfig"]["defaults"]
    assert panel.body["description"].endswith(".")
    assert defaults["unit"]
    assert {step["color"] for step in defaults["thresholds"]["steps"]} <= COLORS
    assert ("noValue" in defaults) == ("Empty when all is well: " in panel.body["description"])


@each_panel
def test_a_panel_asks_the_chosen_prometheus_for_the_chosen_job(panel: Panel) -> None:
    assert panel.body["datasource"]["uid"] == "${datasource}"
    for text in panel.expressions:
        for selector in expression.selectors(expression.parsed(text)):
            assert "job" in {matcher.name for matcher in selector.matchers.matchers}


@each_panel
def test_a_panel_filters_by_every_label_that_the_dashboard_lets_choose(panel: Panel) -> None:
    variables = {it["name"] for it in BOARDS[panel.board]["templating"]["list"]}
    for text in panel.expressions:
        assert set(re.findall(r"\$(?!__)(\w+)", text)) <= variables
        for selector in expression.selectors(expression.parsed(text)):
            if selector.name != "ALERTS":
                chosen = {matcher.name for matcher in selector.matchers.matchers}
                assert (variables & KNOWN[selector.name]) <= chosen


def test_every_metric_is_on_a_dashboard_or_named_as_not() -> None:
    used = {it.name for panel in PANELS for text in panel.expressions for it in _selected(text)}
    shown = {name for name in METRICS if used & {name, f"{name}_bucket", f"{name}_count"}}
    assert set(METRICS) - shown == set(NOT_SHOWN)


def _selected(text: str) -> list[Any]:
    return list(expression.selectors(expression.parsed(text)))


def test_every_alert_has_a_panel_that_links_to_its_runbook() -> None:
    links = {link["url"] for panel in PANELS for link in panel.body.get("links") or []}
    assert links == {f"${{runbooks}}/{rule.name}.md" for rule in ALERTS}


@pytest.mark.parametrize("name", NAMES)
def test_the_choices_of_a_filter_come_from_a_label_that_exists(name: str) -> None:
    for variable in BOARDS[name]["templating"]["list"]:
        if variable["type"] == "query":
            asked = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
            assert asked
            check(asked[1])
            assert asked[2] in (expression.labels(expression.parsed(asked[1]), KNOWN) or ())


@pytest.mark.parametrize("name", NAMES)
def test_no_panel_lies_on_another_or_beyond_the_edge(name: str) -> None:
    places = [it["gridPos"] for it in BOARDS[name]["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]


def test_the_dashboards_link_to_each_other() -> None:
    for board in BOARDS.values():
        assert [link["tags"] for link in board["links"]] == [[generate.TAG]] == [board["tags"]]
    assert len({board["uid"] for board in BOARDS.values()}) == len(NAMES)
