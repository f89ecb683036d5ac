"""The message tracking log: what the transport service did with each message.

Columns and events are those of Microsoft's "Message tracking" (Exchange 2007 to 2019). What they mean here:

- A message is named by its network-message-id, which its copies share on all servers of the organisation; where the
  release has none, by its internal-message-id.
- RECEIVE begins it. A message from a mailbox has two, of the submission agent (STOREDRIVER) and of transport (SMTP):
  the first that a server logs counts (`parsers.mta.exchange.memory`).
- DELIVER, into a mailbox, is a local delivery. SEND and SENDEXTERNAL are outbound ones, unless the next hop is a
  server of the same organisation: that one, or its DELIVER, tells what became of the message.
- FAIL is a bounce, or an expiry; DEFER a deferral; DSN a notification that we wrote.
- EXPAND and its like only tell how many recipients a message has by now.

server-hostname is the source or the destination: of what is sent or delivered, client-hostname is this server.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import itemgetter

from parsers.events import Delivery, Event, Notification, Origin, Problem, QueueAction, Received
from parsers.memo import Memo
from parsers.mta.exchange.row import FRACTIONS, SECONDS, SHORT_NAMES, bare, read_number, read_time, split
from parsers.mta.exchange.status import REPLIES, UNKNOWN, Failure, read_failure, statuses
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.server import Strange

Row = Sequence[str]  # in the order of FIELDS_2013
Step = Callable[[Row], list[Event]]

FIELDS_2010 = (
    "date-time client-ip client-hostname server-ip server-hostname source-context connector-id source event-id "
    "internal-message-id message-id recipient-address recipient-status total-bytes recipient-count "
    "related-recipient-address reference message-subject sender-address return-path message-info directionality "
    "tenant-id original-client-ip original-server-ip custom-data"
).split()
FIELDS_2013 = (
    *FIELDS_2010[:11],
    "network-message-id",
    *FIELDS_2010[11:],
    "transport-traffic-type",
    "log-id",
    "schema-version",
)
CLIENT, SERVER, CONTEXT, SOURCE = 2, 4, 5, 7
INTERNAL_ID, MESSAGE_ID, NETWORK_ID, RECIPIENT, REFERENCE, SUBJECT = 9, 10, 11, 12, 17, 18
# Where the header is missing, the number of columns tells: 2007 has the first 21 of 2010, 2013 came without the last
# three, then without transport-traffic-type.
LAYOUTS = {
    **{count: tuple(FIELDS_2010[:count]) for count in range(21, 27)},
    **{count: tuple(FIELDS_2013[:count]) for count in (27, 28, 30)},
    29: (*FIELDS_2013[:27], *FIELDS_2013[28:]),
}
NEEDED = frozenset({"date-time", "source", "event-id", "message-id", "recipient-address"})

# The documented sources: others stand in no label.
SOURCES = frozenset(
    "ADMIN AGENT APPROVAL BOOTLOADER DNS DSN GATEWAY MAILBOXRULE MEETINGMESSAGEPROCESSOR ORAR PICKUP POISONMESSAGE "
    "PUBLICFOLDER QUEUE REDUNDANCY RESOLVER ROUTING SAFETYNET SMTP STOREDRIVER".split()
)
# Known, and no mail flow, or told by other events as well.
IGNORED = frozenset(
    "AGENTINFO CLIENTSUBMISSION DELIVERFAIL HADISCARD HARECEIVE HAREDIRECT HAREDIRECTFAIL INITMESSAGECREATED LOAD "
    "MAPISUBMIT MODERATIONEXPIRE MODERATORAPPROVE MODERATORREJECT MODERATORSALLNDR NOTIFYMAPI NOTIFYSHADOW PROCESS "
    "PROCESSMEETINGMESSAGE REDIRECT RESOLVE RESUBMIT RESUBMITDEFER RESUBMITFAIL SUBMIT SUBMITDEFER SUBMITFAIL "
    "SUPPRESSED THROTTLE".split()
)
# What takes recipients away, and how the event record calls it.
TAKEN = {"DUPLICATEDELIVER": "merge", "DUPLICATEEXPAND": "merge", "DUPLICATEREDIRECT": "merge", "DROP": "discard"}
OUTBOUND = frozenset({"SMTP", "DNS", "QUEUE"})  # sources of failures on the way to another host
# Monitoring sends messages to itself all day: HealthMailbox…, inboundproxy@, maildeliveryprobe@.
PROBES = frozenset({"HealthMai", "healthmai", "HEALTHMAI", "inboundpr", "maildeliv"})
PROBE = len("HealthMai")
# Connectors between servers of one organisation, which Setup made and nobody can rename (English servers).
_INTERNAL = re.compile(
    r"(?i)intra-organization smtp|inbound proxy internal|client proxy send|outbound proxy frontend"
    r"|edgesync - inbound|mailbox (?:transport )?(?:delivery|submission)"
)
_NEXT_ID = re.compile(r"(?:\[InternalId|queued as|OK id)[= ]([0-9A-Za-z-]{2,40})")
_OUR_KIND = "[InternalId="  # how a server of Exchange says it, as most do that are sent to by one
# The subjects that Exchange gives to its notifications; servers of other languages have others.
_SUBJECTS = {"Delivery delayed": "delay", "Delayed": "delay", "Delivered": "success", "Relayed": "success"}
_SUBJECTS |= {"Expanded": "success", "Undeliverable": "bounce"}
RECIPIENTS = 20_000  # of one row: more is no row of Exchange
ORIGINS = 1_000  # servers and sources

COUNTS: Memo[str, int] = Memo(read_number)


class UnknownEventError(Exception):
    """A row has an event that is not documented."""


def unknown_event(_: Row) -> list[Event]:
    """Always raises."""
    raise UnknownEventError


INTERNAL: Memo[str, bool] = Memo(lambda connector: bool(_INTERNAL.match(connector)), 1_000)


class Tracking:
    """The rows of one layout. `fields` are the names of its columns; a column that it lacks is empty."""

    mta = "exchange"

    def __init__(self, fields: tuple[str, ...]) -> None:
        self._width = len(fields)
        self._event = fields.index("event-id")
        self._reorder = None if fields == FIELDS_2013 else _reordering(fields)
        self._origins: dict[tuple[str, str], Origin] = {}
        self._steps: dict[str, Step | None] = dict.fromkeys(IGNORED)
        self._steps |= {
            "RECEIVE": self._received,
            "SEND": self._sent,
            "SENDEXTERNAL": self._sent_outside,
            "DELIVER": self._delivered,
            "FAIL": self._failed,
            "DEFER": self._deferred,
            "DSN": self._notified,
            "EXPAND": self._expanded,
            "TRANSFER": self._transferred,
            "POISONMESSAGE": self._poisoned,
            "BADMAIL": self._bad,
        }
        self._steps |= {event: self._taking(action) for event, action in TAKEN.items()}

    def read(self, lines: list[str], events: list[Event], strange: Strange) -> int:
        """Add the events of rows; how many rows have none."""
        ignored = 0
        width, place, steps = self._width, self._event, self._steps
        for line in lines:
            try:
                # Rows of no use are many, so that the rest is cut only where it is needed.
                row = line.split(",", place + 1)
                rest = row.pop()
                if '"' not in line:
                    if len(row) > place and row[place] in IGNORED and rest.count(",") == width - place - 2:
                        ignored += 1
                        continue
                    row += rest.split(",")
                elif '"' in rest and line.index('"') >= len(line) - len(rest):
                    row += split(rest)
                else:
                    row = split(line)
                if len(row) != width:
                    raise ValueError("columns")
                step = steps.get(row[place], unknown_event)
                if step is None:
                    ignored += 1
                    continue
                found = step(self._reorder([*row, ""]) if self._reorder else row)
                events += found
                ignored += not found
            except UnknownEventError:
                strange("unknown", line)
            except ValueError:
                strange("malformed", line)
        return ignored

    def _origin(self, host: str, source: str) -> Origin:
        origin = self._origins.get((host, source))
        if origin is None:
            if len(self._origins) >= ORIGINS:
                self._origins.clear()
            program = source if source in SOURCES else "OTHER"
            origin = Origin(self.mta, SHORT_NAMES[host], self.mta, program)
            self._origins[host, source] = origin
        return origin

    # --- messages that come ---

    def _received(self, row: Row) -> list[Event]:
        (
            stamp, client_ip, client, _, server, _, connector, source, _, internal_id, message_id, network_id,
            recipient, _, size, recipients, _, _, _, sender, return_path, _, directionality, _, original_ip, _,
            custom, _, _, _,
        ) = row  # fmt: skip
        time = SECONDS[stamp[:19]] + FRACTIONS[stamp[19:]]
        if return_path[:PROBE] in PROBES or recipient[:PROBE] in PROBES:
            return []
        name, ip, via = None, None, "local"
        if source == "SMTP":
            is_proxied = "S:ProxiedClientHostname=" in custom
            name = _custom(custom, "ProxiedClientHostname") if is_proxied else client
            ip = original_ip or client_ip
            if "\\Client " in connector:
                via = "submission"
            elif directionality != "Originating" or is_proxied or SHORT_NAMES[client] != SHORT_NAMES[server]:
                via = "smtp"  # else from the submission agent on this server
        # By position, as in all that is made for most rows: keywords cost more than the rest.
        event = Received(
            time,
            self._origins.get((server, source)) or self._origin(server or client, source),
            network_id or name_of(internal_id, message_id),
            name or None,
            ip or None,
            None,
            None,
            bare(return_path or sender) if "<" in return_path or not return_path else return_path,
            None,
            None,
            None,
            message_id[1:-1] if message_id[:1] == "<" else message_id,
            read_number(size),
            COUNTS[recipients],
            via,
        )
        return [event]

    # --- recipients that are done, or tried ---

    def _sent_outside(self, row: Row) -> list[Event]:
        return self._sent(row, is_outside=True)

    def _sent(self, row: Row, *, is_outside: bool = False) -> list[Event]:
        (
            stamp, _, client, relay_ip, relay, context, connector, source, _, internal_id, message_id, network_id,
            recipients, status, _, _, _, _, _, _, return_path, info, _, _, _, _, custom, _, _, _,
        ) = row  # fmt: skip
        if return_path[:PROBE] in PROBES:
            return []
        is_inside = not is_outside and is_internal(connector, context, custom)
        if is_inside and (not client or SHORT_NAMES[client] == SHORT_NAMES[relay]):
            return []  # to a mailbox of this server: its DELIVER is in the log as well
        time = SECONDS[stamp[:19]] + FRACTIONS[stamp[19:]]
        queue_id = network_id or name_of(internal_id, message_id)
        host = client or relay
        origin = self._origins.get((host, source)) or self._origin(host, source)
        names = addresses(recipients)
        if is_inside:
            return [action_on(time, origin, queue_id, "relay", -len(names), context)]
        delay, next_id, sender = delay_of(time, info), next_id_of(context), bare(return_path)
        provider = provider_of_relay(relay) if relay else None
        events: list[Event] = []
        for recipient, reply in zip(names, statuses(status, len(names)), strict=True):
            if reply[:1] in ("4", "5"):  # FAIL or DEFER tells it
                continue
            code, dsn = REPLIES[reply]
            event = Delivery(
                time,
                origin,
                queue_id,
                recipient,
                "sent",
                "outbound",
                None,
                relay or None,
                relay_ip or None,
                None,
                connector or None,
                delay,
                None,
                None,
                None,
                None,
                dsn,
                code,
                reply or None,
                None,
                provider if relay else provider_of_domain(recipient.rpartition("@")[2]),
                None,
                next_id,
                sender,
            )
            events.append(event)
        return events

    def _delivered(self, row: Row) -> list[Event]:
        (
            stamp, _, client, _, server, _, _, source, _, internal_id, message_id, network_id,
            recipients, _, _, _, _, _, _, _, return_path, info, _, _, _, _, _, _, _, _,
        ) = row  # fmt: skip
        if recipients[:PROBE] in PROBES:
            return []
        time = SECONDS[stamp[:19]] + FRACTIONS[stamp[19:]]
        host = client or server
        event = Delivery(
            time,
            self._origins.get((host, source)) or self._origin(host, source),
            network_id or name_of(internal_id, message_id),
            None,
            "sent",
            "local",
            None,
            None,
            None,
            None,
            "storedriver",
            delay_of(time, info),
        )
        event.sender = bare(return_path)
        return for_each(event, addresses(recipients))

    def _deferred(self, row: Row) -> list[Event]:
        return self._attempted(row, "deferred")

    def _failed(self, row: Row) -> list[Event]:
        return self._attempted(row, "bounced")

    def _attempted(self, row: Row, status: str) -> list[Event]:
        (
            stamp, _, client, relay_ip, server, context, connector, source, _, internal_id, message_id, network_id,
            recipients, reply, _, _, _, _, _, _, return_path, *_,
        ) = row  # fmt: skip
        time, queue_id = read_time(stamp), network_id or name_of(internal_id, message_id)
        if recipients[:PROBE] in PROBES or return_path[:PROBE] in PROBES:
            return []
        is_outbound = source in OUTBOUND and not INTERNAL[connector]
        is_sender = source == "SMTP" and client  # then the server is the one that was tried
        origin = self._origin(client if is_sender else server or client, source)
        is_other = is_sender and is_outbound and SHORT_NAMES[client] != SHORT_NAMES[server]
        relay = (server, relay_ip) if is_other else ("", "")
        names = addresses(recipients)
        events: list[Event] = []
        for recipient, words in zip(names, statuses(reply, len(names)), strict=True):
            event = Delivery(time, origin, queue_id, recipient, status, "outbound" if is_outbound else "local")
            event.transport = connector or None
            event.sender = bare(return_path)
            # The agent that refused a message is named in the context; SMTP has its session there.
            explain(event, read_failure(words or context) if words or source != "SMTP" else UNKNOWN, relay)
            events.append(event)
        return events

    # --- notifications, and what changes a message ---

    def _notified(self, row: Row) -> list[Event]:
        """`reference` is the Message-ID of what it is about: `parsers.mta.exchange.memory` knows its name."""
        time, origin, own = self._subject(row)
        about = bare(row[REFERENCE].partition(";")[0]) or own
        kind = _SUBJECTS.get(row[SUBJECT].partition(":")[0], "")
        return [Notification(time, origin, about, kind, own, is_arrival=True)]

    def _expanded(self, row: Row) -> list[Event]:
        """A group's members take its place."""
        return self._changed(row, "expand", len(addresses(row[RECIPIENT])) - 1)

    def _transferred(self, row: Row) -> list[Event]:
        """Recipients get a copy of their own, which has the same network-message-id if it has one."""
        time, origin, own = self._subject(row)
        old, recipients = bare(row[REFERENCE]), addresses(row[RECIPIENT])
        if own == row[NETWORK_ID] or not old:
            return []
        return [action_on(time, origin, old, "fork", -len(recipients), "")]

    def _poisoned(self, row: Row) -> list[Event]:
        """It crashed the transport service: an operator has to look at it (Get-Queue Poison)."""
        return self._changed(row, "poison", 0)

    def _taking(self, action: str) -> Step:
        return lambda row: self._changed(row, action, -len(addresses(row[RECIPIENT])))

    def _changed(self, row: Row, action: str, more: int) -> list[Event]:
        return [action_on(*self._subject(row), action, more, row[CONTEXT])]

    def _bad(self, row: Row) -> list[Event]:
        """A file in the pickup or replay folder that is no message."""
        origin = self._origin(row[SERVER] or row[CLIENT], row[SOURCE])
        text = f"BADMAIL {row[CONTEXT]}"[:500].rstrip()
        return [Problem(read_time(row[0]), origin, "error", text, row[NETWORK_ID] or bare(row[MESSAGE_ID]) or None)]

    def _subject(self, row: Row) -> tuple[float, Origin, str]:
        """When, who, and about which message."""
        queue_id = row[NETWORK_ID] or name_of(row[INTERNAL_ID], row[MESSAGE_ID])
        return read_time(row[0]), self._origin(row[SERVER] or row[CLIENT], row[SOURCE]), queue_id


def _reordering(fields: tuple[str, ...]) -> Callable[[list[str]], Row]:
    """Brings the columns of a layout, with an empty one behind them, into the order of FIELDS_2013."""
    places = {name: place for place, name in enumerate(fields)}
    return itemgetter(*(places.get(name, len(fields)) for name in FIELDS_2013))


def name_of(internal_id: str, message_id: str) -> str:
    """What a message is called that has no network-message-id. Raises ValueError where it has no name at all."""
    name = internal_id if internal_id.strip("0") else bare(message_id)
    if not name:
        raise ValueError("a message without an id")
    return name


def addresses(text: str) -> list[str]:
    """`a@example.com;b@example.com`. Raises ValueError where there are none, or more than can be."""
    found = text.split(";")
    if "" in found:
        found = [address for address in found if address]
    if not 0 < len(found) <= RECIPIENTS:
        raise ValueError("no recipient, or too many")
    return [bare(address) for address in found] if "<" in text else found


def for_each(event: Delivery, recipients: list[str]) -> list[Event]:
    """The same that befell one recipient for each of some."""
    event.recipient = recipients[0]
    events: list[Event] = [event]
    for recipient in recipients[1:]:
        again = event.__copy__()  # type: ignore[attr-defined]  # copy() costs as much again
        again.recipient = recipient
        events.append(again)
    return events


def is_internal(connector: str, context: str, custom: str) -> bool:
    """Whether the next hop is a server of the same organisation.

    The connector's name tells, but it is in the server's language. A mailbox server's reply names itself and no
    message id, and releases since 2016 say whose server replied.
    """
    return (
        INTERNAL[connector]
        or "S:IsSmtpResponseFromExternalServer=False" in custom
        or ("[Hostname=" in context and "InternalId=" not in context)
    )


def delay_of(time: float, info: str) -> float | None:
    """Seconds since the message entered the organisation, which message-info begins with."""
    if not info:
        return None
    try:
        begin = SECONDS[info[:19]] + FRACTIONS[info[19:24]]
    except ValueError:
        return None
    # round() to a whole number costs a fraction of what it does to so many digits.
    return round((time - begin) * 1000) / 1000 if time > begin else 0.0


def next_id_of(context: str) -> str | None:
    """What the next hop calls the message now."""
    # Searching for words one of which may stand anywhere takes as long as all the rest.
    place = context.find(_OUR_KIND)
    found = _NEXT_ID.match(context, place) if place >= 0 else _NEXT_ID.search(context)
    return found[1] if found else None


def action_on(time: float, origin: Origin, queue_id: str, action: str, more: int, reply: str) -> QueueAction:
    event = QueueAction(time, origin, queue_id, action)
    event.more_recipients = more
    event.reply = reply or None
    return event


def explain(event: Delivery, failure: Failure, relay: tuple[str, str]) -> None:
    """Fill in what a status tells; `relay` is what the row tells of the other server."""
    event.reply, event.reply_code, event.dsn = failure.reply, failure.code, failure.dsn
    event.phase, event.reason = failure.phase, failure.reason
    event.relay_host = failure.host or relay[0] or None
    event.relay_ip = failure.ip or relay[1] or None
    if event.status == "bounced" and failure.is_expired:
        event.status = "expired"
    if event.direction == "outbound":
        domain = (event.recipient or "").rpartition("@")[2]
        event.provider = provider_of_relay(event.relay_host) if event.relay_host else provider_of_domain(domain)


def _custom(text: str, name: str) -> str | None:
    """A value of custom-data: `S:Name=value;S:…`."""
    return text.partition(f"S:{name}=")[2].partition(";")[0] or None
