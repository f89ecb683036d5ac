"""All shapes of Sendmail's lines: each known by its own sample, whole or cut, at a cost of its length."""

from __future__ import annotations

import pytest

from parsers.events import Origin
from parsers.mta.sendmail import GRAMMAR, SERVER, origin
from parsers.reader import understand
from parsers.shape import Shape
from tests.effort import is_linear

ORIGIN = Origin("sendmail", "mail.example.com", "sendmail", "sm-mta", 4711)
IDS = {"ids": lambda row: row.sample[:60]}


def outcome(message: str) -> str:
    return understand(message, 1.0, ORIGIN)[0]


@pytest.mark.parametrize("row", GRAMMAR.shapes, **IDS)
def test_a_sample_has_its_own_shape_first(row: Shape) -> None:
    assert next(GRAMMAR.matches(row.sample))[0] == row


@pytest.mark.parametrize("row", GRAMMAR.shapes, **IDS)
def test_a_sample_has_no_other_special_shape(row: Shape) -> None:
    special = [found for found, _, _ in GRAMMAR.matches(row.sample) if not found.general and not found.unkeyed]
    assert special in ([], [row])


@pytest.mark.parametrize("row", GRAMMAR.shapes, **IDS)
def test_a_sample_that_is_cut_anywhere_is_an_event_or_told(row: Shape) -> None:
    outcomes = {outcome(row.sample[:end]) for end in range(len(row.sample))}
    assert outcomes <= {"parsed", "ignored", "unknown", "malformed"}


@pytest.mark.parametrize("tail", ["\0", " \x85", "\ud800", "<" * 999, ", relay=" * 99, "[" * 999, ", stat=Sent"])
@pytest.mark.parametrize("row", GRAMMAR.shapes, **IDS)
def test_a_sample_with_anything_after_it_is_an_event_or_told(row: Shape, tail: str) -> None:
    assert outcome(row.sample + tail) in {"parsed", "ignored", "unknown", "malformed"}


HOSTILE = ["<", ">,<", ", relay=", ", reply=", ", stat=", ", dsn=", '"', ",", " ", ": ", "a", "...", "[", "]"]


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize(
    "start",
    [
        "5ALA00aB004711: to=<a@example.org>",
        "5ALA00aB004711: to=<a@example.org>, delay=00:00:00, mailer=esmtp, pri=1, dsn=5.1.1, reply=",
        "5ALA00aB004711: from=<a@example.org>, size=1, class=0, nrcpts=1, msgid=",
        "5ALA00aB004711: ruleset=check_rcpt, arg1=",
        "5ALA00aB004711: ",
        "STARTTLS=client, relay=",
    ],
)
def test_a_hostile_line_costs_its_length(start: str, piece: str) -> None:
    assert is_linear(outcome, lambda size: start + piece * (size // len(piece)))


@pytest.mark.parametrize("program", ["sendmail", "sm-mta", "sm-msp-queue", "sm-acceptingconnections"])
def test_programs(program: str) -> None:
    found = origin("mail", program, 4711)
    assert found
    assert (found.mta, found.service, found.program) == ("sendmail", "sendmail", program)


@pytest.mark.parametrize("program", ["smtpd", "postfix/sendmail", "mimedefang", "sm-"])
def test_programs_of_others(program: str) -> None:
    assert origin("mail", program, 4711) is None


def test_the_server_lets_messages_go_in_silence() -> None:
    assert (SERVER.says_removed, SERVER.says_login) == (False, True)
