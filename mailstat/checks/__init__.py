"""The checks of `mailstat doctor`: one module for each, found by listing this folder; its name is the check's.

Each has `check(host)`, which yields findings and never raises for what a host has or lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

if TYPE_CHECKING:
    from mailstat.host import Finding, Host


class CheckModule(Protocol):
    """What a module of this folder is."""

    def check(self, host: Host) -> Iterator[Finding]:
        """What is found; something good where nothing is wrong."""


class Checked(NamedTuple):
    """A finding, and the check that found it."""

    check: str
    finding: Finding


def names() -> list[str]:
    """All checks."""
    return sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def run(host: Host) -> list[Checked]:
    """All findings, the worst first."""
    from mailstat.host import SEVERITIES  # noqa: PLC0415 - its imports take longer than the list of names

    found = [Checked(name, finding) for name in names() for finding in _load(name).check(host)]
    return sorted(found, key=lambda it: SEVERITIES.index(it.finding.severity))


def _load(name: str) -> CheckModule:
    return cast("CheckModule", import_module(f"{__name__}.{name}"))
