"""What holds of the logs of every real server; what each of them did is held against its log in tests/parsers/mta."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from parsers.events import as_record
from tests.lab import FORMS, Form, folders, forms, name, read_in_blocks, read_lab, runs

RUNS = [run for mta in FORMS for run in runs(mta)]
pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not RUNS, reason="the shared logs are not here")]
each_run = pytest.mark.parametrize("run", RUNS, ids=name)


@each_run
def test_every_line_is_known(run: tuple[Path, Form]) -> None:
    lab = read_lab(*run)
    assert lab.outcomes.total() == len(lab.lines)
    assert lab.strange == []


@each_run
@pytest.mark.parametrize("size", [1, 1_000_000])
def test_the_events_are_the_same_however_the_log_is_cut(run: tuple[Path, Form], size: int) -> None:
    assert list(map(as_record, read_in_blocks(*run, size).events)) == list(map(as_record, read_lab(*run).events))


@pytest.mark.parametrize("mta", FORMS)
def test_logs_that_differ_in_form_have_the_same_events(mta: str) -> None:
    for folder in folders(mta):
        kinds = [Counter(map(type, read_lab(folder, form).events)) for form in forms(folder, mta)]
        assert all(other == kinds[0] for other in kinds)
