"""Exchange 2000 and 2003: a tracking log of other columns, with tabs, a row for each recipient.

The numbers are those of Microsoft's "Message tracking event IDs" (KB 821905, KB 246959). Read are what came, what was
delivered or passed on, and what was returned.
"""

from __future__ import annotations

from parsers.events import Delivery, Event, Notification, Origin, Received
from parsers.memo import Memo
from parsers.mta.exchange.row import bare, read_number, read_second
from parsers.provider import provider_of_domain, provider_of_relay
from parsers.server import Strange

# date, time, client-ip, client-hostname, partner, server-hostname, server-ip, recipient, event, message-id, priority,
# report status, bytes, recipients, originated, encryption, version, linked message, subject, sender, server
COLUMNS = range(19, 23)
RECEIVED, DELIVERED, PASSED_ON, RETURNED = "1019", "1028", "1031", "1030"
MOST = 2_000  # events have numbers up to 1,0xx

ORIGINS: Memo[str, Origin] = Memo(lambda host: Origin("exchange", host, "exchange", "SMTP"), 1_000)


def read_date(text: str) -> float:
    """`2003-8-12 0:58:14 GMT`. Raises ValueError."""
    day, _, clock = text.removesuffix(" GMT").partition(" ")
    year, month, date = map(int, day.split("-"))
    hour, minute, second = map(int, clock.split(":"))
    return read_second(f"{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}")


def is_row(line: str) -> bool:
    """Whether a line is of this log."""
    return "\t" in line[:11]


class Legacy:
    """Its rows."""

    def read(self, lines: list[str], events: list[Event], strange: Strange) -> int:
        """Add the events of rows; how many rows have none."""
        ignored = 0
        for line in lines:
            try:
                event = read(line)
            except ValueError:
                strange("malformed", line)
                continue
            if event:
                events.append(event)
            else:
                ignored += 1
        return ignored


def read(line: str) -> Event | None:
    """The event of a row, if it has one. Raises ValueError."""
    row = [column if column != "-" else "" for column in line.split("\t")]
    if len(row) not in COLUMNS:
        raise ValueError("columns")
    time, origin, event_id, message_id = read_date(f"{row[0]} {row[1]}"), ORIGINS[row[5]], row[8], bare(row[9])
    recipient, relay = bare(row[7]), row[4]
    if not message_id or read_number(event_id) > MOST:
        raise ValueError("no event, or a message without an id")
    if event_id == RECEIVED:
        return received(row, time, origin, message_id)
    if event_id == DELIVERED:
        return Delivery(time, origin, message_id, recipient, "sent", "local")
    if event_id == PASSED_ON:
        event = Delivery(time, origin, message_id, recipient, "sent", "outbound", relay_host=relay or None)
        event.provider = provider_of_relay(relay) if relay else provider_of_domain(recipient.rpartition("@")[2])
        return event
    if event_id == RETURNED:
        return Notification(time, origin, message_id, "bounce", is_arrival=True)
    return None


def received(row: list[str], time: float, origin: Origin, message_id: str) -> Received:
    event = Received(time, origin, message_id, row[3] or None, row[2] or None, message_id=message_id)
    event.size, event.recipients = read_number(row[12]), read_number(row[13])
    event.sender, event.via = bare(row[19]) if len(row) > 19 else None, "smtp" if row[2] else "local"
    return event
