"""What stands in YAML beside the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

import parsers
from parsers import knowledge
from parsers.reason import Rule, read_rules

FILES = sorted(Path(parsers.__file__).parent.glob("*/*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_file_is_read_as_others_read_it(path: Path) -> None:
    assert knowledge.plain(path.read_bytes()) == yaml.safe_load(path.read_bytes())


def test_there_are_files_in_each_folder_of_knowledge() -> None:
    assert {path.parent.name for path in FILES} == {"reasons", "advice", "providers"}


def test_a_file_is_checked() -> None:
    assert knowledge.read("parsers.reasons", "vague.yaml", list[Rule])
    with pytest.raises(msgspec.ValidationError):
        knowledge.read("parsers.reasons", "vague.yaml", list[int])


# Asks for all that is known, and prints which functions msgspec calls for it.
FIRST_USE = """
import sys
from parsers import explanation, provider, reason
called = set()
sys.setprofile(lambda frame, event, _: called.add(frame.f_code.co_name) if event == "call" else None)
reason.book(), provider.directory(), explanation.kinds(), explanation.procedures(), explanation.blocklists()
sys.setprofile(None)
print(*called & {"read", "get_class_annotations"})
"""


def test_no_type_is_met_for_the_first_time_when_several_threads_may_meet_it() -> None:
    command = [sys.executable, "-c", FIRST_USE]
    done = subprocess.run(command, capture_output=True, check=True, text=True, cwd=Path(parsers.__file__).parents[1])
    assert done.stdout == "read\n"


def test_what_is_not_whole_or_not_plain_is_an_error() -> None:
    with pytest.raises(yaml.YAMLError):
        knowledge.plain(b"- 'open")
    with pytest.raises(ValueError, match="only lists, mappings and texts"):
        knowledge.plain(b"- &name a\n- *name\n")


def test_the_rules_are_read_without_nodes_and_types_of_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take longer than all else that the answer to one question needs."""
    monkeypatch.setattr(yaml, "load", None)
    assert read_rules("replies.yaml")
