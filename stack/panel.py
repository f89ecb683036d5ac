"""The panels of the dashboards, as Grafana would ask for them: all is chosen in every filter."""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from stack.ground import ROOT

FOLDER = ROOT / "dashboards/grafana"
VARIABLE = re.compile(r"\$(?!__)\w+")


class Target(NamedTuple):
    """One query of a panel."""

    ref: str
    expression: str
    legend: str
    is_instant: bool

    def asked(self, *, rate_interval: str, time_range: str) -> str:
        """The expression, for a picture over so long a range."""
        text = self.expression.replace("$__rate_interval", rate_interval).replace("$__range", time_range)
        return VARIABLE.sub(".*", text)


class Panel(NamedTuple):
    """A panel of a board; `body` is all of its JSON."""

    board: str
    title: str
    kind: str
    body: dict[str, Any]

    @property
    def targets(self) -> list[Target]:
        return [
            Target(it["refId"], it["expr"], it.get("legendFormat", ""), bool(it.get("instant")))
            for it in self.body["targets"]
        ]

    @property
    def empty(self) -> str:
        """Why it may show nothing while all is well, "" where it always shows something."""
        return str(self.body["fieldConfig"]["defaults"].get("noValue", ""))


def boards() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def bodies(board: str) -> list[dict[str, Any]]:
    """The JSON of all panels and headings of a board, in their order."""
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{board}.json").read_text())["panels"]
    return found


def read() -> list[Panel]:
    """All panels of all boards, in their order."""
    return [
        Panel(name, body["title"], body["type"], body)
        for name in boards()
        for body in bodies(name)
        if body["type"] != "row"
    ]
