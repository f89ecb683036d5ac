"""A message's way."""

from __future__ import annotations

import gzip
import io
import json
from argparse import Namespace
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from mailstat import render
from mailstat.journey import CHUNK, END, START, Hunt, blocks, stages
from mailstat.log import Log, Selection
from mailstat.report import Report, ReportError
from mailstat.reports import trace
from parsers.events import Delivery, Origin, Received

# A client's message, a content filter, the way to another host (Exim there), and a notification of what failed.
POSTFIX = """\
2026-01-05T10:00:00+00:00 mx postfix/smtpd[11]: 4AAAAA1111: client=c.example.net[192.0.2.9]
2026-01-05T10:00:00+00:00 mx postfix/cleanup[12]: 4AAAAA1111: message-id=<first@example.net>
2026-01-05T10:00:00+00:00 mx postfix/qmgr[13]: 4AAAAA1111: from=<ann@example.net>, size=900, nrcpt=1 (queue active)
2026-01-05T10:00:01+00:00 mx postfix/smtpd[14]: 4BBBBB2222: client=localhost[127.0.0.1]
2026-01-05T10:00:01+00:00 mx postfix/cleanup[12]: 4BBBBB2222: message-id=<first@example.net>
2026-01-05T10:00:01+00:00 mx postfix/qmgr[13]: 4BBBBB2222: from=<ann@example.net>, size=990, nrcpt=1 (queue active)
2026-01-05T10:00:01+00:00 mx postfix/smtp[15]: 4AAAAA1111: to=<bob@example.org>, relay=127.0.0.1[127.0.0.1]:10024, \
delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as \
4BBBBB2222)
2026-01-05T10:00:01+00:00 mx postfix/qmgr[13]: 4AAAAA1111: removed
2026-01-05T10:00:02+00:00 mx postfix/smtp[16]: 4BBBBB2222: to=<bob@example.org>, \
relay=ex.example.org[198.51.100.5]:25, delay=1, \
delays=0/0/0/1, dsn=5.1.1, status=bounced (host ex.example.org[198.51.100.5] said: 550 5.1.1 no such user)
2026-01-05T10:00:02+00:00 mx postfix/cleanup[12]: 4CCCCC3333: message-id=<20260105100002.4CCCCC3333@mx.example.net>
2026-01-05T10:00:02+00:00 mx postfix/bounce[17]: 4BBBBB2222: sender non-delivery notification: 4CCCCC3333
2026-01-05T10:00:02+00:00 mx postfix/qmgr[13]: 4CCCCC3333: from=<>, size=2900, nrcpt=1 (queue active)
2026-01-05T10:00:02+00:00 mx postfix/qmgr[13]: 4BBBBB2222: removed
2026-01-05T10:00:03+00:00 mx postfix/smtp[16]: 4CCCCC3333: to=<ann@example.net>, relay=c.example.net[192.0.2.9]:25,\
 delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent (250 2.0.0 Ok)
2026-01-05T10:00:03+00:00 mx postfix/qmgr[13]: 4CCCCC3333: removed
2026-01-05T10:00:04+00:00 mx postfix/smtpd[11]: 4DDDDD4444: client=c.example.net[192.0.2.9]
2026-01-05T10:00:04+00:00 mx postfix/cleanup[12]: 4DDDDD4444: message-id=<other@example.net>
2026-01-05T10:00:04+00:00 mx postfix/smtpd[11]: NOQUEUE: reject: RCPT from c.example.net[192.0.2.9]: 554 5.7.1 \
<eve@example.com>: Relay access denied; from=<ann@example.net> to=<eve@example.com> proto=ESMTP helo=<c>
"""


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Log:
    path = tmp_path / "mail.log"
    path.write_text(POSTFIX)
    return Log([path], Selection(), zone=UTC)


def asked(log: Log, text: str, *, mermaid: bool = False) -> Report:
    return trace.make(log, Namespace(what=text, mermaid=mermaid))


def document(report: Report) -> Any:
    out = io.StringIO()
    render.render("json", report, out, zone=UTC)
    return json.loads(out.getvalue())


def ids(report: Report) -> list[str]:
    return [message.get("queue_id") for message in document(report)["messages"]]


@pytest.mark.parametrize(
    "text",
    ["4AAAAA1111", "4BBBBB2222", "4CCCCC3333", "<first@example.net>", "bob@example.org", "550 5.1.1 no such user"],
)
def test_a_message_is_followed_through_filter_and_bounce_whatever_it_is_found_by(log: Log, text: str) -> None:
    assert ids(asked(log, text)) == ["4AAAAA1111", "4BBBBB2222", "4CCCCC3333"]


def test_machines_see_each_message_and_what_came_next(log: Log) -> None:
    first, second, third = document(asked(log, "4AAAAA1111"))["messages"]
    assert first["message_id"] == second["message_id"] == "first@example.net"
    assert first["sender"] == "ann@example.net"
    assert (first["next"], second["next"], third["next"]) == (["4BBBBB2222"], ["4CCCCC3333"], [])
    assert third["sender"] == ""
    assert first["events"][0] == {
        "time": "2026-01-05T10:00:00+00:00",
        "mta": "postfix",
        "host": "mx",
        "service": "postfix",
        "program": "smtpd",
        "pid": 11,
        "kind": "received",
        "queue_id": "4AAAAA1111",
        "client_name": "c.example.net",
        "client_ip": "192.0.2.9",
    }


def test_people_see_a_timeline(log: Log) -> None:
    (section,) = asked(log, "4AAAAA1111").sections
    times = [row[0] for row in section.rows]
    assert times == sorted(times)
    assert any("reason=user_unknown" in row[-1] for row in section.rows)


def test_what_never_was_in_a_queue_is_found_too(log: Log) -> None:
    (message,) = document(asked(log, "eve@example.com"))["messages"]
    assert "queue_id" not in message
    assert message["events"][0]["kind"] == "reject"


def test_other_messages_are_not_in_the_way(log: Log) -> None:
    assert ids(asked(log, "other@example.net")) == ["4DDDDD4444"]


def test_the_trace_goes_on_in_another_log_of_another_server(tmp_path: Path) -> None:
    there = tmp_path / "exim.gz"
    line = "2026-01-05 10:00:01.500 1vcgRA-00000001Xyz-2Abc <= ann@example.net H=mx [192.0.2.1] P=esmtp S=950 "
    there.write_bytes(gzip.compress(f"{line}id=first@example.net\n".encode()))
    here = tmp_path / "mail.log"
    here.write_text(POSTFIX)
    log = Log([here, there], Selection(), zone=UTC)
    servers = {
        event["mta"] for message in document(asked(log, "4AAAAA1111"))["messages"] for event in message["events"]
    }
    assert servers == {"postfix", "exim"}


def test_what_is_not_there_is_said(log: Log) -> None:
    with pytest.raises(ReportError, match="nothing was found of 'nobody'"):
        asked(log, "nobody")
    with pytest.raises(ReportError, match="nothing to look for"):
        asked(log, " <> ")


def test_standard_input_cannot_be_searched_twice() -> None:
    with pytest.raises(ReportError, match="standard input"):
        asked(Log([Path("-")], Selection(), zone=UTC), "x")


def test_a_file_that_cannot_be_read_is_named_once(tmp_path: Path, log: Log) -> None:
    both = Log([tmp_path / "absent", *log.paths], Selection(), zone=UTC)
    assert ids(asked(both, "4AAAAA1111"))
    assert len(both.errors) == 1


def test_lines_are_found_wherever_a_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    filler = "2026-01-05T10:00:00+00:00 mx postfix/qmgr[13]: 4EEEEE5555: removed\n"
    path.write_text(filler * (CHUNK // len(filler)) + POSTFIX)
    assert len(ids(asked(Log([path], Selection(), zone=UTC), "4AAAAA1111"))) == 3


def test_where_it_is_known_where_an_id_began_nothing_is_read_before_that(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    filler = "2026-01-05T10:00:00+00:00 mx postfix/qmgr[13]: 4EEEEE5555: removed\n"
    path.write_text(filler * (3 * CHUNK // len(filler)) + POSTFIX)
    begin = path.stat().st_size - len(POSTFIX)
    with path.open("rb") as file:
        assert [at for at, _, _ in blocks(file, begin)] == [begin]
    packed = tmp_path / "mail.log.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    with packed.open("rb") as file:
        assert next(at for at, _, _ in blocks(file, begin)) == 0


def test_what_is_looked_for_from_the_middle_of_a_block_on_is_found_there(log: Log) -> None:
    hunt = Hunt(log)
    place = POSTFIX.index("\n") + 1
    hunt.look({"4AAAAA1111": (START, END), "4DDDDD4444": ((0, place), END)})
    assert sum(b"4DDDDD4444" in line for line in hunt.found.values()) == 2


def test_a_message_id_that_was_made_of_a_queue_id_is_not_looked_for_twice(log: Log) -> None:
    hunt = Hunt(log)
    hunt.run("4AAAAA1111")
    made = "20260105100002.4CCCCC3333@mx.example.net"
    assert set(hunt.known) == {"4AAAAA1111", "4BBBBB2222", "4CCCCC3333", "first@example.net", made}
    assert hunt.is_found_by_another(made, hunt.known[made])
    assert not hunt.is_found_by_another("first@example.net", START)


def test_an_id_that_stands_in_another_by_chance_does_not_hide_it(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    filler = "2026-01-05T10:00:00+00:00 mx postfix/qmgr[13]: 4EEEEE5555: removed\n"
    before = (
        "2026-01-05T09:00:00+00:00 mx postfix/cleanup[12]: 4FFFFF6666: message-id=<first.4BBBBB2222@example.net>\n"
    )
    text = POSTFIX.replace("first@", "first.4BBBBB2222@")
    path.write_text(before + filler * (CHUNK // len(filler)) + text)
    assert ids(asked(Log([path], Selection(), zone=UTC), "4AAAAA1111"))[0] == "4FFFFF6666"


def test_a_diagram_shows_what_led_to_what_and_obeys_no_log(tmp_path: Path) -> None:
    path = tmp_path / "mail.log"
    path.write_text(POSTFIX.replace("bob@", 'bob"];click<script>@'))
    lines = asked(Log([path], Selection(), zone=UTC), "4AAAAA1111", mermaid=True).lines
    assert lines
    assert lines[0] == "flowchart LR"
    text = "\n".join(lines)
    assert "m0 --> m1" in text
    assert "m1 --> m2" in text
    assert "<script>" not in text
    assert '"];' not in text


def test_an_id_that_comes_again_is_another_message() -> None:
    origin = Origin("postfix", "mx", "postfix", "smtpd")
    events = [
        Received(1.0, origin, "A1"),
        Delivery(2.0, origin, "A1", "x", "sent", "outbound"),
        Received(900.0, origin, "A1"),
    ]
    assert [len(stage.events) for stage in stages(events)] == [2, 1]
