"""Lines as container runtimes wrap them, and log files as kubelet and Docker keep them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.container import Wrapping

SYSLOG = "Nov 21 10:00:00 mail postfix/smtp[7]: text: more"
INNER = "mail postfix/smtp[7]: text: more"
TIME = "2026-11-21T10:00:00.123456Z"


def cri(text: str, tag: str = "F", stream: str = "stdout", time: str = "2026-11-21T10:00:00.123456789Z") -> str:
    return f"{time} {stream} {tag} {text}\n"


def docker(text: str, stream: str = "stdout", time: str = "2026-11-21T10:00:00.123456789Z") -> str:
    return json.dumps({"log": text, "stream": stream, "time": time}) + "\n"


def unwrapped(*lines: str) -> str:
    return Wrapping().unwrap("".join(lines).encode()).decode()


@pytest.mark.parametrize(
    ("line", "inner"),
    [
        (cri(SYSLOG), f"{TIME} {INNER}"),
        (docker(SYSLOG + "\n"), f"{TIME} {INNER}"),
        (docker(SYSLOG + "\r\n"), f"{TIME} {INNER}"),
        (cri(SYSLOG, time="2026-11-21T10:00:00.5+01:00"), f"2026-11-21T10:00:00.500000+01:00 {INNER}"),
        (cri(SYSLOG, time="2026-11-21T10:00:00Z"), f"2026-11-21T10:00:00.000000Z {INNER}"),
        (cri("<22>" + SYSLOG), f"{TIME} {INNER}"),
        (cri("F:x " + SYSLOG, tag="F:tag"), "F:x " + SYSLOG),
        # A time of their own: Exim's log, Dovecot's, and syslog's with a zone.
        (cri("2026-11-21 10:00:00 1tXk2a-00000000ABc-0dEf Completed"), None),
        (cri("Nov 21 10:00:00 imap-login: Info: Login: user=<kim>"), None),
        (cri(f"2026-11-21T10:00:00.5+01:00 {INNER}"), None),
        (cri(""), ""),
    ],
)
def test_the_line_inside(line: str, inner: str | None) -> None:
    assert unwrapped(line) == (inner if inner is not None else line.partition(" F ")[2][:-1]) + "\n"


@pytest.mark.parametrize(
    "line", ["plain\n", "{not json\n", '{"log": 5}\n', "{}\n", "\n", cri("x", stream="other"), "[" * 9999 + "\n"]
)
def test_what_is_not_wrapped_stays_as_it_is(line: str) -> None:
    assert unwrapped(line) == line


def test_parts_are_joined_by_stream() -> None:
    lines = (cri("one ", "P"), cri("A ", "P", "stderr"), cri("two ", "P"), cri("B", "F", "stderr"), cri("three"))
    assert unwrapped(*lines) == "A B\none two three\n"
    lines = (docker("one "), docker("A ", "stderr"), docker("two\n"), docker("B\n", "stderr"))
    assert unwrapped(*lines) == "one two\nA B\n"


def test_parts_are_joined_across_a_restart() -> None:
    first = Wrapping()
    assert first.unwrap(cri(SYSLOG[:30], "P").encode()) == b""
    assert Wrapping(first.halves).unwrap(cri(SYSLOG[30:]).encode()).decode() == f"{TIME} {INNER}\n"


def test_a_line_without_an_end_is_bounded_and_counted() -> None:
    wrapping = Wrapping()
    for _ in range(3000):
        assert wrapping.unwrap(cri("x" * 1000, "P").encode()) == b""
    assert len(wrapping.halves["stdout"]) == 1 << 20
    assert len(wrapping.unwrap(cri("end").encode())) == (1 << 20) + 1
    assert wrapping.skipped_bytes == 3_000_003 - (1 << 20)


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"2026-11-21T10:00:00Z stdout F ", b'{"log": "', b'{"log":"\\ud800"}']),
)
def test_every_line_gives_one_line_at_most(text: bytes, start: bytes) -> None:
    block = start + text.replace(b"\n", b" ") + b"\n"
    assert Wrapping().unwrap(block).count(b"\n") <= 1
