from __future__ import annotations

import json
import logging
import re

import pytest

from exporter.log import Json, Logfmt, configure


@pytest.fixture
def lines(capfd):
    """Configure, log, and get the lines that came out on standard error."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def lines(level: str = "info", fmt: str = "logfmt", **what: object) -> list[str]:
        configure(level, fmt)
        for name, message in what.items():
            getattr(logging.getLogger("exporter.test"), name)(message)
        return capfd.readouterr().err.splitlines()

    yield lines
    root.handlers[:], root.level = before


def record(message: str, *args: object, levelno: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"levelno": levelno, "msg": message, "args": args, "created": 1800000000.1234})
    vars(made).update(extra)
    return made


def test_a_message_is_one_line_of_logfmt():
    line = Logfmt().format(record("following %s", "it", path="/var/log/mail.log", lines=12, ratio=0.5, up=True))
    assert line == (
        'ts=2027-01-15T08:00:00.123Z level=info msg="following it" path=/var/log/mail.log lines=12 ratio=0.5 up=true'
    )


def test_a_message_is_one_object_of_json():
    line = Json().format(record("following", path="/a b", lines=12, error=None))
    assert json.loads(line) == {
        "ts": "2027-01-15T08:00:00.123Z",
        "level": "info",
        "msg": "following",
        "path": "/a b",
        "lines": 12,
        "error": None,
    }


HOSTILE = [
    "two\nlines",
    "a\r\nts=2027-01-15T08:00:00.123Z level=error msg=forged",
    '" level=error msg="forged',
    "back\\slash \\",
    "key=value",
    "\x1b[2J\x1b]0;title\x07\x7f\x9b31m",
    "next\x85line\u2028separator\u2029",
    "\u202egnp.exe",
    "\udcff surrogate",
    "",
    " ",
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["message", "value"])
def test_hostile_text_stays_in_its_value(text, place):
    made = record(text) if place == "message" else record("m", path=text)
    line = Logfmt().format(made)
    assert line.isascii()
    assert line.isprintable()
    pairs = dict(part.split("=", 1) for part in split(line))
    assert list(pairs) == (["ts", "level", "msg"] + (["path"] if place == "value" else []))
    value = pairs["msg" if place == "message" else "path"]
    assert (json.loads(value) if value.startswith('"') else value) == text
    as_json = Json().format(made)
    assert as_json.isascii()
    assert as_json.isprintable()
    assert json.loads(as_json)["msg" if place == "message" else "path"] == text


def split(line: str) -> list[str]:
    """The pairs of a line, as a reader who knows quotes and backslashes sees them."""
    return re.findall(r'\w+=(?:"(?:[^"\\]|\\.)*"|[^" ]*)(?= |$)', line)


def test_a_key_cannot_be_forged():
    line = Logfmt().format(record("m", **{"a b=c\n": 1, "level": "error", "ts": "never"}))
    assert line == 'ts=2027-01-15T08:00:00.123Z level=info msg="m" a_b_c_=1'


def test_a_value_is_bounded():
    assert len(Logfmt().format(record("m" * 10_000, path="p" * 10_000))) < 4100


def test_a_number_that_json_has_not_is_text():
    assert json.loads(Json().format(record("m", lag=float("nan"))))["lag"] == "nan"


def test_an_exception_stays_on_the_line():
    try:
        raise ValueError("bad\nthing")
    except ValueError as error:
        made = record("failed", exc_info=(ValueError, error, error.__traceback__))
    line = Logfmt().format(made)
    assert line.isprintable()
    assert ' error="ValueError: bad\\nthing" stack="Traceback (most recent call last):\\n' in line


@pytest.mark.parametrize(
    ("number", "name"),
    [(10, "debug"), (20, "info"), (25, "info"), (30, "warn"), (40, "error"), (50, "error"), (5, "debug")],
)
def test_the_names_of_levels(number, name):
    assert f" level={name} " in Logfmt().format(record("m", levelno=number))


def test_less_than_the_level_is_not_said(lines):
    said = lines("warn", debug="d", info="i", warning="w", error="e")
    assert [re.search(r"level=(\w+) msg=(.*)", line)[0] for line in said] == [
        'level=warn msg="w"',
        'level=error msg="e"',
    ]


def test_configuring_twice_says_things_once(lines):
    lines(info="first")
    assert len(lines(fmt="json", info="second")) == 1


@pytest.mark.parametrize(("level", "fmt"), [("loud", "json"), ("info", "xml"), ("INFO\n", "json")])
def test_an_unknown_level_or_format_is_refused(level, fmt):
    handlers = logging.getLogger().handlers[:]
    with pytest.raises(ValueError, match=r'^log (level|format): expected .*, got "[^\n]*"$'):
        configure(level, fmt)
    assert logging.getLogger().handlers == handlers
