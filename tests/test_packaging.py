"""What is shipped: the wheel holds all that runs and nothing else; the image starts it as nobody in particular."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("parsers", "exporter", "mailstat")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def metadata(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (path for path in archive.namelist() if path.endswith(f".dist-info/{name}"))
        return archive.read(path).decode()


def shipped() -> list[str]:
    """The files of the packages, code and data."""
    files = (path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file())
    return sorted(str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc")


def test_its_top_level_is_the_three_packages(names: list[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_it_holds_every_file_of_the_packages(names: list[str]) -> None:
    assert sorted(name for name in names if ".dist-info/" not in name) == shipped()


@pytest.mark.parametrize(
    "name",
    [
        "parsers/reasons/replies.yaml",
        "parsers/providers/providers.yaml",
        "exporter/demo.yml",
        "mailstat/render/page.css",
    ],
)
def test_it_holds_the_knowledge(names: list[str], name: str) -> None:
    assert name in names


@pytest.mark.parametrize("package", PACKAGES)
def test_it_says_that_it_has_types(names: list[str], package: str) -> None:
    assert f"{package}/py.typed" in names


def test_it_installs_the_two_commands(wheel: Path) -> None:
    entries = ConfigParser()
    entries.read_string(metadata(wheel, "entry_points.txt"))
    assert dict(entries["console_scripts"]) == {
        "mailstat": "mailstat.cli:main",
        "mailstat_exporter": "exporter.cli:main",
    }


def test_it_tells_its_licence_and_the_least_python(wheel: Path, names: list[str]) -> None:
    lines = metadata(wheel, "METADATA").splitlines()
    assert "License-Expression: GPL-3.0-or-later" in lines
    assert "Requires-Python: >=3.11" in lines
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_rules_can_be_read_out_of_it(wheel: Path, tmp_path: Path) -> None:
    """From the wheel unpacked, with nothing of the repository beside it."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    ask = "from parsers import reason; print(reason.__file__, len(reason.book().sure.rules))"
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-P", "-c", ask], cwd=tmp_path, env=env, capture_output=True, check=True)
    file, rules = done.stdout.decode().split()
    assert Path(file).is_relative_to(tmp_path)
    assert int(rules) > 0


# --- the environment ---


def test_a_python_that_is_too_old_or_broken_is_refused_with_advice(tmp_path: Path) -> None:
    command = [str(ROOT / "tools" / "environment.sh"), str(tmp_path / "venv")]
    done = subprocess.run(command, env={**os.environ, "PYTHON": "false"}, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


# --- the image ---


def instructions() -> list[tuple[str, str]]:
    """The instructions of the image's last stage."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    rows = [line.split(maxsplit=1) for line in text.splitlines() if line and not line.startswith("#")]
    last = max(index for index, (word, _) in enumerate(rows) if word == "FROM")
    return [(word, rest) for word, rest in rows[last:]]


def instruction(name: str) -> str:
    (rest,) = (rest for word, rest in instructions() if word == name)
    return rest


def test_the_image_is_made_in_two_stages() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert len(re.findall("^FROM ", text, re.MULTILINE)) == 2
    assert not any(word == "RUN" for word, _ in instructions())


def test_the_image_runs_as_somebody_without_rights() -> None:
    user, _, group = instruction("USER").partition(":")
    assert int(user) > 0
    assert int(group) > 0


def test_python_in_the_image_does_not_import_from_where_it_stands() -> None:
    assert "PYTHONSAFEPATH=1" in instruction("ENV").split()


def test_the_image_starts_a_command_that_is_installed_without_a_shell() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    for name in ("ENTRYPOINT", "HEALTHCHECK"):
        assert re.search(r'\["(?:mailstat_exporter|python)".*\]$', instruction(name))
    assert re.match(r'\["(\w+)"', instruction("ENTRYPOINT"))[1] in scripts  # type: ignore[index]


def test_what_the_image_is_built_from_is_let_through() -> None:
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    sources = [word for line in re.findall("^COPY (?!--)(.*) ", text, re.MULTILINE) for word in line.split()]
    assert set(PACKAGES) <= set(sources)
    for name in sources:
        assert (ROOT / name).exists()
        assert f"!{name}" in let_through
