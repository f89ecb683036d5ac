"""From files to families, in one process, step by step."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from random import Random

import pytest

from exporter.config import Config, Labels, LogSource
from exporter.demo import PostfixTraffic
from exporter.metrics.catalogue import METRICS
from exporter.pipeline import Pipeline

NOW = 1_790_000_600.0
START = 1_790_000_000.0
LINES = 20_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "mail.log"
    traffic = PostfixTraffic(Random(5), rate=20.0, start=START, rfc3339=True)
    path.write_text("".join(f"{line}\n" for _, line in islice(traffic, LINES)))
    return path


def pipeline(*logs: Path, state: Path | None = None, providers: int = 32) -> Pipeline:
    sources = tuple(LogSource(file=log) for log in logs)
    return Pipeline(Config(sources=sources, labels=Labels(providers=providers)), state, lambda: NOW)


def lines(made: Pipeline) -> list[int]:
    return [source.lines for source in made.sources()]


def finish(made: Pipeline) -> None:
    while made.step():
        pass


def test_a_slice_of_each_log_is_read_at_a_time(log: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.log"
    small.write_text(log.read_text()[:5000].rpartition("\n")[0] + "\n")
    made = pipeline(log, small)
    assert made.step()
    first, second = lines(made)
    assert 0 < first < LINES
    assert second == small.read_text().count("\n")
    lag = made.sources()[0].lag_bytes
    assert lag is not None
    assert 0 < lag < log.stat().st_size
    finish(made)
    assert lines(made) == [LINES, second]
    assert made.sources()[0].lag_bytes == 0
    made.close()


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    made = pipeline(tmp_path / "mail.log")
    assert not made.step()
    (view,) = made.sources()
    assert (view.is_up, view.state, view.lines, view.last_event) == (False, "waiting", 0, None)
    assert "No such file" in (view.error or "")


def test_the_lag_in_seconds_is_the_age_of_the_last_line_while_there_is_more(log: Path) -> None:
    made = pipeline(log)
    made.step()
    (view,) = made.sources()
    assert view.last_event is not None
    assert view.lag_seconds == max(NOW - view.last_event, 0.0) > 0
    finish(made)
    assert made.sources()[0].lag_seconds == 0
    made.close()


def test_every_family_is_of_the_catalogue_and_comes_once(log: Path) -> None:
    made = pipeline(log)
    finish(made)
    names = [it.name + ("_total" if it.type == "counter" else "") for it in made.collect()]
    assert len(names) == len(set(names))
    assert set(names) <= set(METRICS)
    made.close()


def test_a_source_without_state_is_read_from_its_start_again(log: Path) -> None:
    for _ in range(2):
        made = pipeline(log)
        finish(made)
        assert lines(made) == [LINES]
        made.close()


def test_logs_of_the_same_name_have_places_of_their_own(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "mail.log"
    other.parent.mkdir()
    other.write_text(log.read_text()[:5000].rpartition("\n")[0] + "\n")
    state = tmp_path / "state"
    state.mkdir()
    for _ in range(2):
        made = pipeline(log, other, state=state)
        finish(made)
        made.close()
    assert lines(made) == [LINES, other.read_text().count("\n")]


def test_a_configuration_keeps_what_it_still_follows(log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    other.write_text("")
    made = pipeline(log, other)
    finish(made)
    made.configure(Config(sources=(LogSource(file=log),), timezone=None))
    assert not made.step()
    assert lines(made) == [LINES]
    made.close()


def series(made: Pipeline, family: str, label: str) -> set[str]:
    return {sample.labels[label] for it in made.collect() if it.name == family for sample in it.samples}


@pytest.mark.parametrize("providers", [1, 3])
def test_so_many_providers_have_a_label(log: Path, providers: int) -> None:
    made = pipeline(log, providers=providers)
    finish(made)
    assert len(series(made, "mail_delivery_seconds", "provider") - {"", "other"}) == providers
    made.close()


def budgets(made: Pipeline) -> dict[str, float]:
    finish(made)
    made.close()
    found = (it for it in made.collect() if it.name == "mailstat_series_dropped")
    return {sample.labels["metric"]: sample.value for it in found for sample in it.samples}


def test_budgets_that_hold_are_zero_and_not_absent(log: Path) -> None:
    holds, breaks = (budgets(pipeline(log, providers=providers)) for providers in (1000, 1))
    assert holds.keys() == breaks.keys()
    assert holds["mail_deliveries_total"] == 0 < breaks["mail_deliveries_total"]
