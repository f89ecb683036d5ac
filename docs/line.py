"""The page of all line shapes: what each looks like, and the event that it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.markdown import block, code, codes, page, summary
from parsers.events import Origin, as_record
from parsers.mta import postfix
from parsers.reader import understand

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from parsers.shape import Shape

INTRODUCTION = """\
All that is known of Postfix' log, made from the tables in `parsers/mta/postfix`. A line is read in two steps: its
prefix (time, host, program), which may have any form that `parsers/prefix` knows, and its message. The message has
one of the shapes below, or is counted as `unknown`; `mailstat unparsed` shows those, so that a shape can be added.

Each shape is shown as its template and a sample. In a template, `{name}` is a field, `{_}` is text that nobody wants,
`{name:a|b}` is a field that holds one of these words, `[…]` may be missing, `{...}` stands for any ` key=value,`
pairs that a later release may add; `[[` and `{{` are a bracket and a brace of the text itself.

*Ignored* lines are known and of no use to anybody; *malformed* ones have a known beginning and are cut off."""

# What the sample of a shape is read as: delivery agents differ from each other in their events, others do not.
ORIGIN = Origin("postfix", "mail.example.com", "postfix", "smtp", 1234)
COMMON = frozenset({"time", "mta", "host", "service", "program", "pid", "kind"})


def text() -> str:
    """The page."""
    families = [part for family in postfix.FAMILIES for part in _family(family)]
    known = len(postfix.GRAMMAR.shapes)
    return page("Line shapes", INTRODUCTION, f"Postfix: {known} shapes.", *families)


def _family(family: ModuleType) -> Iterator[str]:
    yield f"## {family.__name__.rpartition('.')[2]}"
    yield summary(family.__doc__)
    for row in family.SHAPES:
        yield _outcome(row)
        yield block(row.template, row.sample)


def _outcome(row: Shape) -> str:
    outcome, event = understand(row.sample, 0.0, ORIGIN)
    if event is None:
        return f"*{outcome}*"
    fields = [name for name in as_record(event) if name not in COMMON]
    return f"{code(event.kind)}: {codes(fields)}" if fields else code(event.kind)
