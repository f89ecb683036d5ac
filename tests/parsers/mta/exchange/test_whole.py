"""The whole way: logs of Exchange in the tracker, the reports and the service, beside a log of Postfix."""

from __future__ import annotations

import json
from datetime import UTC
from pathlib import Path

import pytest

from bench.generate import generate
from exporter.config import Config, LogSource
from exporter.pipeline import Pipeline
from mailstat.cli import main
from parsers.clock import Clock
from parsers.events import Delivery, Event, Notification, QueueAction
from parsers.mta.exchange.tracking import FIELDS_2013
from parsers.reader import LogReader
from parsers.tracker import Tracker

HEADER = (
    "#Software: Microsoft Exchange Server",
    "#Version: 15.02.1118.007",
    "#Log-type: Message Tracking Log",
    "#Date: 2026-11-21T10:00:00.000Z",
    f"#Fields: {','.join(FIELDS_2013)}",
)
POSTFIX = (
    "2026-11-21T10:00:01+00:00 mail postfix/smtpd[7]: 4F2A31C: client=mx.example.com[192.0.2.1]\n"
    "2026-11-21T10:00:02+00:00 mail postfix/qmgr[8]: 4F2A31C: from=<bo@example.com>, size=70, nrcpt=1"
    " (queue active)\n"
    "2026-11-21T10:00:03+00:00 mail postfix/smtp[9]: 4F2A31C: to=<kim@example.org>,"
    " relay=mx.example.org[192.0.2.2]:25, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)\n"
    "2026-11-21T10:00:04+00:00 mail postfix/qmgr[8]: 4F2A31C: removed\n"
)
NOW = 1_795_300_000.0


def row(event: str, message: int = 1, recipients: str = "kim@example.com", source: str = "SMTP", **more: str) -> str:
    columns = dict.fromkeys(FIELDS_2013, "") | {
        "date-time": "2026-11-21T10:00:00.000Z",
        "client-hostname": "EX1" if event in ("SEND", "DELIVER", "DEFER", "FAIL") else "",
        "server-hostname": "EX1",
        "source": source,
        "event-id": event,
        "message-id": f"<{message}@example.net>",
        "network-message-id": f"5f2c1a9e-{message:04}",
        "recipient-address": recipients,
        "total-bytes": "1000",
        "recipient-count": str(recipients.count(";") + 1),
        "return-path": "bo@example.net",
    }
    return ",".join((columns | {name.replace("_", "-"): value for name, value in more.items()}).values())


def follow(*rows: str) -> tuple[Tracker, list[Event]]:
    tracker = Tracker()
    events = LogReader(Clock(UTC, lambda: NOW)).read("\n".join((*HEADER, *rows)) + "\n")
    tracker.follow(events)
    return tracker, events


def removals(events: list[Event]) -> list[bool]:
    return [event.is_removal for event in events if isinstance(event, Delivery | QueueAction)]


# --- a message from its beginning to its end ---


def test_a_message_ends_with_its_last_recipient() -> None:
    recipients = "a@example.com;b@example.com;c@example.com"
    tracker, events = follow(
        row("RECEIVE", recipients=recipients),
        row("DEFER", recipients="c@example.com", recipient_status="432 4.2.0 later"),
        row("DELIVER", recipients="a@example.com", source="STOREDRIVER"),
        row("FAIL", recipients="b@example.com", recipient_status="550 5.1.1 no"),
        row("SEND", recipients="c@example.com", server_hostname="mx.example.org", connector_id="Internet"),
    )
    assert removals(events) == [False, False, False, True]
    assert tracker.in_flight() == {"exchange": 0}
    last = events[-1]
    assert isinstance(last, Delivery)
    assert (last.attempts, last.sender) == (2, "bo@example.net")


def test_a_group_has_as_many_recipients_as_members() -> None:
    members = [f"{name}@example.com" for name in "abc"]
    tracker, events = follow(
        row("RECEIVE", recipients="all@example.com"),
        row("EXPAND", recipients=";".join(members), source="ROUTING"),
        *(row("DELIVER", recipients=member, source="STOREDRIVER") for member in members[:2]),
        row("DUPLICATEDELIVER", recipients=members[2], source="STOREDRIVER"),
    )
    assert removals(events) == [False, False, False, True]
    assert tracker.in_flight() == {"exchange": 0}


def test_a_message_to_another_server_of_the_organisation_has_left_this_one() -> None:
    to_other = row("SEND", server_hostname="EX2", connector_id="Intra-Organization SMTP Send Connector")
    tracker, events = follow(
        row("RECEIVE"),
        to_other,
        row("RECEIVE", client_hostname="EX1", server_hostname="EX2"),
        row("DELIVER", client_hostname="EX2", server_hostname="EX2", source="STOREDRIVER"),
    )
    assert removals(events) == [True, True]
    assert tracker.in_flight() == {"exchange": 0}
    assert sum(isinstance(event, Delivery) for event in events) == 1


def test_what_is_done_with_a_message_that_nobody_saw_coming_does_not_stay() -> None:
    rows = [row(event, number) for number, event in enumerate(("DELIVER", "SEND", "FAIL", "EXPAND", "DROP"))]
    tracker, events = follow(*rows, row("DEFER", 9, recipient_status="451 x"))
    assert tracker.in_flight() == {"exchange": 1}
    assert not any(removals(events))
    assert [event.sender for event in events if isinstance(event, Delivery)] == ["bo@example.net"] * 4
    tracker, events = follow(row("DEFER", recipient_status="451 x"), row("FAIL", recipient_status="550 x"))
    assert removals(events) == [False, False]
    assert tracker.in_flight() == {"exchange": 0}


def test_a_notification_arrives() -> None:
    about = {"message_id": "<9@example.com>", "network_message_id": "5f2c1a9e-ffff", "reference": "<1@example.net>"}
    _, events = follow(row("RECEIVE"), row("FAIL", recipient_status="550 no"), row("DSN", source="DSN", **about))
    notice = events[-1]
    assert isinstance(notice, Notification)
    assert notice.message is not None
    assert (notice.message.via, notice.message.queue_id, notice.queue_id) == (
        "notification",
        "5f2c1a9e-ffff",
        "5f2c1a9e-0001",
    )


# --- reports and service ---


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path]:
    postfix, exchange = tmp_path / "mail.log", tmp_path / "MSGTRK2026112110-1.LOG"
    postfix.write_text(POSTFIX)
    rows = (
        row("RECEIVE", recipients="a@example.com;b@example.com"),
        row("DELIVER", recipients="a@example.com;b@example.com", source="STOREDRIVER"),
        row("RECEIVE", 2, recipients="kim@gmail.com"),
        row("FAIL", 2, recipients="kim@gmail.com", recipient_status="550 5.1.1 User unknown"),
        row("DSN", 3, source="DSN", reference="<2@example.net>"),
    )
    exchange.write_bytes(("\ufeff" + "".join(f"{line}\r\n" for line in (*HEADER, *rows))).encode())
    return postfix, exchange


def test_a_summary_over_logs_of_two_servers(logs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "--format", "json", "--timezone", "UTC", *map(str, logs)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["lines"] == {"total": 14, "parsed": 9, "ignored": 5, "unknown": 0, "malformed": 0}
    assert told["messages"] == {"received": 4, "bytes": 2070, "removed": 3, "notifications": 1}
    assert told["deliveries"] == {"sent": 3, "deferred": 0, "bounced": 1, "expired": 0}
    assert [(it["status"], it["reason"], it["count"]) for it in told["reasons"]] == [("bounced", "user_unknown", 1)]
    providers = {it["provider"]: it["sent"] + it["bounced"] for it in told["providers"]}
    assert providers == {"google": 1, "local": 2, "other": 1}


def test_only_one_of_two_servers_is_asked_for(logs: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["summary", "--format", "json", "--mta", "exchange", "--timezone", "UTC", *map(str, logs)]) == 0
    assert json.loads(capsys.readouterr().out)["deliveries"] == {"sent": 2, "deferred": 0, "bounced": 1, "expired": 0}


def pipeline(state: Path, *logs: Path) -> Pipeline:
    state.mkdir(exist_ok=True)
    return Pipeline(Config(sources=tuple(LogSource(file=log) for log in logs)), state, lambda: NOW)


def finish(made: Pipeline) -> dict[tuple[str, str], float]:
    """Deliveries by server and status, after all is read."""
    while made.step():
        pass
    made.close()
    samples = (sample for family in made.collect() for sample in family.samples)
    return {
        (sample.labels["mta"], sample.labels["status"]): sample.value
        for sample in samples
        if sample.name == "mail_deliveries_total" and sample.value
    }


def test_the_service_follows_both(logs: tuple[Path, Path], tmp_path: Path) -> None:
    made = pipeline(tmp_path / "state", *logs)
    assert finish(made) == {("postfix", "sent"): 1, ("exchange", "sent"): 2, ("exchange", "bounced"): 1}
    assert [view.mtas for view in made.sources()] == [("postfix",), ("exchange",)]
    assert made.sources()[1].last_event == 1795255200.0


@pytest.mark.parametrize("log", ["exchange", "exchange-protocol"])
def test_after_a_restart_rows_are_understood_without_their_header(tmp_path: Path, log: str) -> None:
    """It is far before the place where reading goes on: the number of columns tells what the rows are."""
    whole, growing = tmp_path / "whole.log", tmp_path / "growing.log"
    generate(log, whole, lines=3_000, seed=1)
    lines = whole.read_bytes().splitlines(keepends=True)
    once = pipeline(tmp_path / "once", whole)
    finish(once)
    parts = [lines[:1_000], lines[1_000:1_001], lines[1_001:]]
    for part in parts:
        with growing.open("ab") as file:
            file.writelines(part)
        made = pipeline(tmp_path / "state", growing)
        finish(made)
        tallies = made._sources[0].tallies
        assert set(tallies) <= {"exchange", "other"}
        outcomes = ("parsed", "ignored", "unknown", "malformed")  # they go on over a restart
        totals = [sum(getattr(tally, name) for tally in tallies.values()) for name in outcomes]
    tally = once._sources[0].tallies["exchange"]
    assert totals[2:] == [0, 0]
    assert totals == [tally.parsed, tally.ignored, 0, 0]
