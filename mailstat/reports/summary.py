"""The whole of a log on one page: what came, what went, what failed and why."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mailstat.report import Column, Report, Section

if TYPE_CHECKING:
    from mailstat.figures import Summary
    from mailstat.log import Log
    from parsers.speaker import Tally

NAME = "summary"
HELP = "the whole log on one page: messages, deliveries, providers, reasons, rejects, logins"
DESCRIPTION = (
    "What came, what went, what failed and why. Deliveries count recipients and attempts, as the log has them: a "
    "message to three recipients that is deferred twice for one of them makes five."
)
STATUSES = ("sent", "deferred", "bounced", "expired")
EXAMPLE = 100  # characters of an example that people see; a document for machines has all of it
OUTCOMES = ("parsed", "ignored", "unknown", "malformed")


def make(log: Log, options: Namespace) -> Report:
    """Read the log and add it up, or remember what that gave."""
    import json  # noqa: PLC0415

    from mailstat.fingerprint import fingerprint  # noqa: PLC0415
    from mailstat.overview import figures  # noqa: PLC0415

    if options.format == "html":
        return _drawn(log)
    question = (NAME, options.where and options.where.condition)
    name = fingerprint(log, question) if log.cache else None
    known = log.cache.text(f"{name}.json") if log.cache and name else None
    document = json.loads(known) if known else _read(log)
    if log.cache and name and log.is_whole and not known and name == fingerprint(log, question):
        log.cache.keep_text(f"{name}.json", json.dumps(document).encode())
    return Report(NAME, "Summary", _sections(document), document=document, figures=figures(document))


def _drawn(log: Log) -> Report:
    """The same with pictures, which need more than the numbers: they are not remembered."""
    from mailstat.figures import Summary  # noqa: PLC0415 - the help of all reports must not wait for it
    from mailstat.overview import charts, figures  # noqa: PLC0415
    from mailstat.together import Together  # noqa: PLC0415
    from mailstat.traffic import Traffic  # noqa: PLC0415

    summary, traffic = Summary(), Traffic()
    log.read(Together(summary, traffic))
    document = _settled(log, summary)
    return Report(
        NAME,
        "Summary",
        _sections(document),
        document=document,
        figures=figures(document),
        charts=charts(document, summary, traffic, log.zone),
        period=None if summary.first is None or summary.last is None else (summary.first, summary.last),
    )


def _read(log: Log) -> dict[str, Any]:
    from mailstat.figures import Summary  # noqa: PLC0415 - the help of all reports must not wait for it

    summary = Summary()
    log.read(summary)
    return _settled(log, summary)


def _settled(log: Log, summary: Summary) -> dict[str, Any]:
    from parsers.clock import rfc3339  # noqa: PLC0415
    from parsers.speaker import Tally  # noqa: PLC0415

    lines = Tally()
    summary.settle()
    for tally in log.tallies.values():
        lines.add(tally)
    return _document(summary, lines, lambda time: rfc3339(time, log.zone))


def _document(summary: Summary, lines: Tally, shown: Callable[[float], str]) -> dict[str, Any]:
    first, last = (None if time is None else shown(time) for time in (summary.first, summary.last))
    return {
        "period": {"first": first, "last": last},
        "lines": {"total": lines.lines} | {outcome: getattr(lines, outcome) for outcome in OUTCOMES},
        "messages": {
            "received": summary.received,
            "bytes": summary.size,
            "removed": summary.removed,
            "notifications": summary.notifications,
        },
        "deliveries": summary.statuses(),
        "rejects": {"total": summary.rejects.total(), "by_reason": _most_first(summary.rejects)},
        "auth": {result: summary.logins[result] for result in ("success", "failure")},
        "connections": summary.connections,
        "delay": summary.delay(),
        "providers": summary.providers(),
        "reasons": summary.reasons(),
    }


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


# --- for people ---


def _sections(document: dict[str, Any]) -> list[Section]:
    period, lines, messages = document["period"], document["lines"], document["messages"]
    counts = [
        ("first event", period["first"] or "-"),
        ("last event", period["last"] or "-"),
        ("lines", _counted(lines, ("total",)) + _parts(lines, OUTCOMES)),
        ("messages received", f"{messages['received']:,}"),
        ("messages removed", f"{messages['removed']:,}"),
        ("notifications sent", f"{messages['notifications']:,}"),
        ("connections", f"{document['connections']:,}"),
        ("logins", _parts(document["auth"], ("success", "failure")).strip(" ()")),
    ]
    providers = ("provider", *STATUSES, "delay_p50", "delay_p90")
    kinds = ("text", *("number",) * 4, "seconds", "seconds")
    return [
        Section("Overview", (Column("what"), Column("value")), counts),
        _table(
            "Deliveries",
            [document["deliveries"] | {f"delay_{k}": v for k, v in document["delay"].items()}],
            (*STATUSES, "delay_p50", "delay_p90", "delay_p99", "delay_max"),
            (*("number",) * 4, *("seconds",) * 4),
        ),
        _table("Deliveries by provider", document["providers"], providers, kinds),
        _table(
            "Failures by reason",
            [row | {"example": _short(row["example"])} for row in document["reasons"]],
            ("status", "reason", "count", "example"),
            ("text", "text", "number", "text"),
        ),
        Section(
            "Rejects by reason",
            (Column("reason"), Column("count", "number")),
            list(document["rejects"]["by_reason"].items()),
        ),
    ]


def _table(
    title: str, records: Iterable[Mapping[str, Any]], names: tuple[str, ...], kinds: tuple[Any, ...]
) -> Section:
    columns = [Column(name, kind) for name, kind in zip(names, kinds, strict=True)]
    return Section(title, columns, [[record[name] for name in names] for record in records])


def _short(example: str) -> str:
    return example if len(example) <= EXAMPLE else f"{example[: EXAMPLE - 1]}…"


def _counted(counts: Mapping[str, int], names: tuple[str, ...]) -> str:
    return f"{sum(counts[name] for name in names):,}"


def _parts(counts: Mapping[str, int], names: tuple[str, ...]) -> str:
    return " (" + ", ".join(f"{counts[name]:,} {name}" for name in names) + ")"
