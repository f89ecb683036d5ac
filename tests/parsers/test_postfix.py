"""Every Postfix shape has a sample, and the sample is of that shape and of no other."""

from __future__ import annotations

import pytest

from parsers.mta.postfix import GRAMMAR, origin
from parsers.shape import Shape


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_sample_is_of_its_own_shape_first_and_of_no_other_but_a_general_one(row: Shape) -> None:
    first, *others = [found for found, _, _ in GRAMMAR.matches(row.sample)]
    assert first == row
    assert all(other.general for other in others)


@pytest.mark.parametrize("row", GRAMMAR.shapes, ids=lambda row: row.template[:60])
def test_a_sample_has_a_value_in_some_field_of_its_shape(row: Shape) -> None:
    _, _, fields = next(GRAMMAR.matches(row.sample))
    assert not fields or any(fields)


@pytest.mark.parametrize(
    ("program", "service", "daemon", "entry"),
    [
        ("postfix/smtpd", "postfix", "smtpd", ""),
        ("postfix-out/smtpd", "postfix-out", "smtpd", ""),
        ("postfix-192.0.2.1/smtp", "postfix-192.0.2.1", "smtp", ""),
        ("mx/qmgr", "mx", "qmgr", ""),
        ("postfix/submission/smtpd", "postfix", "smtpd", "submission"),
        ("postfix/a/b/smtpd", "postfix", "smtpd", "a/b"),
        ("postfix/postfix-script", "postfix", "postfix-script", ""),
        ("postfix", "postfix", "", ""),
        ("postfix-out", "postfix-out", "", ""),
        ("postfix.service", "postfix", "", ""),
        ("postfix@-.service", "postfix", "", ""),
        ("postfix@postfix-out.service", "postfix-out", "", ""),
        (r"postfix@postfix\x2dout.service", "postfix-out", "", ""),
    ],
)
def test_a_program_of_postfix(program: str, service: str, daemon: str, entry: str) -> None:
    found = origin("mail", program, 4711)
    assert found is not None
    assert (found.service, found.program, found.entry, found.pid) == (service, daemon, entry, 4711)
    assert found.instance == f"postfix mail {service}"


@pytest.mark.parametrize(
    "program",
    [
        "dovecot",
        "postfix1",
        "postfix_exporter",
        "process/daemon/with/slash",
        "postfix/policy-spf",
        "smtpd",
        "qmgr",
        "",
    ],
)
def test_a_program_that_is_not_of_postfix(program: str) -> None:
    assert origin("mail", program, 4711) is None
