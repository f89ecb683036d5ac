"""Postfix lines that others collected, and what they know of them.

Where their knowledge and ours differ, the case stands here with the reason.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from parsers.clock import Clock
from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Delivery,
    Disconnect,
    Event,
    Notification,
    Origin,
    Problem,
    QueueAction,
    Queued,
    Received,
    Reject,
    Removed,
    Tls,
    as_record,
)
from parsers.mta import postfix
from parsers.mta.postfix.smtpd import PHASES
from parsers.reader import LogReader, understand

CORPUS = Path(__file__).parents[2] / "../shared/corpus/postfix"
NOW = 1795284304.0
LOGS = sorted(CORPUS.glob("*.log"))
# Messages without what stands before them; their program is told elsewhere.
BARE = {"postfix-logwatch.log", "whyscream-grok.log"}
_TAGGED = re.compile(r"(postfix\S*/\S+)\[(\d+)\]: (.*)").fullmatch  # a line that lost its time and its host

pytestmark = [pytest.mark.corpus, pytest.mark.skipif(not LOGS, reason="the shared corpus is not here")]


class Line(NamedTuple):
    number: int
    text: str
    outcome: str


def rows(name: str) -> list[dict[str, Any]]:
    path = CORPUS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8", "surrogateescape").splitlines()] if LOGS else []


def origin(program: str) -> Origin:
    found = postfix.origin("mail.example.com", program, 4711)
    assert found
    return found


@lru_cache
def read_log(path: Path) -> tuple[list[Line], list[Event]]:
    """Each line with its outcome, and the events."""
    reader = LogReader(Clock(UTC, lambda: NOW))
    lines, events = [], []
    for number, text in enumerate(path.read_bytes().decode("utf-8", "surrogateescape").splitlines(), start=1):
        tagged = _TAGGED(text)
        if tagged or path.name in BARE:
            program, message = (tagged[1], tagged[3]) if tagged else ("postfix/smtpd", text)
            outcome, some = understand(message, NOW, origin(program))
        else:
            before = outcomes(reader)
            some = reader.read(text + "\n")
            (outcome,) = outcomes(reader) - before
        lines.append(Line(number, text, outcome))
        events += some
    return lines, events


def outcomes(reader: LogReader) -> Counter[str]:
    return sum(
        (
            Counter({outcome: getattr(tally, outcome) for outcome in ("parsed", "ignored", "unknown", "malformed")})
            for tally in reader.tallies.values()
        ),
        Counter(),
    )


# Lines that are no whole lines: what is left of each could not be understood by anybody.
FRAGMENTS = {
    # Not lines but parts of them, whose patterns the source tests alone: counts, delays, levels of TLS, relays.
    "whyscream-grok.log": lambda text: bool(re.fullmatch(r"\S+|(?:\w+=[\d/]+ ?)+", text)),
    # Cut by the author of a document to fit its width, after the queue id or before any value ends.
    "postfix-docs.log": lambda text: bool(
        re.search(
            r": [0-9A-F]{10,11}:( to=<[^>]*)?$|NOQUEUE: reject:$|: (line \d+: using|using backwards-\S+ default)$",
            text,
        )
    ),
    "awstats.log": lambda text: bool(re.search(r": [0-9A-F]{10}:$", text)),
    # The tail of a line, where a collector broke it.
    "lightmeter-flows.log": lambda text: len(text) < 5,
    # Made up without the end that the queue manager always writes.
    "pennycookfrank.log": lambda text: text.endswith(", size=1237"),
    # Mistyped: no comma after conn_use.
    "postfix-logwatch.log": lambda text: "conn_use=2 delay=" in text,
}


def is_fragment(path: Path, text: str) -> bool:
    return FRAGMENTS.get(path.name, lambda _: False)(text)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.name)
def test_every_line_has_an_outcome_and_only_broken_ones_are_malformed_or_unknown(path: Path) -> None:
    lines, _ = read_log(path)
    assert len(lines) == path.read_bytes().count(b"\n")
    strange = [
        line for line in lines if line.outcome in ("unknown", "malformed") and not is_fragment(path, line.text)
    ]
    assert strange == []


def test_less_than_one_line_in_a_hundred_is_unknown() -> None:
    total = Counter(line.outcome for path in LOGS for line in read_log(path)[0])
    assert total["unknown"] < total.total() / 100
    assert total["malformed"] < total.total() / 100


@pytest.mark.parametrize("path", [path for path in LOGS if path.name not in BARE], ids=lambda path: path.name)
def test_a_block_has_the_same_events_as_its_lines(path: Path) -> None:
    reader = LogReader(Clock(UTC, lambda: NOW))
    whole = reader.read(path.read_bytes().decode("utf-8", "surrogateescape"))
    lines, events = read_log(path)
    tagged = sum(1 for line in lines if _TAGGED(line.text))
    assert sum(outcomes(reader).values()) == len(lines)
    assert len(whole) == len(events) - sum(1 for line in lines if _TAGGED(line.text) and line.outcome == "parsed"), (
        f"{tagged} lines without a time"
    )


# --- whyscream: the fields of each line ---

# Programs by the name of the pattern that a line is of.
PROGRAMS = {"script": "postfix-script"}
PARTS_OF_LINES = {"command_counter_data", "delays", "relay", "tls_features"}
# What they call a field, and what we do; each in a form that can be compared.
SAME: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "client_ip": ("client_ip", str),
    "client_hostname": ("client_name", str),
    "relay_ip": ("relay_ip", str),
    "relay_hostname": ("relay_host", str),
    "relay_port": ("relay_port", int),
    "status_code": ("reply_code", int),
    "status_code_enhanced": ("dsn", str),
    "tls_version": ("tls_protocol", str),
    "tls_cipher": ("tls_cipher", str),
    "tls_trustlevel": ("tls_trust", str.lower),
    "command_counter_data": ("commands", str),
    "message-id": ("message_id", str),
    "bounce_queueid": ("new_queue_id", str),
    "bounce_reason": ("type", lambda text: {"non-delivery": "bounce", "delivery status": "success"}.get(text, text)),
    "from": ("sender", str),
    "error_response": ("reply", str),
    "local_response": ("reply", str),
    "pipe_response": ("reply", str),
    "proxy_message": ("reply", str),
}
KEYS = {"from": "sender", "to": "recipient", "orig_to": "original_recipient", "proto": "protocol", "helo": "helo"}
KEYS |= {"size": "size", "nrcpt": "recipients", "delay": "delay", "dsn": "dsn", "sasl_method": "sasl_method"}
KEYS |= {"sasl_username": "sasl_user"}
_PAIR = re.compile(r"(\w+)=(?:<([^>]*)>|([^\s,]*))")
DIFFERENT: dict[str, set[str]] = {
    # Choice: what a rule did to a message has the client and the envelope, not the session's protocol and name.
    "cleanup_0003.yaml": {"protocol", "helo"},
}


def expectations(row: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a row says of the fields of our event."""
    for theirs, value in row["expect"].items():
        name = theirs.removeprefix("postfix_")
        if name in SAME:
            ours, convert = SAME[name]
            yield ours, convert(value)
        elif name == "queueid":
            yield "queue_id", None if value == "NOQUEUE" else value
        elif name == "keyvalue_data":
            for key, bracketed, plain in _PAIR.findall(value):
                if key in KEYS:
                    yield KEYS[key], bracketed or plain
        elif name == "smtp_stage" and PHASES.get(value):
            yield "phase", PHASES[value]


def grok_rows() -> Iterator[Any]:
    for row in rows("whyscream-grok"):
        pattern = re.search(r"POSTFIX_([A-Z_]+)", row["pattern"])
        name = pattern[1].lower() if pattern else ""
        if name not in PARTS_OF_LINES:
            program = PROGRAMS.get(name, name.replace("_", "-"))
            yield pytest.param(row, f"postfix/{program}", id=row["case"])


def same(ours: object, theirs: object) -> bool:
    return (
        (ours or None) == (theirs or None)
        or (ours is not None and str(ours) == str(theirs))
        or (isinstance(ours, float) and ours == float(str(theirs)))
    )


@pytest.mark.parametrize(("row", "program"), list(grok_rows()))
def test_the_fields_that_grok_patterns_find(row: dict[str, Any], program: str) -> None:
    outcome, events = understand(row["line"], NOW, origin(program))
    assert outcome in ("parsed", "ignored")
    for event in events:
        record = as_record(event)
        differing = {
            name: (record.get(name), value) for name, value in expectations(row) if not same(record.get(name), value)
        }
        if isinstance(event, Problem):  # Choice: a problem has a text, which names the host.
            text = record["text"]
            assert all(str(value) in text for name, (_, value) in differing.items() if name.startswith("relay_"))
            differing = {name: values for name, values in differing.items() if not name.startswith("relay_")}
        assert set(differing) == DIFFERENT.get(row["case"], set()), differing
        level = row["expect"].get("postfix_message_level")
        assert level is None or isinstance(event, Auth | Reject) or getattr(event, "severity", None) == level
        status = row["expect"].get("postfix_status")
        assert status is None or getattr(event, "status", None) == status


# --- msimerson: fields ---

MSIMERSON = {"qid": "queue_id", "message-id": "message_id", "host": "host", "pid": "pid", **KEYS}


@pytest.mark.parametrize("row", rows("msimerson"), ids=lambda row: row["line"][16:60])
def test_the_fields_that_another_parser_finds(row: dict[str, Any]) -> None:
    events = LogReader(Clock(UTC, lambda: NOW)).read(row["line"])
    if row["expect"] is None:
        assert events == []
        return
    record = as_record(events[0])
    expect = row["expect"]
    for theirs, ours in MSIMERSON.items():
        if theirs in expect:
            assert same(record.get(ours), expect[theirs]), theirs
    if "relay" in expect:
        assert expect["relay"] == f"{record['relay_host']}[{record['relay_ip']}]:{record['relay_port']}"
        assert expect["status"] == f"{record['status']} ({record['reply']})"
    if "client" in expect:
        assert expect["client"] == f"{record['client_name']}[{record['client_ip']}]"


# --- fail2ban: what is abuse ---


@pytest.mark.parametrize(
    "row",
    [row for row in rows("fail2ban") if "authentication failed" in row["line"]],
    ids=lambda row: row["line"][:60],
)
def test_a_failed_login_is_one_whatever_it_means(row: dict[str, Any]) -> None:
    """Choice: their two that are no abuse (no mechanism, no authentication server) failed as well."""
    (event,) = LogReader(Clock(UTC, lambda: NOW)).read(row["line"])
    assert isinstance(event, Auth)
    assert event.result == "failure"
    assert row["expect"]["match"] is False or event.client_ip == row["expect"]["host"]


@pytest.mark.parametrize("row", rows("fail2ban"), ids=lambda row: row["line"][:60])
def test_only_a_failed_login_is_a_failed_login_and_abuse_names_its_host(row: dict[str, Any]) -> None:
    for event in LogReader(Clock(UTC, lambda: NOW)).read(row["line"]):
        assert isinstance(event, Auth) == ("authentication failed" in row["line"])
        if row["expect"]["match"]:
            assert getattr(event, "client_ip", None) == row["expect"]["host"]
        assert not isinstance(event, Reject) or row["expect"]["match"]


# --- the family of postfix_exporter: counters over a file ---


def test_the_counters_of_another_exporter() -> None:
    path = CORPUS / "postfix-exporter-family.metrics.txt"
    theirs = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in path.read_text().splitlines()
        if not line.startswith("#")
    }
    _, events = read_log(CORPUS / "postfix-exporter-family.maillog.log")
    events = [event for event in events if event.origin.service == "postfix"]
    main = [event for event in events if not event.origin.entry]  # they count `submission` apart

    def count(kind: type[Event], **fields: object) -> int:
        return sum(
            type(event) is kind and all(getattr(event, name) == value for name, value in fields.items())
            for event in main
        )

    prefix, name = "postfix_", '{name="postfix"}'
    assert theirs[f"{prefix}qmgr_messages_removed_total{name}"] == count(Removed)
    assert theirs[f"{prefix}smtpd_connects_total{name}"] == count(Connect)
    assert theirs[f"{prefix}smtpd_disconnects_total{name}"] == count(Disconnect)
    assert theirs[f"{prefix}smtpd_sasl_authentication_failures_total{name}"] == count(Auth)
    assert theirs[f'{prefix}smtpd_messages_rejected_total{{code="450",name="postfix"}}'] == count(Reject)
    assert theirs[f"{prefix}cleanup_messages_processed_total{name}"] == count(Queued, size=None)
    assert theirs[f"{prefix}qmgr_messages_inserted_size_bytes_sum{name}"] == sum(
        event.size or 0 for event in main if type(event) is Queued
    )
    sent = [event for event in main if type(event) is Delivery and event.status == "sent"]
    assert theirs[f'{prefix}smtp_delivery_delay_seconds_count{{name="postfix",stage="transmission"}}'] == len(sent)
    stages = {
        "before_queue_manager": "delay_before_queue",
        "queue_manager": "delay_in_queue",
        "connection_setup": "delay_connect",
        "transmission": "delay_transmit",
    }
    for stage, field in stages.items():
        total = theirs[f'{prefix}smtp_delivery_delay_seconds_sum{{name="postfix",stage="{stage}"}}']
        assert sum(getattr(event, field) for event in sent) == pytest.approx(total)
    sessions = sum(value for key, value in theirs.items() if key.startswith(f"{prefix}smtp_tls_connections_total"))
    assert sessions == count(Tls)
    # Theirs: one of two smtpd lines with an id is counted, for the other has a login.
    assert count(Received, sasl_method=None) == theirs[f"{prefix}smtpd_messages_processed_total{name}"]
    # Theirs: status is counted by a pattern that this file's lines do not fit.
    assert theirs[f'{prefix}smtp_status_total{{name="postfix",status="sent"}}'] == 0


# --- postfix-logwatch: what a line is about ---

KINDS: dict[str, tuple[type[Event] | None, ...]] = {
    "ConnectionInbound": (Connect,),
    "Disconnection": (Disconnect,),
    "ConnectToFailure": (ConnectionFailure,),
    "ConnectionLost": (ConnectionFailure,),
    "TimeoutInbound": (ConnectionFailure,),
    "TlsServerConnect": (Tls,),
    "TlsClientConnect": (Tls,),
    "SaslAuthFail": (Auth,),
    "SaslAuthRelay": (Received,),
    "MsgsAccepted": (Received, Queued, None),  # none for a message that a filter before the queue will send back
    "MsgsResent": (Queued,),
    "MsgsForwarded": (Delivery,),
    "MsgsDeferred": (Delivery,),
    "BounceLocal": (Delivery,),
    "ReturnedToSender": (Delivery,),
    "Deliverable": (None,),
    "Undeliverable": (None,),
    "SenderDelayNotification": (Notification,),
    "DSNUndelivered": (Notification,),
    "DSNDelivered": (Notification,),
    "RejectBody": (Reject,),
    "RejectMilter": (Reject,),
    "RejectSize": (Reject,),
    "IllegalAddrSyntax": (Reject,),
    "ConcurrencyLimit": (Reject,),
    "${rej_action": (Reject, None),  # reject, or reject_warning and its like, which refuse nobody
    "Hold": (QueueAction, None),  # of a message, or a count of messages
    "ReleasedFromHold": (None,),
    "Requeued": (None,),
    "Discarded": (QueueAction, None),
    "Filtered": (QueueAction, None),
    "PixWorkaround": (None,),
    "TlsOffered": (None,),
    "TlsUnverified": (None,),
    # What clients do wrong is not this server's problem.
    "MxError": (None,),
    "NumericHostname": (None,),
    "HostnameValidationError": (None,),
    "SmtpConversationError": (None,),
    "HostnameVerification": (None, Problem),
}


@pytest.mark.parametrize("row", rows("postfix-logwatch"), ids=lambda row: row["expect"]["category"])
def test_the_category_of_a_report_is_the_kind_of_the_event(row: dict[str, Any]) -> None:
    if FRAGMENTS["postfix-logwatch.log"](row["line"]):
        return
    _, events = understand(row["line"], NOW, origin("postfix/smtpd"))
    kind = type(events[0]) if events else None
    assert kind in KINDS.get(row["expect"]["category"], (Problem,))


STATUSES = {"MsgsDeferred": {"deferred"}, "BounceLocal": {"bounced", "deferred"}, "ReturnedToSender": {"expired"}}


@pytest.mark.parametrize(
    "row",
    [row for row in rows("postfix-logwatch") if row["expect"]["category"] in STATUSES],
    ids=lambda row: row["line"][:30],
)
def test_the_category_of_a_report_is_the_status_of_the_delivery(row: dict[str, Any]) -> None:
    """A soft bounce stays in the queue: we call it deferred."""
    for event in understand(row["line"], NOW, origin("postfix/smtp"))[1]:
        assert isinstance(event, Delivery)
        assert event.status in STATUSES[row["expect"]["category"]]
        assert (event.status == "deferred") == ("SOFTBOUNCE" in row["line"] or "status=deferred" in row["line"])


# --- OSSEC: the rule that a line is of ---

RULES = {"3301": Reject, "3303": Reject, "3306": Reject}


@pytest.mark.parametrize("row", rows("ossec"), ids=lambda row: row["case"])
def test_what_an_intrusion_detector_calls_a_reject_is_one(row: dict[str, Any]) -> None:
    (event,) = LogReader(Clock(UTC, lambda: NOW)).read(row["line"])
    assert isinstance(event, RULES.get(row["expect"]["rule"], ConnectionFailure))
