"""What a report is."""

from __future__ import annotations

from collections.abc import Iterator

from mailstat.report import Column, Record, Report, Section


def test_a_limited_report_has_the_first_rows_and_says_how_many_it_left_out() -> None:
    section = Section("", [Column("n")], [[1], [2], [3]])
    (limited,) = Report("r", "R", [section]).limited(2).sections
    assert (limited.rows, limited.left_out) == ([[1], [2]], 1)


def test_a_limit_that_is_not_reached_leaves_nothing_out() -> None:
    section = Section("", [Column("n")], [[1]])
    assert Report("r", "R", [section]).limited(2).sections == [section]


def test_of_records_no_more_is_read_than_the_limit_asks_for() -> None:
    asked = []

    def records() -> Iterator[Record]:
        for number in range(10):
            asked.append(number)
            yield {"n": number, "m": 0}

    report = Report("r", "R", [Section("", [Column("n"), Column("x")])], records=records()).limited(2)
    assert list(report.rows_of_records()) == [[0, None], [1, None]]
    assert asked == [0, 1]
