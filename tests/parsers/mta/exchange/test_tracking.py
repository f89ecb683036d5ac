"""Rows of the message tracking log. All are documented: written by us in the form that Microsoft's documentation of
message tracking gives, for events that no public log shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC

import pytest

from parsers.clock import Clock
from parsers.events import Delivery, Event, Notification, Problem, QueueAction, Received
from parsers.mta.exchange.tracking import FIELDS_2010, FIELDS_2013
from parsers.reader import LogReader

NETWORK_ID = "5f2c1a9e-0001-4b7a-9c3e-08dc5f139ac8"
TIME = "2026-11-21T10:00:02.500Z"
Log = Callable[..., list[Event]]


def row(event: str, source: str = "SMTP", fields: tuple[str, ...] = FIELDS_2013, **more: str) -> str:
    """A row of these columns; the names have `_` for `-`."""
    columns = dict.fromkeys(fields, "")
    columns |= {
        "date-time": TIME,
        "server-hostname": "EX1",
        "source": source,
        "event-id": event,
        "internal-message-id": "4711",
        "message-id": "<1@example.com>",
        "recipient-address": "kim@example.org",
        "total-bytes": "2048",
        "recipient-count": "1",
        "sender-address": "bo@example.com",
        "return-path": "bo@example.com",
    }
    if "network-message-id" in fields:
        columns["network-message-id"] = NETWORK_ID
    columns |= {name.replace("_", "-"): value for name, value in more.items()}
    quoted = ('"' + it.replace('"', '""') + '"' if set(it) & set(',"') else it for it in columns.values())
    return ",".join(quoted)


def read(*rows: str, fields: tuple[str, ...] = FIELDS_2013) -> list[Event]:
    """The events under a header; nothing may be strange."""
    strange: list[str] = []
    reader = LogReader(Clock(UTC, lambda: 0.0), lambda outcome, _: strange.append(outcome))
    header = (
        "#Software: Microsoft Exchange Server",
        "#Log-type: Message Tracking Log",
        f"#Fields: {','.join(fields)}",
    )
    events = reader.read("".join(f"{line}\r\n" for line in (*header, *rows)))
    assert strange == []
    return events


def only(*rows: str) -> Event:
    (event,) = read(*rows)
    return event


# --- what comes ---


def test_a_message_from_outside() -> None:
    event = only(row("RECEIVE", client_ip="198.51.100.7", client_hostname="mx.example.net", return_path="<>"))
    assert isinstance(event, Received)
    assert event.time == 1795255202.5
    assert (event.origin.host, event.origin.service, event.origin.program) == ("EX1", "exchange", "SMTP")
    assert (event.queue_id, event.message_id, event.sender) == (NETWORK_ID, "1@example.com", "")
    assert (event.client_name, event.client_ip) == ("mx.example.net", "198.51.100.7")
    assert (event.size, event.recipients, event.via) == (2048, 1, "smtp")


def test_the_front_end_names_the_client_that_it_speaks_for() -> None:
    event = only(
        row(
            "RECEIVE",
            client_ip="192.0.2.10",
            client_hostname="EX1.example.com",
            original_client_ip="203.0.113.7",
            directionality="Incoming",
            custom_data="S:ProxyHop1=EX1.example.com(192.0.2.10);S:ProxiedClientHostname=mx.example.net;S:X=1",
        )
    )
    assert isinstance(event, Received)
    assert (event.client_name, event.client_ip, event.via) == ("mx.example.net", "203.0.113.7", "smtp")


@pytest.mark.parametrize(
    ("more", "via"),
    [
        ({"source": "STOREDRIVER"}, "local"),
        ({"source": "PICKUP"}, "local"),
        ({"connector_id": "EX1\\Client Proxy EX1"}, "submission"),
        ({"client_hostname": "EX1.example.com", "directionality": "Originating"}, "local"),
        ({"client_hostname": "EX2.example.com", "directionality": "Originating"}, "smtp"),
    ],
)
def test_how_a_message_came(more: dict[str, str], via: str) -> None:
    event = only(row("RECEIVE", **{"source": "SMTP", **more}))
    assert isinstance(event, Received)
    assert event.via == via


def test_a_message_from_a_mailbox_is_received_once_by_a_server() -> None:
    here = {"server_hostname": "EX1"}
    there = {"server_hostname": "EX2"}
    events = read(
        row("NOTIFYMAPI", "STOREDRIVER", message_id="", network_message_id="", internal_message_id=""),
        row("RECEIVE", "STOREDRIVER", **here),
        row("SUBMIT", "STOREDRIVER", **here),
        row("HAREDIRECT", **here),
        row("RECEIVE", client_hostname="EX1.example.com", **here),
        row("HARECEIVE", **there),
        row("RECEIVE", client_hostname="EX1.example.com", **there),
        row("RECEIVE", network_message_id="5f2c1a9e-0002-4b7a-9c3e-08dc5f139ac8", **here),
    )
    assert [type(event) for event in events] == [Received] * 3
    assert [event.origin.host for event in events] == ["EX1", "EX2", "EX1"]


def test_monitoring_is_no_mail() -> None:
    probe = "HealthMailbox0659e34@example.com"
    rows = [
        row(event, return_path=probe, recipient_address=probe) for event in ("RECEIVE", "SEND", "DELIVER", "FAIL")
    ]
    assert read(*rows) == []


# --- what goes ---


def test_a_recipient_elsewhere() -> None:
    event = only(
        row(
            "SENDEXTERNAL",
            client_ip="192.0.2.10",
            client_hostname="EX1",
            server_ip="203.0.113.9",
            server_hostname="aspmx.l.google.com",
            source_context=";250 2.0.0 OK <1@example.com> [InternalId=815, Hostname=x] 9 bytes, 109,173 KB/sec",
            connector_id="Outbound, all",
            recipient_status="250 2.1.5 Recipient OK",
            message_info="2026-11-21T10:00:00.250Z;SRV=EX1.example.com:TOTAL-FE=0.074",
        )
    )
    assert isinstance(event, Delivery)
    assert (event.recipient, event.status, event.direction) == ("kim@example.org", "sent", "outbound")
    assert (event.relay_host, event.relay_ip, event.provider) == ("aspmx.l.google.com", "203.0.113.9", "google")
    assert (event.reply, event.reply_code, event.dsn) == ("250 2.1.5 Recipient OK", 250, "2.1.5")
    assert (event.origin.host, event.delay, event.new_queue_id) == ("EX1", 2.25, "815")
    assert (event.transport, event.queue_id) == ("Outbound, all", NETWORK_ID)


@pytest.mark.parametrize(
    "more",
    [
        {"connector_id": "Intra-Organization SMTP Send Connector"},
        {"connector_id": "EdgeSync - Inbound to Default-First-Site-Name"},
        # A server in another language calls it otherwise.
        {"connector_id": "组织内 SMTP 发送连接器", "custom_data": "S:IsSmtpResponseFromExternalServer=False"},
        {"connector_id": "x", "source_context": ";250 2.0.0 OK <1@example.com> [Hostname=EX1.example.com]"},
    ],
)
def test_a_hop_within_the_organisation_is_no_delivery(more: dict[str, str]) -> None:
    here = {"client_hostname": "EX1", "server_hostname": "EX1.example.com"}
    assert read(row("SEND", **here, **more)) == []
    event = only(row("SEND", client_hostname="EX1", server_hostname="EX2.example.com", **more))
    assert isinstance(event, QueueAction)
    assert (event.action, event.more_recipients, event.origin.host) == ("relay", -1, "EX1")


def test_each_recipient_of_a_row_is_a_delivery_of_its_own() -> None:
    events = read(
        row(
            "SEND",
            client_hostname="EX1",
            server_hostname="mx.example.org",
            connector_id="Internet",
            recipient_address="a@example.org;b@example.org;c@example.org",
            recipient_status="250 2.1.5 Recipient OK;550 5.1.1 User unknown;250 2.1.5 Recipient OK",
        ),
        row("DELIVER", "STOREDRIVER", recipient_address="d@example.com;e@example.com", recipient_status="Inbox;"),
    )
    # The one that was refused has a FAIL of its own.
    assert [(event.recipient, event.direction) for event in events if isinstance(event, Delivery)] == [
        ("a@example.org", "outbound"),
        ("c@example.org", "outbound"),
        ("d@example.com", "local"),
        ("e@example.com", "local"),
    ]


@pytest.mark.parametrize(
    ("status", "told"),
    [
        # 2007, 2010: a reply, which has a semicolon itself.
        ("550 5.1.1 RESOLVER.ADR.RecipNotFound; not found", ("bounced", 550, "5.1.1", "user_unknown", None)),
        ("550 4.4.7 QUEUE.Expired; message expired", ("expired", 550, "4.4.7", "expired", None)),
        (
            '[{LED=550 5.7.1 <x>: refused, listed by "x"};{MSG=};{FQDN=mx.example.org};{IP=203.0.113.9};{LRT=}]',
            ("bounced", 550, "5.7.1", "blocked_ip", "mx.example.org"),
        ),
        (  # a code that means this where Google says it
            "[{LED=550 5.7.27 no};{MSG=};{FQDN=gmail-smtp-in.l.google.com};{IP=203.0.113.9};{LRT=}]",
            ("bounced", 550, "5.7.27", "auth_spf", "gmail-smtp-in.l.google.com"),
        ),
        (
            "550 5.0.350 Remote server returned an error -> 552 5.2.2 Over quota",
            ("bounced", 552, "5.2.2", "mailbox_full", None),
        ),
    ],
)
def test_a_failure_tells_why(status: str, told: tuple[object, ...]) -> None:
    event = only(row("FAIL", recipient_status=status))
    assert isinstance(event, Delivery)
    assert (event.status, event.reply_code, event.dsn) == told[:3]
    assert event.relay_host == told[4]
    assert event.reason == told[3]
    assert event.direction == "outbound"


@pytest.mark.parametrize(
    ("source", "direction"), [("SMTP", "outbound"), ("DNS", "outbound"), ("ROUTING", "local"), ("AGENT", "local")]
)
def test_where_a_failure_happened(source: str, direction: str) -> None:
    event = only(row("FAIL", source, recipient_status="550 5.1.1 no", source_context="Transport Rule Agent"))
    assert isinstance(event, Delivery)
    assert (event.direction, event.origin.program) == (direction, source)


def test_a_deferral_and_each_of_its_recipients() -> None:
    status = "[{{LED=451 4.4.0 {}}};{{MSG=}};{{FQDN=mx.example.org}};{{IP=203.0.113.9}};{{LRT=1/1/2026 1:00:00 AM}}]"
    events = read(
        row(
            "DEFER",
            client_hostname="EX1",
            server_hostname="mx.example.org",
            recipient_address="a@gmail.com;b@gmail.com",
            recipient_status=f"{status.format('DNS query failed')};{status.format('Connection refused')}",
        )
    )
    assert all(isinstance(event, Delivery) and event.status == "deferred" for event in events)
    assert [event.reason for event in events if isinstance(event, Delivery)] == ["dns_failure", "connection_failed"]
    assert [event.phase for event in events if isinstance(event, Delivery)] == ["dns", "connect"]
    assert {event.origin.host for event in events} == {"EX1"}


def test_one_status_is_that_of_all_recipients() -> None:
    events = read(row("FAIL", "ROUTING", recipient_address="a@x;b@x", recipient_status="550 5.1.1 A.B; not found"))
    assert [(event.recipient, event.dsn) for event in events if isinstance(event, Delivery)] == [
        ("a@x", "5.1.1"),
        ("b@x", "5.1.1"),
    ]


# --- the rest ---


@pytest.mark.parametrize(
    ("before", "subject", "kind"),
    [
        ([row("FAIL", recipient_status="550 no")], "", "bounce"),
        ([row("DEFER", recipient_status="451 wait")], "", "delay"),
        ([row("DEFER", recipient_status="451 wait")], "Undeliverable: figures", "bounce"),
        ([], "Relayed: figures", "success"),
        ([], "Nicht zustellbar: Zahlen", "bounce"),
    ],
)
def test_a_notification_knows_its_message(before: list[str], subject: str, kind: str) -> None:
    own = "5f2c1a9e-00ff-4b7a-9c3e-08dc5f139ac8"
    notice = row(
        "DSN", "DSN", message_id="<2@example.com>", network_message_id=own, reference="<1@example.com>",
        message_subject=subject, return_path="<>",
    )  # fmt: skip
    event = read(row("RECEIVE"), *before, notice)[-1]
    assert isinstance(event, Notification)
    assert (event.type, event.queue_id, event.new_queue_id) == (kind, NETWORK_ID, own)


def test_what_changes_the_recipients_of_a_message() -> None:
    members = "a@example.com;b@example.com;c@example.com"
    events = read(
        row("EXPAND", "ROUTING", recipient_address=members, related_recipient_address="all@example.com"),
        row("DUPLICATEDELIVER", "STOREDRIVER", recipient_address="a@example.com"),
        row("DROP", "ROUTING", recipient_address="b@example.com"),
        row("POISONMESSAGE", "POISONMESSAGE"),
        row("RESOLVE", "ROUTING"),
        row("REDIRECT", "ROUTING"),
        row("AGENTINFO", "AGENT"),
    )
    assert [(event.action, event.more_recipients) for event in events if isinstance(event, QueueAction)] == [
        ("expand", 2),
        ("merge", -1),
        ("discard", -1),
        ("poison", 0),
    ]


def test_a_file_that_is_no_message_is_a_problem() -> None:
    event = only(row("BADMAIL", "PICKUP", source_context="bad.eml, no recipients"))
    assert isinstance(event, Problem)
    assert (event.severity, event.text) == ("error", "BADMAIL bad.eml, no recipients")


def test_quotes_and_commas_of_a_text_are_of_the_text() -> None:
    event = only(row("RECEIVE", message_subject='He said "no, never", twice', client_hostname='a"b,c'))
    assert isinstance(event, Received)
    assert event.client_name == 'a"b,c'
    assert event.queue_id == NETWORK_ID


@pytest.mark.parametrize("fields", [tuple(FIELDS_2010), tuple(FIELDS_2010[:21]), tuple(reversed(FIELDS_2013))])
def test_columns_are_known_by_the_header(fields: tuple[str, ...]) -> None:
    (event,) = read(row("RECEIVE", fields=fields, client_hostname="mx.example.net"), fields=fields)
    assert isinstance(event, Received)
    assert event.queue_id == (NETWORK_ID if "network-message-id" in fields else "4711")
    assert (event.client_name, event.recipients, event.message_id) == ("mx.example.net", 1, "1@example.com")


def test_a_source_that_is_not_documented_is_no_label() -> None:
    assert only(row("DELIVER", "SMUGGLED")).origin.program == "OTHER"
