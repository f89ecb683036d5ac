"""YAML where PyYAML was built without libyaml, as it is where no wheel fits the host."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from yaml.cyaml import CParser

import parsers
from parsers.yamlparser import PlainParser

FILES = sorted(Path(parsers.__file__).parent.glob("*/*.yaml"))
ROOT = Path(parsers.__file__).parents[1]

# What an import of the extension says where there is none.
WITHOUT_LIBYAML = "import sys; sys.modules['yaml._yaml'] = None\n"

HOSTILE = {
    "no character": 'a: "\\Uffffffff"',
    "behind the last character": 'a: "\\U00110000"',
    "halves of a character": 'a: "\\ud800\\udc00"',
    "a version": "%YAML 1." + "1" * 9000 + "\n---\na",
    "a control character": "ä\nä\nä: \x01",
    "open": "a: [",
    "a tab": "a:\n\tb",
    "two documents' ends": "a\n...\n...\n- b: ]",
}


def run(code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", WITHOUT_LIBYAML + code, *arguments]
    return subprocess.run(command, capture_output=True, check=True, text=True, cwd=ROOT).stdout


def events(parser: type, text: str | bytes) -> list[str]:
    return [str(event) for event in yaml.parse(text, Loader=parser)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_both_tell_the_same_of_what_we_know(path: Path) -> None:
    assert events(PlainParser, path.read_bytes()) == events(CParser, path.read_bytes())


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_both_refuse_the_same(text: str) -> None:
    for parser in (CParser, PlainParser):
        with pytest.raises(yaml.YAMLError):
            events(parser, text)


def test_both_call_the_same_place_that_of_a_control_character() -> None:
    places = []
    for parser in (CParser, PlainParser):
        with pytest.raises(yaml.reader.ReaderError) as caught:
            events(parser, HOSTILE["a control character"])
        places.append(caught.value.position)
    assert places == [len("ä\nä\nä: ".encode())] * 2


def test_what_we_know_is_read_without_libyaml() -> None:
    assert run("from parsers.reason import read_rules; print(len(read_rules('replies.yaml')) > 9)") == "True\n"


def test_a_configuration_is_read_and_refused_without_libyaml(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text("sources: [{file: mail.log}]\nlabels: {providers: 5}\n")
    bad.write_text(f"labels: {'[' * 1000}")
    code = """
from pathlib import Path
from exporter.config import ConfigError, load_config
print(load_config(Path(sys.argv[1])).labels.providers)
try:
    load_config(Path(sys.argv[2]))
except ConfigError as error:
    print(*error.errors)
"""
    assert run(code, str(good), str(bad)) == f"5\n{bad}: nested too deeply\n"
