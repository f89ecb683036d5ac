"""The documentation says what the code does."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from docs import event, generate, metric
from exporter.demo import PostfixTraffic
from exporter.metrics.catalogue import METRICS
from parsers import __version__
from parsers.events import CONTEXT, KINDS, Event

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "dashboards" / "README.md"]
MODULES = [
    path for name in ("parsers", "exporter", "mailstat", "docs", "bench") for path in (ROOT / name).rglob("*.py")
]


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page that are in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_the_pages_made_from_the_code_are_current() -> None:
    assert list(generate.stale(ROOT / "docs")) == []


def test_a_page_that_is_not_current_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    (tmp_path / "metrics.md").write_text("old")
    (tmp_path / "lines.md").unlink()
    assert generate.main(["--check"], tmp_path) == 1
    assert re.findall(r"^docs/(\S+)", capsys.readouterr().err, re.MULTILINE) == ["lines.md", "metrics.md"]


def test_every_metric_is_documented_with_its_labels() -> None:
    page = metric.text()
    assert all(f"\n| `{name}` | {row.type} |" in page for name, row in METRICS.items())
    assert set(metric.LABELS) == {label for row in METRICS.values() for label in row.labels}


def test_every_metric_that_a_page_names_exists() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"\b((?:mail|mailstat)_[a-z_]+_(?:total|seconds|bytes|info))\b", text))
    assert named
    assert named <= set(METRICS)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_of_an_event_has_a_meaning(kind: type[Event]) -> None:
    assert f"\n## {kind.kind}\n" in event.text()
    assert set(event.fields(kind)) <= set(event.FIELDS)


def test_no_meaning_is_of_a_field_that_is_gone() -> None:
    known = {name for kind in KINDS for name in kind.__struct_fields__} - CONTEXT - {"time", "origin"}
    assert set(event.FIELDS) == known


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```|``.*?``|`.*?`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        name, _, anchor = target.partition("#")
        linked = (page.parent / name) if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[0] == __version__


def test_the_targets_of_make_that_pages_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE))
    assert {"run", "test"} <= named <= targets


def test_the_readme_begins_with_the_two_commands() -> None:
    assert blocks(ROOT / "README.md", "sh")[0] == "make run\nmake test\n"


COMMANDS = [line for block in blocks(ROOT / "README.md", "sh") for line in block.splitlines() if line[:5] != "make "]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_of_the_readme_work(command: str, tmp_path: Path) -> None:
    """In a folder with a log and with the configuration of the page."""
    traffic = PostfixTraffic(Random(1), rate=5.0, start=1_767_571_200.0)
    (tmp_path / "mail.log").write_text("".join(f"{line}\n" for _, line in islice(traffic, 3000)), encoding="utf-8")
    (tmp_path / "mailstat.yml").write_text(blocks(ROOT / "README.md", "yaml")[0], encoding="utf-8")
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        ["sh", "-ec", command],
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout or done.stderr or (tmp_path / "report.html").read_text().endswith("</html>\n")
