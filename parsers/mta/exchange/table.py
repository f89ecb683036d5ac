"""A log file of Exchange: rows, and the headers between them that tell what their columns are.

A header is `#Software`, `#Version`, `#Log-type`, `#Date`, `#Fields`; there may be several in a file, or none at all
(an exporter that goes on where it was stopped does not see it again): then the number of columns tells.
"""

from __future__ import annotations

from typing import Protocol

from parsers.events import Event
from parsers.mta.exchange import legacy, protocol, tracking
from parsers.mta.exchange.row import read_time, split
from parsers.server import Strange

TRACKING = "Message Tracking Log"
RECEIVE = "SMTP Receive Protocol Log"
SEND = "SMTP Send Protocol Log"
LAYOUTS = 20  # that one file may have
NO_ROW = "#\ufeff\0 "  # what a header begins with, or a line of nothing (which has no first character)


class Rows(Protocol):
    """The rows under one header."""

    def read(self, lines: list[str], events: list[Event], strange: Strange, /) -> int:
        """Add the events of rows, and tell what could not be understood; how many rows are of no use."""
        ...


class LogTable:
    """Reads one file. Logs that are no mail flow (IMAP, POP, HttpProxy) are known by `#Log-type`, and left alone."""

    mta = "exchange"

    def __init__(self) -> None:
        self.last_time = 0.0
        self._log_type = ""
        self._rows: Rows | None = None  # by the header
        self._layouts: dict[tuple[str, ...], Rows] = {}
        self._is_refused = False

    def read(self, lines: list[str], strange: Strange) -> tuple[list[Event], int]:
        """The events of some lines, and how many of them are of no use."""
        events: list[Event] = []
        ignored = begin = 0
        for place in [place for place, line in enumerate(lines) if line[:1] in NO_ROW]:
            ignored += self._read(lines[begin:place], events, strange)
            ignored += self._header(lines[place], strange)
            begin = place + 1
        ignored += self._read(lines[begin:] if begin else lines, events, strange)
        self._look_at_time(events, lines)
        return events, ignored

    def _read(self, lines: list[str], events: list[Event], strange: Strange) -> int:
        """Rows without a header between them."""
        if self._is_refused:
            return len(lines)
        if lines and legacy.is_row(lines[0]):
            return legacy.Legacy().read(lines, events, strange)
        if self._rows:
            return self._rows.read(lines, events, strange)
        return sum(self._read_bare(line, events, strange) for line in lines)

    # --- headers ---

    def _header(self, line: str, strange: Strange) -> int:
        """1 where the line is of no use, 0 where it is strange."""
        name, _, value = line.lstrip(NO_ROW[1:]).partition(":")
        if name == "#Log-type":
            self._log_type = value.strip()
            self._is_refused = self._log_type not in (TRACKING, RECEIVE, SEND)
        elif name == "#Fields" and not self._is_refused:
            self._rows = self._layout(tuple(value.strip().split(",")))
            if self._rows is None:
                strange("malformed", line)
                return 0
        return 1

    def _layout(self, fields: tuple[str, ...]) -> Rows | None:
        """The rows of these columns; None for columns that are those of no log."""
        rows = self._layouts.get(fields)
        if rows is None:
            rows = self._new_layout(fields)
            if rows and len(self._layouts) < LAYOUTS:
                self._layouts[fields] = rows
        return rows

    def _new_layout(self, fields: tuple[str, ...]) -> Rows | None:
        if fields == protocol.FIELDS:
            return protocol.Protocol(is_receive={RECEIVE: True, SEND: False}.get(self._log_type))
        if set(fields) >= tracking.NEEDED:
            return tracking.Tracking(fields)
        return None

    def _read_bare(self, line: str, events: list[Event], strange: Strange) -> int:
        """A row without any header before it: the number of its columns tells what they are."""
        try:
            columns = len(split(line))
        except ValueError:
            columns = 0
        fields = protocol.FIELDS if columns == len(protocol.FIELDS) else tracking.LAYOUTS.get(columns)
        rows = self._layout(fields) if fields else None
        if rows is None:
            strange("malformed", line)
            return 0
        return rows.read([line], events, strange)

    def _look_at_time(self, events: list[Event], lines: list[str]) -> None:
        """The time of the last row, which need not have an event."""
        if events:
            self.last_time = events[-1].time
        elif lines:
            try:
                self.last_time = read_time(lines[-1][:24])
            except ValueError:
                return
