"""Every format, on the same reports."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from itertools import repeat
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstat import render
from mailstat.report import FIRST, LAST, OLDEST, Chart, Column, Figure, Record, Report, Section

BERLIN = ZoneInfo("Europe/Berlin")
COLUMNS = (
    Column("time", "time"),
    Column("name"),
    Column("count", "number"),
    Column("delay", "seconds"),
    Column("size", "bytes"),
    Column("share", "percent"),
)
ROWS = (
    (1767607201.5, "alpha", 1234, 200.0, 2048, 0.5),
    (None, None, None, None, None, None),
)
REPORT = Report(
    "things", "Things", [Section("First", COLUMNS, ROWS, left_out=1200), Section("Second", COLUMNS[1:3], [("b", 1)])]
)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
FORMATS = ("csv", "html", "json", "markdown", "table")
HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x9b31m",
    "\x00\x07\x08\x7f",
    "a\r\nb\tc",
    "\u202eevil\u2066",
    "\udcff\ud800",
    "<script>alert(1)</script>",
    '"><img src=x onerror=y>',
    "a|b`c`*d*_e_[f](javascript:g)",
    "[bold]markup[/bold] :smile:",
    "=cmd|' /C calc'!A0",
    "x" * 70_000,
    "日本語 ✓",
)


def rendered(name: str, report: Report) -> str:
    out = io.StringIO()
    render.render(name, report, out, zone=BERLIN)
    return out.getvalue()


def streamed(records: Iterator[Record]) -> Report:
    return Report("things", "Things", [Section("", COLUMNS)], records=records)


def one(text: str) -> Report:
    return Report("things", text, [Section(text, [Column("a"), Column(text, "number")], [[text, text]])])


def test_the_formats_are_those_of_the_folder() -> None:
    assert tuple(render.names()) == FORMATS


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
@pytest.mark.parametrize("name", FORMATS)
def test_nothing_that_a_terminal_obeys_is_written(name: str, text: str) -> None:
    for written in (rendered(name, one(text)), rendered(name, streamed(iter([{"name": text, "x": text}])))):
        assert all(line.isprintable() for line in written.split("\n"))
        written.encode()


@given(st.text(st.characters()))
def test_any_text_can_be_written_in_every_format(text: str) -> None:
    for name in FORMATS:
        assert all(line.isprintable() or name == "json" for line in rendered(name, one(text)).split("\n"))


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_report_can_be_written(name: str) -> None:
    assert rendered(name, Report("things", "Things", [Section("", COLUMNS)]))
    rendered(name, streamed(iter(())))


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_as_long_as_the_log_is_written_while_it_is_read(name: str) -> None:
    class FullError(Exception):
        pass

    class Small(io.StringIO):
        def write(self, text: str) -> int:
            if self.tell() > 200_000:
                raise FullError
            return super().write(text)

    with pytest.raises(FullError):
        render.render(name, streamed(repeat({"time": 0.5, "name": "a"})), Small(), zone=BERLIN)


# --- JSON ---


def test_json_is_one_object_of_the_first_section() -> None:
    assert json.loads(rendered("json", REPORT)) == {
        "report": "things",
        "columns": ["time", "name", "count", "delay", "size", "share"],
        "rows": [
            {
                "time": "2026-01-05T11:00:01.500000+01:00",
                "name": "alpha",
                "count": 1234,
                "delay": 200.0,
                "size": 2048,
                "share": 0.5,
            },
            {"time": None, "name": None, "count": None, "delay": None, "size": None, "share": None},
        ],
    }


def test_json_is_the_document_where_the_report_has_one() -> None:
    report = Report("things", "Things", REPORT.sections, document={"a": {"b": [1, "c\udcff"]}})
    assert json.loads(rendered("json", report)) == {"a": {"b": [1, "c\ufffd"]}}


def test_json_of_records_is_one_object_a_line_with_all_that_the_record_has() -> None:
    records = [{"time": 0.0, "other": number} for number in range(1000)]
    lines = rendered("json", streamed(iter(records))).splitlines()
    assert [json.loads(line) for line in lines] == [{**each, "time": "1970-01-01T01:00:00+01:00"} for each in records]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_json_says_the_text_itself_but_for_bytes_that_were_none(text: str) -> None:
    wanted = "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    assert json.loads(rendered("json", streamed(iter([{"name": text}])))) == {"name": wanted}
    assert json.loads(rendered("json", one(text)))["rows"][0]["a"] == wanted


# --- CSV ---


def test_csv_has_values_in_base_units() -> None:
    first, second = rendered("csv", REPORT).split("\n\n")
    assert list(csv.reader(io.StringIO(first))) == [
        ["time", "name", "count", "delay", "size", "share"],
        ["2026-01-05T11:00:01.500000+01:00", "alpha", "1234", "200.0", "2048", "0.5"],
        [""] * 6,
    ]
    assert list(csv.reader(io.StringIO(second))) == [["name", "count"], ["b", "1"]]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "＝1", "＠A"])  # noqa: RUF001
def test_csv_has_no_text_that_a_spreadsheet_would_reckon(text: str) -> None:
    (_, (cell, _)) = csv.reader(
        io.StringIO(rendered("csv", Report("r", "R", [Section("", [Column("a"), Column("n")], [[text, -1]])])))
    )
    assert cell == f"'{text}"


def test_csv_leaves_numbers_below_zero_as_they_are() -> None:
    report = Report("r", "R", [Section("", [Column("n", "number")], [[-1]])])
    assert rendered("csv", report) == "n\n-1\n"


# --- Markdown ---


def test_markdown_is_a_table() -> None:
    report = Report("r", "Two things", [Section("First", COLUMNS[1:3], [("a|b", 1234)], left_out=1200)])
    assert rendered("markdown", report) == (
        "# Two things\n\n## First\n\n| name | count |\n| --- | ---: |\n| a\\|b | 1,234 |\n\nand 1,200 more\n"
    )


def test_markdown_has_no_markup_of_the_text() -> None:
    assert "\\<script\\>" in rendered("markdown", one("<script>"))
    assert "\\[f\\]\\(javascript\\:g\\)" in rendered("markdown", one("[f](javascript:g)"))


# --- HTML ---


class Tags(HTMLParser):
    """The tags and the text of a page; fails where a tag is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_html_has_only_the_tags_and_attributes_of_the_page(text: str) -> None:
    page = Tags()
    page.feed(rendered("html", one(text)))
    assert page.open == []
    assert page.names <= set("html head meta title style body main h1 h2 div table thead tbody tr th td p".split())
    assert page.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class", "scope"}


def test_html_shows_what_the_text_says() -> None:
    page = Tags()
    page.feed(rendered("html", REPORT))
    assert {"Things", "First", "2026-01-05 11:00:01", "1,234", "3 m 20 s", "2 KiB", "50.0 %"} <= set(page.text)


def test_html_shows_figures_and_charts_and_leaves_out_those_of_nothing() -> None:
    charts = [
        Chart("Some", "columns", ["x"], {"sent": [1], "bounced": [0]}),
        Chart("None", "columns", ["x"], {"sent": [0]}),
        Chart("Empty", "bars", [], {}),
    ]
    page = Tags()
    page.feed(rendered("html", replace(REPORT, figures=[Figure("delay", 1.5, "seconds")], charts=charts)))
    assert page.open == []
    assert {"delay", "1.5 s", "Some", "sent ", "x: sent 1"} <= set(page.text)
    assert not {"None", "Empty"} & set(page.text)


def test_html_needs_nothing_else() -> None:
    page = rendered("html", replace(REPORT, charts=[Chart("Some", "ring", ["x"], {"sent": [1]})]))
    assert not any(word in page for word in ("src=", "href=", "url(", "@import", "<script"))


# --- tables ---


def test_a_table_on_a_pipe_is_plain_and_whole() -> None:
    assert rendered("table", REPORT) == (
        "Things\n"
        "\n"
        "First\n"
        "time                 name   count     delay   size   share\n"
        "-------------------  -----  -----  --------  -----  ------\n"
        "2026-01-05 11:00:01  alpha  1,234  3 m 20 s  2 KiB  50.0 %\n"
        "\n"
        "and 1,200 more\n"
        "\n"
        "Second\n"
        "name  count\n"
        "----  -----\n"
        "b         1\n"
    )


def test_a_table_on_a_pipe_cuts_nothing() -> None:
    assert "x" * 70_000 in rendered("table", one("x" * 70_000))


def test_a_table_counts_the_places_that_wide_characters_take() -> None:
    report = Report("r", "R", [Section("", [Column("name"), Column("n", "number")], [("日本", 1), ("abcd", 2)])])
    assert rendered("table", report).splitlines()[-2:] == ["日本  1", "abcd  2"]


def test_the_columns_of_a_long_table_only_grow() -> None:
    records = [{"name": "a"}] * 250 + [{"name": "b" * 30}]
    assert rendered("table", streamed(iter(records))).count("time ") == 1


def on_terminal(report: Report) -> str:
    """What a terminal of 60 columns is sent."""
    reader, writer = pty.openpty()
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(all_of, reader)
        with os.fdopen(writer, "w", encoding="utf-8") as out:
            render.render("table", report, out, zone=BERLIN)
        return sent.result().decode("utf-8")


def all_of(terminal: int) -> bytes:
    """What is sent until the other end closes, which a terminal tells by an error."""
    sent = b""
    try:
        while part := os.read(terminal, 1 << 16):
            sent += part
    except OSError:
        os.close(terminal)
    return sent


@pytest.fixture
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_terminal")
def test_a_table_fits_the_terminal() -> None:
    lines = on_terminal(
        Report("r", "R", [Section("", [Column("a"), Column("b")], [("y" * 100, "z" * 100)])])
    ).splitlines()
    assert max(len(STYLE.sub("", line)) for line in lines) <= 60
    assert sum(line.count("y") for line in lines) == 100


@pytest.mark.usefixtures("_terminal")
def test_names_of_columns_give_way_before_what_stands_in_them() -> None:
    names = ("messages", "distinct_recipients", "distinct_clients", "deliveries", "busiest_hour")
    row = ("kim@mail.example.com", *(1050 + at for at in range(len(names))))
    section = Section("", [Column("sender"), *(Column(name, "number") for name in names)], [row])
    sent = STYLE.sub("", on_terminal(Report("r", "R", [section])))
    (line,) = (line for line in sent.splitlines() if "1,050" in line)
    assert line.split() == ["kim@mail.example.com", "1,050", "1,051", "1,052", "1,053", "1,054"]
    assert max(map(len, sent.splitlines())) <= 60
    head = sent.partition("──")[0].split()
    assert sorted("".join(head).removeprefix("R")) == sorted("sender" + "".join(names).replace("_", ""))


@pytest.mark.usefixtures("_terminal")
def test_a_column_that_has_no_room_is_named() -> None:
    names = [f"number_{at}" for at in range(9)]
    wide = Section("", [Column(name, "number") for name in names], [(1_234_567_890,) * 9])
    sent = STYLE.sub("", on_terminal(Report("r", "R", [wide])))
    (line,) = (line for line in sent.splitlines() if "1,2" in line)
    assert line.split() == ["1,234,567,890"] * 4
    assert "no room for " + ", ".join(names[4:]) in sent


@pytest.mark.usefixtures("_terminal")
def test_what_an_example_says_stays_before_when_it_was_seen() -> None:
    columns = [Column("reason"), Column("count", "number"), FIRST, LAST, OLDEST, Column("example")]
    example = "550 5.1.1 Recipient address rejected: " + "x" * 90
    section = Section("", columns, [("full", 7, 1e9, 1e9, 1e9, example)])
    sent = STYLE.sub("", on_terminal(Report("r", "R", [section])))
    assert "no room for first, last\r\n" in sent
    assert "550 5.1.1 Recipient" in sent
    assert "2001-09-09" in sent


@pytest.mark.usefixtures("_terminal")
def test_a_long_example_in_a_narrow_column_is_cut_and_seen_to_be() -> None:
    columns = [Column("a"), *(Column(f"number_{at}", "number") for at in range(4)), Column("example")]
    section = Section("", columns, [("user_unknown", *(123_456,) * 4, "y" * 99)])
    sent = STYLE.sub("", on_terminal(Report("r", "R", [section])))
    assert 20 < sent.count("y") < 99
    assert "y…" in sent


@pytest.mark.usefixtures("_terminal")
def test_short_texts_are_whole_before_a_long_one_gets_more() -> None:
    numbers = [Column(f"number_{at}", "number") for at in range(3)]
    columns = [Column("kind"), Column("name"), *numbers, Column("over_quota"), Column("suspicious")]
    section = Section("", columns, [("account", "somebody.with.a.long.name@example.org", *(123_456,) * 3, "no", "")])
    sent = STYLE.sub("", on_terminal(Report("r", "R", [section])))
    assert "account" in sent


@pytest.mark.usefixtures("_terminal")
def test_a_sparkline_has_fewer_bars_where_it_has_no_room_and_keeps_its_peak() -> None:
    bars = "▁·" * 20 + "▁█▁·" + "·" * 4
    section = Section("", [Column("measure"), Column("bars", "sparkline")], [("x" * 20, bars), ("y", "▂")])
    sent = STYLE.sub("", on_terminal(Report("r", "R", [section])))
    found = [line.split() for line in sent.splitlines() if line.startswith((" x", " y"))]
    assert [words[0] for words in found] == ["x" * 20, "y"]
    assert len(found[0][1]) == 60 - 20 - 2 * 2
    assert set(found[0][1]) == {"▁", "█", "·"}
    assert found[1][1] == "▂"


@pytest.mark.usefixtures("_terminal")
def test_a_number_that_is_longer_than_the_terminal_is_seen_to_be_cut() -> None:
    sent = on_terminal(Report("r", "R", [Section("", [Column("number", "number")], [(10**70,)])]))
    assert "0,000,00… " in sent


@pytest.mark.usefixtures("_terminal")
def test_a_long_table_on_a_terminal_has_a_line_a_row_and_no_empty_columns() -> None:
    report = Report("r", "R", [Section("", COLUMNS[1:])], records=iter([{"name": "a", "share": 0.5}] * 3))
    lines = STYLE.sub("", on_terminal(report)).split()
    assert lines[:3] == ["R", "name", "share"]
    assert lines[-6:] == ["a", "50.0", "%"] * 2


@pytest.mark.usefixtures("_terminal")
def test_a_long_table_names_the_columns_that_have_no_room_and_keeps_times_whole() -> None:
    names = ("sender", "recipient", "status", "reply")
    record = {"time": 1e9, "sender": "a" * 40, "recipient": "b" * 40, "status": "deferred", "reply": "x" * 80}
    section = Section("", [Column("time", "time"), *map(Column, names), Column("relay"), Column("empty")])
    sent = STYLE.sub("", on_terminal(Report("r", "R", [section], records=iter([record | {"relay": "y" * 30}] * 2))))
    assert "2001-09-09 03:46:40" in sent
    assert "deferred" in sent
    assert "no room for reply, relay" in sent
    assert max(map(len, sent.splitlines())) <= 60


@pytest.mark.usefixtures("_terminal")
def test_a_terminal_sees_colours_unless_it_is_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    report = Report("r", "R", [Section("S", COLUMNS[1:3], [("a", 1)], left_out=1)])
    assert "\x1b[" in on_terminal(report)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not {"\x1b[3", "\x1b[9"} & {on_terminal(report)[at : at + 3] for at in range(400)}


@pytest.mark.usefixtures("_terminal")
@pytest.mark.parametrize("text", HOSTILE[:10], ids=repr)
def test_a_terminal_is_sent_the_text_and_no_orders_of_it(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    sent = on_terminal(one(text)) + on_terminal(streamed(iter([{"name": text}])))
    assert all(line.isprintable() for line in sent.replace("\r\n", "\n").split("\n"))
    assert "smile" in sent or "smile" not in text
