"""The command `mailstat`: parse the arguments, ask a report, render."""
# ruff: noqa: PLC0415 - what a command does not need is not imported, so that --help is there at once

from __future__ import annotations

import os
import sys
from argparse import (
    ArgumentParser,
    ArgumentTypeError,
    HelpFormatter,
    Namespace,
    RawDescriptionHelpFormatter,
    _ArgumentGroup,
)
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, NoReturn

from mailstat import render, reports
from mailstat.number import positive
from parsers import __version__

if TYPE_CHECKING:
    from datetime import tzinfo

    from mailstat.filter import Filter
    from mailstat.log import Log
    from mailstat.progress import Bar
    from mailstat.reports import ReportModule

DEFAULT = "summary"
MTAS = ("postfix", "exim", "sendmail", "qmail", "opensmtpd", "exchange", "dovecot")
FLAGS = frozenset({"-h", "--help", "--version"})  # of the shared options, those without a value
DONE, FAILED, WRONG_USAGE, INTERRUPTED, PIPE_BROKEN = 0, 1, 2, 130, 141
DESCRIPTION = "Reports from mail logs: what was sent, what was not, and why."
MOMENTS = "ISO 8601, today, yesterday, now, 2h ago, 3 days ago; a date is its midnight"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 done, 1 no report or not of all files, 2 wrong usage."""
    if sys.stderr is None:  # closed by who called; what is said would get into the report
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    try:
        return run(list(sys.argv[1:] if argv is None else argv), now=time())
    except SystemExit as stop:  # argparse has said what there was to say
        return stop.code if isinstance(stop.code, int) else DONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence()
        return PIPE_BROKEN
    except OSError as error:
        _silence()
        say(f"{error.filename or 'standard output'}: {error.strerror or error}")
        return FAILED


def run(argv: list[str], *, now: float) -> int:
    """One question, at the moment `now`."""
    from mailstat.report import ReportError

    name, rest = choose(argv, list(reports.helps()))
    parser = build_parser(name)
    options = parse(parser, rest)
    settle(options, parser, now)
    try:
        return answer(name or DEFAULT, options)
    except ReportError as error:
        say(*str(error).split("\n"))
        return FAILED


def answer(name: str, options: Namespace) -> int:
    """Make the report and write it; what could not be read is said after it."""
    from mailstat.output import opened

    report = reports.load(name)
    if reports.is_live(report):
        reports.load_live(name).run(options)
        return DONE
    if not reports.reads_log(report):
        return answer_without_log(report, options)
    log = open_log(options)
    with opened(options.output) as out, progress(log) as bar:
        if options.format in reports.formats(report):
            report.write(log, options, out)
            return finish(log)
        made = report.make(log, options)
        if made.records is None or out.isatty():
            bar.stop()
        limited = made if options.limit is None else made.limited(options.limit)
        if options.format == "table" and out.isatty():
            from mailstat.age import with_ages

            limited = with_ages(limited, options.now)
        render.render(options.format, limited, out, zone=options.zone)
    return finish(log)


def finish(log: Log) -> int:
    """Say what could not be read; the exit status."""
    for text in (*log.notes, *log.errors):
        say(text)
    if log.is_interrupted:
        say("interrupted: the report has what was read until then")
        return INTERRUPTED
    return FAILED if log.errors else DONE


def answer_without_log(report: ReportModule, options: Namespace) -> int:
    """Make a report about something else, and write it."""
    from mailstat.output import opened

    with opened(options.output) as out:
        made = report.make(options)
        limited = made if options.limit is None else made.limited(options.limit)
        render.render(options.format, limited, out, zone=options.zone)
    return made.status


def say(*lines: str) -> None:
    """Something for people who do not read the report."""
    from mailstat.cell import visible

    print("mailstat: " + "\n".join(map(visible, lines)), file=sys.stderr)


# --- the arguments ---


class Parser(ArgumentParser):
    """Says what is wrong, without all that would be right."""

    def error(self, message: str) -> NoReturn:
        """Leave with status 2."""
        from mailstat.cell import visible

        lines = "\n".join(map(visible, message.split("\n")))
        self.exit(WRONG_USAGE, f"{self.prog}: {lines}\n")


def choose(argv: list[str], names: Sequence[str]) -> tuple[str | None, list[str]]:
    """The report that the first word names, and the other arguments; None where that word is a file or missing."""
    words = iter(range(len(argv)))
    for at in words:
        if argv[at] in names:
            return argv[at], argv[:at] + argv[at + 1 :]
        if not argv[at].startswith("--") and argv[at] not in FLAGS:
            _check_slip(argv[at], names)
            return None, argv
        if argv[at] == "--":
            return None, argv
        if "=" not in argv[at] and argv[at] not in FLAGS:
            next(words, None)
    return None, argv


def parse(parser: ArgumentParser, words: list[str]) -> Namespace:
    """What the arguments say. After "--" no word is an option; argparse forgets that where options and others mix."""
    at = words.index("--") if "--" in words else len(words)
    options = parser.parse_intermixed_args([*words[:at], *map(_guarded, words[at + 1 :])])
    for name, value in vars(options).items():
        if isinstance(value, list):
            setattr(options, name, list(map(_unguarded, value)))
        else:
            setattr(options, name, _unguarded(value))
    return options


def _guarded(word: str) -> str:
    """No argument holds the sign that is put before a word which looks like an option."""
    return f"\0{word}" if word.startswith("-") and word != "-" else word


def _unguarded(value: Any) -> Any:
    return value.removeprefix("\0") if isinstance(value, str) else value


def build_parser(name: str | None) -> ArgumentParser:
    """The parser of one report; of the default one, with the list of all, where none is named."""
    report = reports.load(name or DEFAULT)
    parser = Parser(
        prog=f"mailstat {name}" if name else "mailstat",
        usage=None if name else "mailstat [REPORT] [options] [FILE ...]",
        description=report.DESCRIPTION if name else DESCRIPTION,
        epilog=None if name else _list_of_reports(),
        formatter_class=HelpFormatter if name else RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(report, parser)
    return parser


def add_options(report: ReportModule, parser: ArgumentParser) -> None:
    """The options of a report, its own and those of all."""
    reports.add_arguments(report, parser)
    if reports.is_live(report):
        _add_choice(parser.add_argument_group("options of a live view"))
    elif reports.reads_log(report):
        _add_log(parser)
    shared = parser.add_argument_group("options of every report")
    if not reports.is_live(report):
        _add_look(shared, reports.formats(report))
    _add_knowledge(shared)


def settle(options: Namespace, parser: ArgumentParser, now: float) -> None:
    """Give the words of the arguments their meaning, now that all of them are known. Leaves where they have none."""
    from exporter.zone import host_zone
    from mailstat.period import read_time

    options.given_zone = options.zone
    options.zone = options.zone or host_zone()
    if options.reasons or options.providers:
        _learn(options, parser)
    if not hasattr(options, "files"):
        return
    options.now = now
    for name in ("since", "until"):
        text = getattr(options, name, None)
        try:
            setattr(options, name, None if text is None else read_time(text, now=now, zone=options.zone))
        except ValueError as error:
            parser.error(f"--{name}: {error}")
    since, until = getattr(options, "since", None), getattr(options, "until", None)
    if since is not None and until is not None and since >= until:
        parser.error("--since is not before --until: nothing can be between them")
    if options.where is not None:
        options.where = _filter(options.where, parser, now, options.zone)


def _add_log(parser: ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE", help="logs, compressed or not; - is standard input; "
                        "without any, those that this host has")  # fmt: skip
    shared = parser.add_argument_group("options of every report on logs")
    _add_period(shared)
    _add_choice(shared)
    shared.add_argument("--year", metavar="YYYY", type=_year, help="of the first line, in logs that do not write it")
    shared.add_argument("--jobs", metavar="N", type=positive, help="processes that read; as many as there are cores")
    shared.add_argument("--no-cache", action="store_false", dest="cache", help="read the logs, even where what was "
                        "found in them is remembered, and keep nothing")  # fmt: skip


def _add_period(shared: _ArgumentGroup) -> None:
    shared.add_argument("--since", metavar="TIME", help=f"from this moment on: {MOMENTS}")
    shared.add_argument("--until", metavar="TIME", help="before this moment")


def _add_choice(shared: _ArgumentGroup) -> None:
    shared.add_argument("--where", metavar="EXPR", help="events that fit, as in: "
                        "status = deferred and to = *@example.com and delay > 5m")  # fmt: skip
    shared.add_argument(
        "--mta", metavar="NAME", choices=MTAS, help=f"events of one kind of server: {', '.join(MTAS)}"
    )


def _add_look(shared: _ArgumentGroup, formats: tuple[str, ...]) -> None:
    shared.add_argument("--limit", metavar="N", type=positive, help="so many rows at most")
    shared.add_argument(
        "--format", choices=[*render.names(), *formats], default="table", help="how the report looks; table"
    )
    shared.add_argument("--output", metavar="FILE", type=Path, help="write to a file, which is there whole or not")


def _add_knowledge(shared: _ArgumentGroup) -> None:
    shared.add_argument("--timezone", metavar="ZONE", type=_zone, dest="zone", help="IANA name of the zone to tell "
                        "times in, and of logs that do not write theirs; the host's")  # fmt: skip
    shared.add_argument("--reasons", metavar="FILE", type=Path, help="rules and classes of reasons of your own")
    shared.add_argument("--providers", metavar="FILE", type=Path, help="providers of your own")
    shared.add_argument("--version", action="version", version=f"mailstat {__version__}")


def _list_of_reports() -> str:
    helps = reports.helps()
    width = max(map(len, helps))
    lines = [f"  {name:{width}}  {text}" for name, text in helps.items()]
    return "\n".join(
        ["reports:", *lines, "", f"Without a name: {DEFAULT}. mailstat REPORT --help tells more of one."]
    )


def _check_slip(word: str, names: Sequence[str]) -> None:
    """A first word that is no file and almost a report is a slip of the finger."""
    if os.sep in word or os.path.lexists(word):
        return
    from difflib import get_close_matches

    near = get_close_matches(word[:40], names, n=1)
    if near:
        Parser(prog="mailstat").error(f'"{word}" is neither a report nor a file: did you mean "{near[0]}"?')


def _learn(options: Namespace, parser: ArgumentParser) -> None:
    """Put the operator's own rules and providers into force. Leaves where they are bad."""
    from exporter import lore
    from exporter.schema import InvalidError

    try:
        lore.install(options.reasons, options.providers)
    except InvalidError as invalid:
        parser.error("\n".join(invalid.errors))


def _filter(text: str, parser: ArgumentParser, now: float, zone: tzinfo) -> Filter:
    from mailstat.filter import FilterError, parse

    try:
        return parse(text, now=now, zone=zone)
    except FilterError as error:
        parser.error(f"--where:\n{error}")


def _year(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1970 <= int(text[:5]) <= 9998):
        raise ArgumentTypeError("a year is needed, as in 2026")
    return int(text)


def _zone(text: str) -> tzinfo:
    from exporter.zone import read_zone

    try:
        return read_zone(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


# --- the log ---


def open_log(options: Namespace) -> Log:
    """The log that the arguments speak of. Raises ReportError where there is none."""
    from mailstat.log import Log, Selection

    where = options.where.matches if options.where else None
    selection = Selection(since=options.since, until=options.until, mta=options.mta, where=where)
    jobs = options.jobs or len(os.sched_getaffinity(0))
    log = Log(_paths(options.files), selection, zone=options.zone, year=options.year, jobs=jobs)
    _check_output(options.output, log.paths)
    if options.cache and not (options.reasons or options.providers):
        from mailstat.cache import user_cache

        log.cache = user_cache()
    return log


def _check_output(output: Path | None, logs: Sequence[Path]) -> None:
    """A slip must not replace a log. Raises ReportError."""
    from mailstat.log import identity
    from mailstat.report import ReportError

    if output is not None and identity(output) in map(identity, logs):
        raise ReportError(f"{output}: is one of the logs that are to be read, and the report would replace it")


@contextmanager
def progress(log: Log) -> Iterator[Bar]:
    """A bar for the reading of the log, where somebody sees it."""
    from mailstat.progress import Bar, total_size

    bar = Bar(total_size(log.paths), sys.stderr)
    if sys.stderr.isatty():
        log.on_read = bar.advance
    try:
        yield bar
    finally:
        bar.stop()


def _paths(names: Sequence[str]) -> list[Path]:
    if names:
        return [Path(name) for name in names]
    from exporter.finder import find_logs
    from mailstat.report import ReportError

    found = find_logs(root=Path("/"))
    if not found:
        raise ReportError("no mail log was found on this host: name the files to read, or - for standard input")
    return found


def _silence() -> None:
    from mailstat.output import silence

    silence()
