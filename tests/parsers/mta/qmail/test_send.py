"""The life of a message in qmail-send's words: qmail-log(5) (documented)."""

from __future__ import annotations

import pytest

from parsers.events import Event, Notification, Origin, Problem, Received, Removed
from parsers.mta.qmail.send import Started
from tests import reading

ORIGIN = Origin("qmail", "mail.example.com", "qmail", "qmail")


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


def test_a_message() -> None:
    event = read("info msg 270182: bytes 10712 from <news@example.com> qp 54945 uid 82")
    assert event == Received(1.0, ORIGIN, "270182", sender="news@example.com", size=10712, via="smtp")


@pytest.mark.parametrize("sender", ["", '"a>_b"@example.com', "owner-@example.com-@[]", "kim", "<kim@example.com>"])
def test_a_sender(sender: str) -> None:
    event = read(f"info msg 7: bytes 1 from <{sender}> qp 8 uid 82")
    assert isinstance(event, Received)
    assert event.sender == sender


@pytest.mark.parametrize(
    ("uid", "via"),
    [
        (0, "local"),
        (1000, "local"),
        (30_000, "local"),
        (82, "smtp"),  # qmaild of FreeBSD
        (7791, "smtp"),  # qmaild of `Life with qmail`
        (64_011, "smtp"),  # qmaild of Debian
        (89, "smtp"),  # vpopmail
        (65_534, "smtp"),  # nobody
    ],
)
def test_who_queued_a_message_tells_how_it_came(uid: int, via: str) -> None:
    event = read(f"info msg 7: bytes 1 from <kim@example.com> qp 8 uid {uid}")
    assert isinstance(event, Received)
    assert event.via == via


def test_the_beginning_of_an_attempt() -> None:
    event = read("starting delivery 251: msg 270182 to remote kim@example.org")
    assert event == Started(1.0, ORIGIN, "251", "270182", "remote", "kim@example.org")


def test_a_bounce() -> None:
    assert read("bounce msg 270182 qp 54951") == Notification(1.0, ORIGIN, "270182", "bounce", "54951")


def test_the_end() -> None:
    assert read("end msg 270182") == Removed(1.0, ORIGIN, "270182")


@pytest.mark.parametrize(
    "line",
    [
        "new msg 270182",
        "status: local 0/10 remote 1/20",
        "status: local 0/10 remote 1/20 exitasap",
        "status: exiting",
        "status: qmail-send exiting",  # s/qmail
        "local: news@example.com kim@example.org 10712 queue5",  # IndiMail
    ],
)
def test_what_is_of_no_use(line: str) -> None:
    assert read(line) is None
    assert read(f"{line} queue5") is None


def test_indimail_names_the_queue_at_the_end_of_each_line() -> None:
    assert read("end msg 270182 queue5") == Removed(1.0, ORIGIN, "270182")
    assert read("bounce msg 7 qp 8 queue5") == Notification(1.0, ORIGIN, "7", "bounce", "8")
    event = read("starting delivery 1.5: msg 7 to local kim@example.com queue5")
    assert event == Started(1.0, ORIGIN, "1.5", "7", "local", "kim@example.com")
    event = read("info msg 7: bytes 1 from <kim@example.com> qp 8 uid 0 queue5")
    assert isinstance(event, Received)
    assert event.size == 1


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("alert: cannot start: unable to open mutex", ("fatal", "cannot start: unable to open mutex")),
        ("alert: oh no! lost spawn connection! dying...", ("fatal", "oh no! lost spawn connection! dying...")),
        ("alert: out of memory, sleeping...", ("error", "out of memory, sleeping...")),
        ("warning: trouble in select", ("warning", "trouble in select")),
        ("warning: internal error: delivery report out of range",
         ("warning", "internal error: delivery report out of range")),
        ("triple bounce: discarding bounce/7", ("warning", "triple bounce: discarding bounce/7", "7")),
        ("double bounce: discarding bounce/7", ("warning", "double bounce: discarding bounce/7", "7")),  # SPAMCONTROL
    ],
)  # fmt: skip
def test_a_problem(line: str, problem: tuple[str, ...]) -> None:
    assert read(line) == Problem(1.0, ORIGIN, *problem)


@pytest.mark.parametrize(
    "line",
    [
        "info msg 7: bytes abc from <kim@example.com> qp 8 uid 82",
        "info msg 7: bytes -1 from <kim@example.com> qp 8 uid 82",
        "info msg 7: bytes  from <kim@example.com> qp 8 uid 82",
        f"info msg 7: bytes {'9' * 400} from <kim@example.com> qp 8 uid 82",
        "info msg x: bytes 1 from <kim@example.com> qp 8 uid 82",
        "info msg 7: bytes 1 from <kim@example.com> qp 8 uid root",
        "info msg 7: bytes 1 from <> qp x uid 82",
        "info msg 7: bytes 1 from <kim@exam",
        "starting delivery 251: msg 27",
        "starting delivery 251: msg 7 to nowhere kim@example.org",
        "bounce msg 7",
        "bounce msg 7 qp x",
        "end msg x",
        "end msg ",
    ],
)
def test_a_cut_line_and_one_without_its_numbers_are_errors(line: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        read(line)
