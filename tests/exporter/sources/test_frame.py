"""Syslog's messages, cut out of streams that are cut anywhere."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.frame import Frames, line_of

NEW = b"<22>1 2026-11-21T10:00:00Z mail postfix/smtp 7 - - text"
OLD = b"<22>Nov 21 10:00:00 mail postfix/smtp[7]: text"


def counted(frame: bytes) -> bytes:
    return b"%d %s" % (len(frame), frame)


def fed(stream: bytes, *cuts: int, limit: int = 1000) -> tuple[list[bytes], int]:
    frames = Frames(limit)
    places = [0, *sorted(cuts), len(stream)]
    found = [it for start, end in pairwise(places) for it in frames.feed(stream[start:end])]
    return found, frames.skipped_bytes


@pytest.mark.parametrize(
    ("stream", "frames"),
    [
        (OLD + b"\n" + OLD + b"\r\n", [OLD, OLD + b"\r"]),
        (counted(OLD) + counted(NEW), [OLD, NEW]),
        (counted(OLD) + NEW + b"\n" + counted(OLD), [OLD, NEW, OLD]),
        (counted(b"<22>two\nlines") + counted(NEW), [b"<22>two\nlines", NEW]),
        (counted(OLD + b"\n") + counted(NEW), [OLD + b"\n", NEW]),
        (b"2026-11-21T10:00:00Z mail text\n" + OLD + b"\n", [b"2026-11-21T10:00:00Z mail text", OLD]),
        (b"\n\n\0\n" + OLD + b"\n", [OLD]),
        (b"0 x\n1 y", [b"0 x", b"y"]),
        (b"99999999 x\n", [b"99999999 x"]),
        (b"GET / HTTP/1.1\r\n\r\n", [b"GET / HTTP/1.1\r"]),
    ],
)
def test_frames_however_the_stream_is_cut(stream: bytes, frames: list[bytes]) -> None:
    assert fed(stream) == (frames, 0)
    assert fed(stream, *range(len(stream))) == (frames, 0)
    for cut in range(len(stream)):
        assert fed(stream, cut) == (frames, 0)


@pytest.mark.parametrize("frame", [b"<" + b"x" * 5000 + b"\n", counted(b"<" + b"x" * 5000)])
def test_of_what_is_too_long_the_rest_is_skipped_and_counted(frame: bytes) -> None:
    stream = frame + OLD + b"\n" + counted(NEW)
    for cuts in ((), (500,), (999,), (1001,), (3000,), range(len(stream))):
        assert fed(stream, *cuts) == ([b"<" + b"x" * 999, OLD, NEW], 4001)


def test_a_length_that_lies_ends_with_the_connection() -> None:
    frames = Frames(1000)
    assert frames.feed(b"9999999 " + b"x" * 5000) == [b"x" * 1000]
    assert frames.feed(b"x" * 100_000) == []
    assert frames.skipped_bytes == 104_000
    assert Frames(1000).feed(b"500 short") == []


def test_what_a_connection_takes_with_it_is_counted() -> None:
    frames = Frames()
    assert frames.feed(OLD + b"\n<22>half a mess") == [OLD]
    frames.give_up()
    assert frames.skipped_bytes == 15


@given(st.lists(st.binary(max_size=50)), st.integers(1, 30))
def test_no_stream_breaks_it_or_makes_it_hold_more_than_a_frame(chunks: list[bytes], limit: int) -> None:
    frames = Frames(limit)
    delivered = sum(len(frame) for chunk in chunks for frame in frames.feed(chunk))
    assert len(frames._rest) <= limit + 9
    assert delivered + frames.skipped_bytes + len(frames._rest) <= sum(map(len, chunks))


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (NEW, NEW),
        (OLD, OLD[4:]),
        (b"<22>Nov  1 10:00:00 postfix/smtp[7]: text: more", b"Nov  1 10:00:00 HOST postfix/smtp[7]: text: more"),
        (b"<22>Nov  1 10:00:00 sendmail: text", b"Nov  1 10:00:00 HOST sendmail: text"),
        (b"<22>postfix/smtp[7]: text", b"STAMP HOST postfix/smtp[7]: text"),
        (b"postfix/smtp[7]: text", b"STAMP HOST postfix/smtp[7]: text"),
        (b"<22>mail postfix/smtp[7]: text", b"STAMP mail postfix/smtp[7]: text"),
        (b"<22>Nov 21 10:00:00 2001:db8::1 exim[7]: text", b"Nov 21 10:00:00 2001:db8::1 exim[7]: text"),
        (
            b"<22>2026-11-21T10:00:00.123456+01:00 mail postfix/qmgr[7]: text\n",
            b"2026-11-21T10:00:00.123456+01:00 mail postfix/qmgr[7]: text",
        ),
        (b"<22>Nov 21 10:00:00 mail exim[7]: two\nlines\0\n", b"Nov 21 10:00:00 mail exim[7]: two lines"),
        (b"garbage", b"STAMP garbage"),
        (b"<999999>x", b"STAMP <999999>x"),
    ],
)
def test_lines_of_messages(frame: bytes, line: bytes) -> None:
    assert line_of(frame, b"HOST", b"STAMP") == line + b"\n"


@given(st.binary(max_size=200))
def test_a_message_is_one_line(frame: bytes) -> None:
    line = line_of(frame, b"HOST", b"STAMP")
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
