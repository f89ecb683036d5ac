"""`mailstat explain`: replies, lines of logs and JSON objects, one or many."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstat.reports.explain import _explain, _item

MESSAGE = (
    "1A2B3C4D5E: to=<kim@example.org>, relay=aspmx.l.google.com[192.0.2.25]:25, delay=1, delays=0/0/0/1, dsn=4.2.2,"
    " status=deferred (host aspmx.l.google.com[192.0.2.25] said: 452-4.2.2 The recipient's inbox is out of storage"
    " space (in reply to RCPT TO command))"
)
LINE = "Nov 21 10:00:00 mail postfix/smtp[7]: " + MESSAGE
ITEMS = [
    "550 5.1.1 No such user",
    LINE,
    '{"reply": "no", "reply_code": "451", "phase": "rcpt", "unknown": [1]}',
    "{not JSON",
    "",
    "\udcff\x1b[31m",
]


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "mailstat", "explain", *arguments]
    return subprocess.run(command, input=text.encode("utf-8", "surrogateescape"), capture_output=True, check=False)


@pytest.mark.parametrize("line", [LINE, MESSAGE])
def test_a_line_of_a_log_is_understood_with_all_it_tells(line: str) -> None:
    (answer,) = [json.loads(run("--format", "json", line).stdout)]
    assert answer["reason"] == "mailbox_full"
    assert (answer["reply_code"], answer["dsn"], answer["phase"], answer["provider"]) == (
        452,
        "4.2.2",
        "rcpt",
        "google",
    )


def test_the_words_of_a_reply_need_no_quotes() -> None:
    assert run("550", "5.1.1", "No", "such", "user").stdout == run("550 5.1.1 No such user").stdout


def test_many_are_answered_in_order_a_line_each() -> None:
    done = run("--format", "json", "-", text="\n".join(ITEMS) + "\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["reason"] for answer in answers][:2] == ["user_unknown", "mailbox_full"]
    assert answers[2]["reply_code"] == 451
    assert len(answers) == len(ITEMS)
    assert all(set(answer) >= {"reply_code", "dsn", "phase", "reason", "nature", "fault"} for answer in answers)
    assert done.returncode == 0


def test_without_a_text_there_is_nothing_to_explain() -> None:
    done = run()
    assert done.returncode == 2
    assert b"TEXT" in done.stderr


@given(st.text(alphabet=st.characters(codec=None), max_size=300))
def test_no_text_is_an_exception(text: str) -> None:
    assert _explain(_item(text)).reason
    assert _explain(_item("{" + text)).reason
