"""Logs of real mail servers, with the truth beside them.

A run is a folder with the log of one server (in several forms, or in two files where each of its instances writes its
own), a `summary.json`, and the truth: one JSON object for each thing that a scripted client, a scripted destination
or the operator did. MAILSTAT_LAB names further folders of the same make (separated as in PATH).
"""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from parsers.clock import Clock
from parsers.events import Event
from parsers.reader import LogReader
from parsers.tracker import Tracker

SHARED = Path(__file__).parents[1] / "../shared/lab"
# One log in several forms, or its halves.
SYSLOG = (("mail.log",), ("mail.iso.log",), ("mail.rfc5424.log",))
FORMS = {
    "postfix": (("mail.log", "mail-out.log"), *SYSLOG[1:]),
    "exim": (("mainlog",), *SYSLOG),
    "sendmail": SYSLOG,
    "opensmtpd": SYSLOG,
}
BLOCK = 300  # lines

Form = tuple[str, ...]
Kind = TypeVar("Kind", bound=Event)


class Lab(NamedTuple):
    """One run in one form: the events of its logs in context, and the truth."""

    folder: Path
    form: Form
    events: list[Event]
    truth: list[dict[str, Any]]
    files: list[list[str]]  # lines
    outcomes: Counter[str]
    strange: list[str]
    in_flight: int

    @property
    def lines(self) -> list[str]:
        return [line for lines in self.files for line in lines]

    def all(self, kind: type[Kind]) -> Iterator[Kind]:
        return (event for event in self.events if type(event) is kind)

    def told(self, *what: str) -> Iterator[dict[str, Any]]:
        return (told for told in self.truth if told["ev"] in what)


def read_text(folder: Path, name: str) -> str | None:
    """A file of a run, compressed or not; None where it has none."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            content = path.read_bytes()
            plain = gzip.decompress(content) if path.suffix == ".gz" else content
            return plain.decode("utf-8", "surrogateescape")
    return None


def summary(folder: Path) -> dict[str, Any]:
    """What the run says of itself."""
    document: dict[str, Any] = json.loads(read_text(folder, "summary.json") or "{}")
    return document


def folders(mta: str) -> list[Path]:
    """The runs of one server."""
    more = map(Path, filter(None, os.environ.get("MAILSTAT_LAB", "").split(":")))
    return [folder for folder in (*sorted(SHARED.glob("*-*")), *more) if summary(folder).get("mta") == mta]


def forms(folder: Path, mta: str) -> list[Form]:
    """The forms in which a run has its log."""
    return [form for form in FORMS[mta] if any(read_text(folder, name) is not None for name in form)]


def runs(mta: str) -> list[tuple[Path, Form]]:
    """All that there is of one server to be read."""
    return [(folder, form) for folder in folders(mta) for form in forms(folder, mta)]


def name(run: tuple[Path, Form]) -> str:
    """What a test calls a run."""
    return f"{run[0].name}-{run[1][0]}"


def read_truth(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (read_text(folder, "truth.jsonl") or "").splitlines()]


def clock(truth: list[dict[str, Any]]) -> Clock:
    """That of whoever reads the log when the run is over."""
    return Clock(UTC, lambda: truth[-1]["t"])


@lru_cache
def read_lab(folder: Path, form: Form) -> Lab:
    return read_in_blocks(folder, form, BLOCK)


def read_in_blocks(folder: Path, form: Form, size: int) -> Lab:
    """A run, of which so many lines are read at once."""
    truth, tracker = read_truth(folder), Tracker()
    lab = Lab(folder, form, [], truth, [], Counter(), [], 0)
    for text in (text for file in form if (text := read_text(folder, file)) is not None):
        reader = LogReader(clock(truth), lambda outcome, message: lab.strange.append(f"{outcome}: {message}"))
        lines = text.splitlines(keepends=True)
        lab.files.append(lines)
        for start in range(0, len(lines), size):
            events = reader.read("".join(lines[start : start + size]))
            tracker.follow(events)
            lab.events.extend(events)
        for tally in reader.tallies.values():
            lab.outcomes.update({it: getattr(tally, it) for it in ("parsed", "ignored", "unknown", "malformed")})
    return lab._replace(in_flight=sum(tracker.in_flight().values()))


def domain(address: str) -> str:
    return address.rpartition("@")[2]
