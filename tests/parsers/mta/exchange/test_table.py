"""Files: headers, rows without one, what is broken, and what is another log."""

from __future__ import annotations

from datetime import UTC
from random import Random

import pytest

from parsers.clock import Clock
from parsers.events import Connect, Delivery, Event, Notification, Received
from parsers.mta.exchange.memory import MESSAGES, Memory
from parsers.mta.exchange.recent import Recent
from parsers.mta.exchange.row import read_time, split
from parsers.mta.exchange.status import statuses
from parsers.mta.exchange.tracking import FIELDS_2010, FIELDS_2013, LAYOUTS
from parsers.reader import LogReader
from tests.effort import is_linear

HEADER = "#Software: Microsoft Exchange Server\n#Version: 15.0.0.0\n#Log-type: {}\n#Date: 2026-11-21T10:00:00.000Z\n"
TRACKING = HEADER.format("Message Tracking Log")
FIELDS = f"#Fields: {','.join(FIELDS_2013)}\n"
VALUES = {
    "date-time": "2026-11-21T10:00:00.000Z",
    "server-hostname": "EX1",
    "source": "SMTP",
    "event-id": "RECEIVE",
    "message-id": "<1@example.com>",
    "internal-message-id": "4711",
    "recipient-address": "kim@example.org",
    "total-bytes": "70",
    "recipient-count": "1",
    "return-path": "bo@example.com",
}
PROTOCOL = "2026-11-21T10:00:00.000Z,EX1\\Default EX1,08D675E58CA1DA38,0,192.0.2.1:25,203.0.113.7:4,+,,"


def row(fields: tuple[str, ...] | list[str] = FIELDS_2013, **more: str) -> str:
    values = VALUES | {name.replace("_", "-"): value for name, value in more.items()}
    return ",".join(values.get(name, "") for name in fields)


def read(text: str) -> tuple[list[Event], dict[str, int]]:
    """Events, and the outcomes of the lines that have any."""
    reader = LogReader(Clock(UTC, lambda: 0.0))
    events = reader.read(text)
    outcomes = {
        name: count
        for tally in reader.tallies.values()
        for name in ("parsed", "ignored", "unknown", "malformed")
        if (count := getattr(tally, name))
    }
    assert sum(outcomes.values()) == len(text.split("\n")) - text.endswith("\n")
    return events, outcomes


# --- headers ---


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_has_a_header(mark: str, end: str) -> None:
    events, outcomes = read((mark + TRACKING + FIELDS + row() + "\n").replace("\n", end))
    assert [type(event) for event in events] == [Received]
    assert outcomes == {"ignored": 5, "parsed": 1}


def test_headers_come_again_and_with_other_columns() -> None:
    older = f"#Fields: {','.join(FIELDS_2010)}\n"
    text = (
        TRACKING
        + FIELDS
        + row()
        + "\n"
        + "\ufeff"
        + TRACKING
        + older
        + row(FIELDS_2010, internal_message_id="9")
        + "\n"
        + row()
        + "\n"
    )
    events, outcomes = read(text)
    assert len(events) == 2
    assert outcomes == {"ignored": 10, "parsed": 2, "malformed": 1}  # the last has the columns of the first header


def test_a_header_may_come_in_a_block_of_its_own() -> None:
    reader = LogReader(Clock(UTC, lambda: 0.0))
    assert reader.read(TRACKING) == []
    assert reader.read(FIELDS) == []
    assert len(reader.read(row() + "\n")) == 1


@pytest.mark.parametrize("fields", ["", "date-time", "date-time,foo,bar", ",,,", "date-time," * 5000])
def test_a_header_without_fields_that_are_known(fields: str) -> None:
    events, outcomes = read(f"{TRACKING}#Fields: {fields}\n{row()}\n")
    assert (len(events), outcomes) == (1, {"ignored": 4, "malformed": 1, "parsed": 1})


@pytest.mark.parametrize("log_type", ["IMAP4 Log", "POP3 Log", "HttpProxy Logs", "Rps Cmdlet Logs", ""])
def test_logs_that_are_no_mail_flow_are_left_alone(log_type: str) -> None:
    text = HEADER.format(log_type) + "#Fields: DateTime,RequestId\n" + PROTOCOL + "\n" + row() + "\nanything\n\n"
    assert read(text) == ([], {"ignored": 9})
    events, outcomes = read(text + TRACKING + FIELDS + row() + "\n")
    assert (len(events), outcomes) == (1, {"ignored": 14, "parsed": 1})


# --- rows without a header ---


@pytest.mark.parametrize("columns", LAYOUTS)
def test_the_number_of_columns_tells_where_no_header_does(columns: int) -> None:
    (event,), outcomes = read(row(LAYOUTS[columns]) + "\n")
    assert isinstance(event, Received)
    assert (event.queue_id, event.size, event.sender) == ("4711", 70, "bo@example.com")
    assert outcomes == {"parsed": 1}


@pytest.mark.parametrize("connector", ["EX1\\Default EX1", "Outbound"])
def test_a_receive_connector_has_its_server_in_its_name(connector: str) -> None:
    events, _ = read(PROTOCOL.replace("EX1\\Default EX1", connector) + "\n")
    assert [type(event) for event in events] == ([Connect] if "\\" in connector else [])


def test_quotes_do_not_hide_whose_row_it_is() -> None:
    text = row(source_context='"MDB:1, ""a"", b"', event_id="DELIVER", source="STOREDRIVER") + "\n"
    events, outcomes = read(text)
    assert (len(events), outcomes) == (1, {"parsed": 1})


# --- what is broken ---

BROKEN = {
    "too few columns": row()[: row().rindex(",")],
    "too many columns": row() + ",",
    "cut": row()[:60],
    "no time": row(date_time="yesterday"),
    "a time that cannot be": row(date_time="2026-13-41T25:61:61.000Z"),
    "a time in another zone": row(date_time="2026-11-21T10:00:00.000+01:00"),
    "a size that is none": row(total_bytes="abc"),
    "a negative size": row(total_bytes="-1"),
    "no size": row(total_bytes=""),
    "a number with a point": row(recipient_count="1.5"),
    "digits of another script": row(total_bytes="٣٤"[:1] + "x"),
    "a huge number": row(total_bytes="9" * 5000),
    "no recipient": row(event_id="DELIVER", recipient_address=""),
    "only separators": row(event_id="SEND", recipient_address=";" * 90),
    "too many recipients": row(event_id="FAIL", recipient_address="a;" * 30_000),
    "no name": row(message_id="", internal_message_id="0"),
    "an open quote": row(message_subject='"open'),
    "nothing but commas": "," * 29,
    "words": "status=sent (250 ok)",
    "a huge line": "x," * 200_000,
}


@pytest.mark.parametrize("line", BROKEN.values(), ids=BROKEN)
def test_a_broken_row_is_malformed_and_the_next_one_is_read(line: str) -> None:
    events, outcomes = read(TRACKING + FIELDS + line + "\n" + row() + "\n")
    assert [type(event) for event in events] == [Received]
    bad = "unknown" if line == BROKEN["nothing but commas"] else "malformed"
    assert outcomes == {"ignored": 5, bad: 1, "parsed": 1}


@pytest.mark.parametrize(
    "change", [("203.0.113.7:4", "203.0.113.7:x"), ("21T10", "21T99"), (",+,,", ",+,"), (",+,", ",?,")]
)
def test_a_broken_row_of_a_session(change: tuple[str, str]) -> None:
    header = HEADER.format("SMTP Receive Protocol Log")
    events, outcomes = read(header + PROTOCOL.replace(*change) + "\n" + PROTOCOL + "\n")
    assert [type(event) for event in events] == [Connect]
    assert outcomes == {"ignored": 4, "unknown" if change[1] == ",?," else "malformed": 1, "parsed": 1}


def test_an_event_that_is_not_documented_is_unknown() -> None:
    assert read(TRACKING + FIELDS + row(event_id="TELEPORT") + "\n")[1] == {"ignored": 5, "unknown": 1}


def test_nothing_that_is_cut_or_garbled_is_raised() -> None:
    random = Random(7)
    sent = row(event_id="SEND", recipient_status="250 2.1.5 ok;[{LED=550 5.1.1 x};{MSG=}]", message_info="x;y")
    for line in (row(), sent, PROTOCOL, '"' + row() + '"', row().replace(",", '","')):
        for end in range(len(line)):
            read(TRACKING + FIELDS + line[:end] + "\n")
        for _ in range(300):
            place = random.randrange(len(line))
            read(line[:place] + random.choice('\0",;\ud800#\ufeff<[{\t9') + line[place + 1 :])


@pytest.mark.parametrize("part", ['"', '"a"b', ',""', "[{LED=", ";250 ", "-> 550 ", "};{", 'responded with: "'])
@pytest.mark.parametrize("column", ["recipient_status", "source_context"])
def test_the_cost_of_a_hostile_row_grows_with_its_length_and_no_faster(part: str, column: str) -> None:
    def line(length: int) -> str:
        text = (part * length)[:length]
        return "\n".join(row(event_id=event, **{column: text}) for event in ("RECEIVE", "SEND", "FAIL"))

    assert is_linear(read, line)


# --- Exchange 2003 ---

OLD = (
    "2003-8-12\t0:58:14 GMT\t203.0.113.7\tmx.example.net\t{partner}\tEX1\t192.0.2.1\tkim@example.com\t{event}\t"
    "{id}\t0\t0\t4281\t2\t2003-8-12 0:58:14 GMT\t0\tVersion: 6.0.3790.0\t-\tHi\tbo@example.net\t-\n"
)


def test_the_log_of_exchange_2003() -> None:
    """Documented (KB 821905): a row for each recipient."""
    events, outcomes = read(
        "# Message Tracking Log File\n# Exchange System Attendant Version 6.5.7638.1\n"
        + OLD.format(event=1019, id="1@example.net", partner="-") * 2
        + OLD.format(event=1025, id="1@example.net", partner="-")
        + OLD.format(event=1028, id="1@example.net", partner="-")
        + OLD.format(event=1031, id="2@example.net", partner="mx.example.org")
        + OLD.format(event=1030, id="2@example.net", partner="-")
        + OLD.format(event="x", id="1", partner="-")
        + OLD.format(event=1019, id="-", partner="-")
    )
    assert [type(event) for event in events] == [Received, Delivery, Delivery, Notification]
    assert outcomes == {"ignored": 3, "parsed": 5, "malformed": 2}
    arrival, local, outbound, _ = events
    assert isinstance(arrival, Received)
    assert (arrival.size, arrival.recipients, arrival.client_ip, arrival.sender) == (
        4281,
        2,
        "203.0.113.7",
        "bo@example.net",
    )
    assert arrival.time == 1060649894
    assert isinstance(local, Delivery)
    assert isinstance(outbound, Delivery)
    assert (local.direction, outbound.direction, outbound.relay_host) == ("local", "outbound", "mx.example.org")


# --- parts ---


@pytest.mark.parametrize("seed", range(5))
def test_what_is_quoted_is_split_as_it_was_joined(seed: int) -> None:
    random = Random(seed)
    for _ in range(2_000):
        fields = ["".join(random.choices('ab,"; ', k=random.randrange(5))) for _ in range(random.randrange(1, 6))]
        line = ",".join(f'"{it.replace(chr(34), chr(34) * 2)}"' if set(it) & set(',"') else it for it in fields)
        assert split(line) == fields


@pytest.mark.parametrize(
    ("text", "recipients", "found"),
    [
        ("", 2, ["", ""]),
        ("550 5.1.1 A.B; not found", 1, ["550 5.1.1 A.B; not found"]),
        ("550 5.1.1 A.B; not found", 2, ["550 5.1.1 A.B; not found"] * 2),
        ("550 5.1.1 A.B; no;450 4.1.1 C; wait", 2, ["550 5.1.1 A.B; no", "450 4.1.1 C; wait"]),
        ("250 ok;250 ok;250 ok", 3, ["250 ok"] * 3),
        ("250 ok;250 ok", 3, ["250 ok", "250 ok", ""]),
        ("{LED=550 a};{MSG=b};{LED=450 c};{MSG=d}", 2, ["{LED=550 a};{MSG=b}", "{LED=450 c};{MSG=d}"]),
        ("[{LRT=1};{LED=550 a}];[{LRT=2};{LED=450 c}]", 2, ["[{LRT=1};{LED=550 a}]", "[{LRT=2};{LED=450 c}]"]),
        (";250 ok", 2, ["", "250 ok"]),
    ],
)
def test_each_recipient_has_its_status(text: str, recipients: int, found: list[str]) -> None:
    assert statuses(text, recipients) == found


def test_times_are_in_utc() -> None:
    assert read_time("2026-11-21T10:00:00.123Z") == pytest.approx(1795255200.123)
    assert read_time("2026-11-21T10:00:00.1234567Z") == pytest.approx(1795255200.1234567)


def test_the_latest_are_remembered_in_bounded_memory() -> None:
    recent: Recent[int, int] = Recent(100)
    for number in range(1, 1000):
        recent.keep(number, number)
        assert recent.get(number - 99 if number > 99 else 1)
        assert len(recent) <= 200
    recent.forget(999)
    assert recent.get(999) is None


def test_messages_that_were_received_are_forgotten_in_time() -> None:
    memory = Memory()
    events, _ = read(row() + "\n")
    (event,) = events
    assert isinstance(event, Received)
    for number in range(3 * MESSAGES):
        event.queue_id = event.message_id = f"{number}"
        assert memory.join([event]) == [event]
        assert memory.join([event]) == []
    assert len(memory._received) <= 2 * MESSAGES
    assert len(memory._names) <= 2 * MESSAGES
