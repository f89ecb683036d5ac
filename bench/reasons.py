"""How well the reason classes are told: `make bench-reasons` scores the labelled texts of the shared corpus.

The families of `HELD_BACK` are scored apart: whoever writes rules does not read their texts, so none of them is
printed. Nothing but totals is; `--confusions` adds how often one class is taken for another.

A part's figures: `strict` is the share that has the label `category`, `lenient` the share that has it or one of
`also`. A class that stands in `also` counts as the label itself for macro-F1, which is the mean of the F1 of all
classes that are a label in this part (what is said of a class that is none lowers the precision of nobody, yet the
recall of the label). `wrong` is wrong suppression: the share of all texts that are not the recipient's fault and yet
are classed as a dead address, and not so in `also`. Times are of the classifier alone: `cold` of a text never seen,
`warm` of one that came before.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from statistics import mean
from time import process_time
from typing import TYPE_CHECKING, Any, NamedTuple

from parsers.provider import provider_of_domain, provider_of_relay
from parsers.reason import book, fold, judge, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BOUNCES = Path(__file__).parents[2] / "shared" / "corpus" / "bounces"
HELD_BACK = ("sisimai-comments", "sisimai-tests", "zone-mta")
DEAD = frozenset({"user_unknown", "mailbox_disabled", "domain_not_found", "no_mx"})
OF_RECIPIENT = DEAD | {"mailbox_full", "recipient_restricted"}
PHASES = {"HELO": "ehlo", "EHLO": "ehlo", "MAIL": "mail", "RCPT": "rcpt", "DATA": "data"}
HEADER = ("part", "texts", "strict", "lenient", "macro-F1", "unclassified", "wrong", "us cold", "us warm")


class Case(NamedTuple):
    """A labelled text, with what is known of its reply."""

    family: str
    text: str
    code: int | None
    dsn: str | None
    phase: str | None
    provider: str | None
    label: str
    also: frozenset[str]


class Answer(NamedTuple):
    """What the classifier says of a case, and what it cost in seconds the first time and the next."""

    case: Case
    given: str
    cold: float
    warm: float

    @property
    def is_right(self) -> bool:
        """Whether it is the label, or one that is not wrong either."""
        return self.given == self.case.label or self.given in self.case.also

    @property
    def is_wrong_suppression(self) -> bool:
        """Whether somebody would stop writing to an address that is not at fault."""
        return self.given in DEAD and not self.is_right and self.case.label not in OF_RECIPIENT


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--confusions", action="store_true", help="print which class is taken for which, how often")
    parser.add_argument("folder", nargs="?", type=Path, default=BOUNCES, help="labelled texts, a JSON object a line")
    options = parser.parse_args()
    cases = list(read(options.folder))
    if not cases:
        sys.exit(f"{options.folder}: no labelled texts")
    book()
    print(*HEADER, sep="\t")
    answers = [ask(case) for case in cases]
    held = [answer for answer in answers if answer.case.family in HELD_BACK]
    for family in HELD_BACK:
        show(family, [answer for answer in held if answer.case.family == family])
    show("held back", held)
    show("open", [answer for answer in answers if answer.case.family not in HELD_BACK])
    if options.confusions:
        show_confusions(held)


def read(folder: Path) -> Iterator[Case]:
    """The labelled texts of all files in a folder."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield case_of(json.loads(line))


def case_of(row: dict[str, Any]) -> Case:
    """One record of the set."""
    domain = row["relay_domain"] or ""
    return Case(
        row["family"],
        row["text"],
        int(row["code"]) if row["code"] else None,
        row["enhanced"],
        PHASES.get(row["command"] or ""),
        provider_of_relay(domain) or provider_of_domain(domain),
        row["category"],
        frozenset(row["also"]),
    )


def ask(case: Case) -> Answer:
    """The class of a text that is not in any cache, and the time of asking twice."""
    fold.cache_clear()
    judge.cache_clear()
    start = process_time()
    given = reason_of(case.text, case.code, case.dsn, case.phase, case.provider)
    between = process_time()
    reason_of(case.text, case.code, case.dsn, case.phase, case.provider)
    return Answer(case, given, between - start, process_time() - between)


def show(name: str, answers: list[Answer]) -> None:
    """One line of the table."""
    if not answers:
        return
    figures = (
        mean(answer.given == answer.case.label for answer in answers),
        mean(answer.is_right for answer in answers),
        macro_f1(answers),
        mean(answer.given == "unclassified" and answer.case.label != "unclassified" for answer in answers),
        mean(answer.is_wrong_suppression for answer in answers),
    )
    times = (1e6 * mean(answer.cold for answer in answers), 1e6 * mean(answer.warm for answer in answers))
    print(name, len(answers), *(f"{x:.3f}" for x in figures), *(f"{x:.1f}" for x in times), sep="\t")


def macro_f1(answers: Iterable[Answer]) -> float:
    """The mean of the classes' F1; a class that is not wrong counts as the label."""
    hits: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    given: Counter[str] = Counter()
    for answer in answers:
        label = answer.given if answer.is_right else answer.case.label
        labels[label] += 1
        given[answer.given] += 1
        hits[label] += answer.given == label
    return mean(2 * hits[label] / (labels[label] + given[label]) for label in labels)


def show_confusions(answers: list[Answer]) -> None:
    """Which class was taken for which."""
    wrong = Counter((answer.case.label, answer.given) for answer in answers if not answer.is_right)
    for (label, given), count in wrong.most_common():
        print(f"{count:4} {label} -> {given}")


if __name__ == "__main__":
    main()
