"""Questions to a log in SQL: reports that are queries, and what is remembered of a log for the next one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from mailstat.database import OF_DELIVERIES, Table
from mailstat.fingerprint import fingerprint
from mailstat.keep import DAMAGED
from mailstat.report import Column, Report, Section

if TYPE_CHECKING:
    from argparse import Namespace

    from mailstat.cache import Cache
    from mailstat.log import Log


_LIMIT = re.compile(r"\s+LIMIT ([0-9]+)\s*$")


class Query(NamedTuple):
    """A section of a report: what is asked for its rows. A parameter `$name` stands for an option of that name."""

    title: str
    columns: Sequence[Column]
    sql: str


def report(
    log: Log,
    options: Namespace,
    name: str,
    title: str,
    queries: Sequence[Query],
    *,
    kinds: Collection[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Report:
    """Read the log into a table and ask it."""
    with table(log, options, [query.sql for query in queries], kinds) as events:
        sections = [section(events, query, parameters or {}) for query in queries]
    log.notes += left_out(sections, options)
    return Report(name, title, sections)


def left_out(sections: Sequence[Section], options: Namespace) -> Iterator[str]:
    """What a format for machines does not tell."""
    in_json = [section for at, section in enumerate(sections) if not at or section.key]
    shown = {"csv": sections, "json": in_json}.get(getattr(options, "format", ""), ())
    for each in shown:
        if each.left_out and (options.limit is None or options.limit > len(each.rows)):
            yield f"{each.title}: {each.left_out:,d} rows more than the {len(each.rows):,d} that are shown"


def section(events: Table, query: Query, parameters: Mapping[str, Any]) -> Section:
    """One question's answer. Where its limit took rows away, they are counted."""
    used = {key: value for key, value in parameters.items() if f"${key}" in query.sql}
    rows = events.ask(query.sql, used)
    limit = _LIMIT.search(query.sql)
    if limit is None or len(rows) < int(limit[1]):
        return Section(query.title, query.columns, rows)
    ((all_rows,),) = events.ask(f"SELECT count(*) FROM ({query.sql[: limit.start()]})", used)  # noqa: S608 - our own
    return Section(query.title, query.columns, rows, all_rows - len(rows))


def words(questions: Iterable[str]) -> frozenset[str]:
    """Those in which questions name columns, and others."""
    found = frozenset(re.findall(r"\w+", " ".join(questions)))
    return found | OF_DELIVERIES if "deliveries" in found else found


@contextmanager
def table(
    log: Log, options: Namespace, questions: Iterable[str], kinds: Collection[str] | None = None
) -> Iterator[Table]:
    """The event table of a log, with what the questions need of the events that the options mean."""
    log.selection = replace(log.selection, where=None)  # the database looks for those
    with Table(words(questions), kinds=kinds, zone=log.zone, where=options.where) as events:
        if not log.cache or not remember(log, log.cache, events):
            log.read(events)
            events.flush()
        yield events


def remember(log: Log, cache: Cache, events: Table) -> bool:
    """Fill the table from what is kept of the log, or read the log and keep what is in it. Whether there was
    anything to remember, or to keep."""
    name = fingerprint(log, ("events",))
    if name is None:
        return False
    for known in cache.names(name):
        path = cache.find(known)
        if path and events.could_recall(path):
            try:
                events.recall(path)
            except DAMAGED:
                events.clear()
                cache.drop(path)
            else:
                return True
    path = cache.begin(name)
    if path is None:
        return False
    with events.kept(path) as copy:
        log.read(events)
        events.flush()
    if copy.is_whole and log.is_whole and name == fingerprint(log, ("events",)):
        cache.keep(path, f"{name}.{events.mark}.parquet")
    else:
        cache.drop(path)
    return True
