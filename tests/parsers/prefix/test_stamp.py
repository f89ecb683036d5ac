"""Stamps that begin the lines of a server's own log."""

from __future__ import annotations

from datetime import UTC

import pytest

from parsers.clock import Clock
from parsers.prefix.stamp import find_stamp, tai64n

CLOCK = Clock(UTC, lambda: 0.0)


@pytest.mark.parametrize(
    ("label", "time"),
    [
        # What Debian's multilog wrote, and tai64nlocal made of it.
        ("@400000006b0217d5044ee9b4 ", 1795299275.0722805),
        ("@400000006b0217d50a6f16d4 ", 1795299275.1750525),
        ("@400000000000000a00000000 ", 0.0),
        ("@400000000000000a3b9ac9ff ", 0.999999999),
    ],
)
def test_a_tai64n_label(label: str, time: float) -> None:
    assert tai64n(CLOCK, label) == pytest.approx(time, abs=1e-6, rel=0)


@pytest.mark.parametrize(
    "label",
    [
        "",
        "@400000006b0217d5044ee9b4",
        "@400000006b0217d53b9aca00 ",  # 10**9 nanoseconds
        "@3fffffffffffffff00000000 ",  # before 1970
        "@ffffffffffffffff00000000 ",
        "@40000000 6b0217d044ee9b4 ",
        "@400000006B0217D5044ee9b4 ",
        "@4000_0006b0217d5044ee9b4 ",
        "x400000006b0217d5044ee9b4 ",
        "@400000006b0217d5044ee9b4x",
        "@400000006b0217d5z44ee9b4 ",
    ],
)
def test_what_is_none_is_an_error(label: str) -> None:
    with pytest.raises(ValueError, match=r"TAI64|base 16"):
        tai64n(CLOCK, label)


def test_the_form_of_a_logs_stamps_is_told_by_its_first_line() -> None:
    stamp = find_stamp("@400000006b0217d5044ee9b4 new msg 4711")
    assert stamp
    assert (stamp.width, stamp.is_precise) == (26, True)
    assert stamp.read(CLOCK, "@400000006b0217d5044ee9b4 ") == pytest.approx(1795299275.0722805)
