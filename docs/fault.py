"""The page of what a probe says of each fault, from the table that the tests inject."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.probes.hint import BY_PHASE, BY_REASON
from tests.exporter.probes.fault import FAULTS, MISSING, Fault, Missing

_INTRODUCTION = """\
# What a probe says of a failure

Every row is injected into a real connection by the tests (`tests/exporter/probes/fault.py`), and the probe has to
give this phase and this reason before its deadline. The reason of a refusal is that of the
[reply](reasons.md), with TLS it is the result type of RFC 8460.

In each of them `mail_probe_success` is 0 at once, `mail_probe_messages_total{result="send_failed"}` counts one more,
and `mail_probe_failure_info` is 1 with the phase and the reason; at `/probe` `probe_success` is 0 and
`probe_smtp_failure_info` has the same labels, `probe_smtp_reply_code` the code. The expiry of a
certificate is told where it is refused, too (`mail_probe_certificate_expiry_timestamp_seconds`, and
`probe_ssl_earliest_cert_expiry`), and so are its names, at `/probe`; that of a mailbox's server is
`mail_probe_mailbox_certificate_expiry_timestamp_seconds`, and `--probe.once` tells its names.

| injected | phase | reason | code |
|---|---|---|---|
"""


_ARRIVAL = """
## Sent, and not seen to arrive

The phase is `arrival`. `mail_probe_success` is 0 from when it is known; the mail is counted under these results of
`mail_probe_messages_total`. Where the log of our own mail server is followed, the reason is what it said last of the
mail: `queued` with the reason of the last attempt, `handed_over` to another host, or why it was given up; words for
people are in the log, on the page of the exporter, and in what `--probe.once` prints.

| what happens | reason | counted as |
|---|---|---|
"""


_HINTS = """
## What to do

As `--probe.once` and `/probe` with `debug=true` say it after the failure. Of a mailbox, the reasons begin with
`mailbox_`. What a reply of a server means, and what to do about it, tells `mailstat explain`.

| reason | what to do |
|---|---|
"""


def text() -> str:
    """The page."""
    faults, missing = "".join(map(_row, FAULTS)), "".join(map(_missing_row, MISSING))
    return _INTRODUCTION + faults + _ARRIVAL + missing + _HINTS + "".join(_hint_rows())


def _hint_rows() -> Iterator[str]:
    for (phase, reason), hint in BY_PHASE.items():
        yield f"| `{reason}` at `{phase}` | {hint} |\n"
    for reason, hint in BY_REASON.items():
        yield f"| `{reason}` | {hint} |\n"


def _missing_row(missing: Missing) -> str:
    results = " ".join(f"`{result}`" for result in missing.results)
    return f"| {missing.what} | `{missing.reason}` | {results} |\n"


def _row(fault: Fault) -> str:
    return f"| {fault.what} | `{fault.phase}` | `{fault.reason}` | {fault.reply_code or ''} |\n"
