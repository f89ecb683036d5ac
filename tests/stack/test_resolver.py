"""The name server of the stack."""

from __future__ import annotations

import dns.message
import dns.rcode
import pytest

from stack import resolver
from stack.plan import DESTINATIONS


def asked(name: str, kind: str, failing: str = "", *, is_listed: bool = False) -> tuple[str, list[str]]:
    found = resolver.answer(dns.message.make_query(name, kind), failing, is_listed=is_listed)
    return dns.rcode.to_text(found.rcode()), [str(record) for rows in found.answer for record in rows]


@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("mx.google.example", "A", ("NOERROR", [DESTINATIONS["google.example"]])),
        ("MX.Google.Example", "A", ("NOERROR", [DESTINATIONS["google.example"]])),
        ("mx.google.example", "AAAA", ("NOERROR", [])),
        ("sender.example", "MX", ("NOERROR", ["10 mx.sender.example."])),
        ("nowhere.example", "A", ("NXDOMAIN", [])),
        ("2.0.0.127.bl.example", "A", ("NOERROR", ["127.0.0.2"])),
    ],
)
def test_answers(name: str, kind: str, answer: tuple[str, list[str]]) -> None:
    assert asked(name, kind) == answer


def test_a_name_fails_while_the_fault_has_it() -> None:
    assert asked("mx.google.example", "A", "mx.google.example") == ("SERVFAIL", [])
    assert asked("mx.yahoo.example", "A", "mx.google.example")[0] == "NOERROR"


def test_the_server_is_on_the_block_list_while_that_fault_lasts() -> None:
    name = f"{resolver.BACKWARDS}.{resolver.ZONE}"
    assert asked(name, "A") == ("NXDOMAIN", [])
    assert asked(name, "A", is_listed=True) == ("NOERROR", ["127.0.0.2"])
