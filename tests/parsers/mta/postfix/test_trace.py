"""What a daemon says of its own steps (`smtpd -v`, debug_peer_list) is of no use, and hides nothing that is."""

from __future__ import annotations

from datetime import UTC

import pytest

from parsers.clock import Clock
from parsers.reader import LogReader

NOW = 1795284304.0


def outcomes(message: str) -> tuple[int, int, list[tuple[str, str]]]:
    """How many lines were ignored and how many parsed, and what was strange."""
    strange: list[tuple[str, str]] = []
    reader = LogReader(Clock(UTC, lambda: NOW), lambda outcome, text: strange.append((outcome, text)))
    reader.read(f"Nov 21 10:00:00 mail postfix/smtpd[4711]: {message}\n")
    tally = reader.tallies["postfix"]
    return tally.ignored, tally.parsed, strange


@pytest.mark.parametrize(
    "message",
    [
        "< client.example.net[203.0.113.7]: AUTH PLAIN AGtpbQBzZWNyZXQ=",
        "> client.example.net[203.0.113.7]: 250-mail.example.com",
        ">>> START Recipient address RESTRICTIONS <<<",
        "match_hostname: smtpd_client_event_limit_exceptions: client.example.net ~? 192.0.2.0/24",
        "dict_proxy_open: connect to map=hash:/etc/aliases status=0 server_flags=fixed",
        "trw_report_success(domain=example.org)",
        "private/anvil socket: wanted attribute: status",
        "send attr request = connect",
        "input attribute value: 0",
        "connection established",
        "process generation: 41 (41)",
        "report connect to all milters",
        "before input_transp_cleanup: cleanup flags = enable_header_body_filter",
        "argv_attr_scan ret=1",
        "tok822_resolve: from=kim@example.com addr=lee@example.com -> chan=local",
    ],
)
def test_a_step_of_a_daemon_is_of_no_use(message: str) -> None:
    assert outcomes(message) == (1, 0, [])


@pytest.mark.parametrize(
    "message", ["4dHvRq1ZTPz9sWk: a thing that no release says", "a_thing", "_: x", "milter", ""]
)
def test_what_is_no_step_stays_unknown(message: str) -> None:
    assert outcomes(message) == (0, 0, [("unknown", message)])


def test_a_warning_of_a_function_is_a_problem() -> None:
    assert outcomes("warning: dict_ldap_lookup: Search error 80: Internal error") == (0, 1, [])


def test_a_long_line_costs_what_it_is_long() -> None:
    for text in ("a_" * 30_000, "report " + "x" * 60_000, "lookup " + "x" * 60_000, "a" * 60_000):
        assert outcomes(text)[2] == [("unknown", text)]
