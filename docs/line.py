"""The page of all line shapes: what each looks like, and the event that it gives."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from docs.markdown import block, code, codes, page, summary
from parsers.events import Origin, as_record
from parsers.mta import SERVERS
from parsers.reader import understand
from parsers.signers import SIGNERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from parsers.server import Server
    from parsers.shape import Shape

INTRODUCTION = """\
All that is known of the mail servers' logs, made from the tables in `parsers/mta`. A line is read in two steps: its
prefix (time, host, program), which may have any form that `parsers/prefix` knows, and its message. The message has
one of the shapes below, or is counted as `unknown`; `mailstat unparsed` shows those, so that a shape can be added.

Each shape is shown as its template and a sample. In a template, `{name}` is a field, `{_}` is text that nobody wants,
`{name:a|b}` is a field that holds one of these words, `[…]` may be missing, `{...}` stands for any ` key=value,`
pairs that a later release may add; `[[` and `{{` are a bracket and a brace of the text itself.

*Ignored* lines are known and of no use to anybody; *malformed* ones have a known beginning and are cut off."""

SIGNING = """\
Of these programs' lines only the DKIM selector is of use, and only to [posture](posture.md): which keys a domain of
ours needs in the DNS. They are counted as `ignored`, and give no event. They may stand in the
mail server's log, or in one of their own, which has to be among the sources then. Of each domain of a posture so many
are remembered as were seen last, for five days. That a server or a filter verified a signature, as Exim says it
(`DKIM: d=…`), is not looked at; Exim logs nothing of what it signs itself."""

COMMON = frozenset({"time", "mta", "host", "service", "program", "pid", "kind"})


def text() -> str:
    """The page."""
    servers = [part for server in SERVERS.values() if server.grammar for part in _server(server)]
    return page("Line shapes", INTRODUCTION, *servers, *_signers())


def _signers() -> Iterator[str]:
    yield "## What signs mail"
    yield SIGNING
    for signer in dict.fromkeys(SIGNERS.values()):
        yield f"### {signer.name}"
        yield summary(import_module(f"parsers.signers.{signer.grammar.mta}").__doc__)
        for row in signer.grammar.shapes:
            yield block(row.template, row.sample)


def _server(server: Server) -> Iterator[str]:
    module = import_module(f"parsers.mta.{server.mta}")
    yield f"## {server.name}"
    if server.grammar:
        yield f"{len(server.grammar.shapes)} shapes. {summary(module.__doc__)}"
    for family in getattr(module, "FAMILIES", (module,)):
        yield from _family(server, family)


def _family(server: Server, family: ModuleType) -> Iterator[str]:
    name = family.__name__.rpartition(".")[2]
    if name != server.mta:
        yield f"### {server.name}: {name}"
        yield summary(family.__doc__)
    for row in family.SHAPES:
        yield _outcome(server, row)
        yield block(row.template, row.sample)


def _outcome(server: Server, row: Shape) -> str:
    # Delivery agents of Postfix differ from each other in their events, other programs do not.
    outcome, events = understand(row.sample, 0.0, Origin(server.mta, "mail.example.com", server.mta, "smtp", 1234))
    if not events:
        return f"*{outcome}*"
    event = events[0]
    fields = [name for name in as_record(event) if name not in COMMON]
    return f"{code(event.kind)}: {codes(fields)}" if fields else code(event.kind)
