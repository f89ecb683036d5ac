"""Logs of Exchange of traffic that never was, to measure with: message tracking, and sessions of clients.

The rows have the length and the mix of those of Exchange 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from uuid import UUID

START = datetime(2026, 1, 5, tzinfo=UTC)
SOFTWARE = ("#Software: Microsoft Exchange Server", "#Version: 15.02.1118.007")
TRACKING = (
    "date-time,client-ip,client-hostname,server-ip,server-hostname,source-context,connector-id,source,event-id,"
    "internal-message-id,message-id,network-message-id,recipient-address,recipient-status,total-bytes,"
    "recipient-count,related-recipient-address,reference,message-subject,sender-address,return-path,message-info,"
    "directionality,tenant-id,original-client-ip,original-server-ip,custom-data,transport-traffic-type,log-id,"
    "schema-version"
)
PROTOCOL = "date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event,data,context"
SERVER, DOMAIN = "EX1", "example.com"
HOSTS = ("mx.example.net", "aspmx.l.google.com", "example-org.mail.protection.outlook.com", "mx.example.org")
FAILED = (
    "[{LED=550 5.1.1 <sam@example.org>: User unknown};{MSG=};{FQDN=mx.example.org};{IP=203.0.113.9};{LRT=}]",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    "550 4.4.7 QUEUE.Expired; message expired",
)
LATENCY = ";SRV=EX1.example.com:TOTAL-FE=0.074|SMR=0.072(SMRPI=0.002)|SMS=0.002;SRV=EX1.example.com:TOTAL-HUB=1.43"


def stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if "," in text or '"' in text else text


class TrackingTraffic:
    """Messages from the internet to mailboxes, and from mailboxes to the internet."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._moment = START
        self._number = 5_450_313_518_000

    def __iter__(self) -> Iterator[str]:
        while True:
            yield from self._message()

    def _message(self) -> Iterator[str]:
        random = self._random
        self._moment += timedelta(milliseconds=random.randrange(20, 400))
        self._number += random.randrange(1, 9)
        begin = self._moment
        uuid = str(UUID(int=random.getrandbits(128), version=4))
        message_id = f"<{random.getrandbits(64):x}@{random.choice(HOSTS)}>"
        is_outbound = random.random() < 0.4
        count = random.choice((1, 1, 1, 1, 2, 5))
        domain = random.choice(("example.org", "gmail.com", "example.net")) if is_outbound else DOMAIN
        sender = f"user{random.randrange(500)}@{DOMAIN if is_outbound else 'example.net'}"
        recipients = ";".join(f"user{random.randrange(9000)}@{domain}" for _ in range(count))
        size = random.randrange(3_000, 900_000)
        subject = f"Figures{random.choice(('', '', '', ','))} part {self._number % 97}"

        def row(event: str, source: str, **more: str) -> str:
            self._moment += timedelta(milliseconds=random.randrange(1, 60))
            columns = dict.fromkeys(TRACKING.split(","), "")
            columns |= {
                "date-time": stamp(self._moment), "source": source, "event-id": event,
                "internal-message-id": str(self._number), "message-id": message_id, "network-message-id": uuid,
                "recipient-address": recipients, "total-bytes": str(size), "recipient-count": str(count),
                "message-subject": subject, "sender-address": sender,
                "return-path": sender, "directionality": "Originating" if is_outbound else "Incoming",
                "custom-data": "S:DeliveryPriority=Normal;S:AccountForest=example.com",
                "transport-traffic-type": "Email", "log-id": uuid[::-1], "schema-version": "15.02.1118.007",
            }  # fmt: skip
            columns |= {name.replace("_", "-"): value for name, value in more.items()}
            return ",".join(map(quoted, columns.values()))

        session = f"08DC{random.getrandbits(48):012X};{stamp(begin)};0"
        here = {"server_ip": "192.0.2.10", "server_hostname": SERVER}
        if is_outbound:
            yield row(
                "NOTIFYMAPI", "STOREDRIVER", source_context=f"MDB:{uuid}, Mailbox:{uuid}, Event:1, ClientType:MOMT"
            )
            yield row("RECEIVE", "STOREDRIVER", client_hostname=f"{SERVER}.{DOMAIN}", source_context=session, **here)
            yield row("SUBMIT", "STOREDRIVER", client_hostname=SERVER, source_context=session)
        else:
            yield row("HAREDIRECTFAIL", "SMTP", server_hostname=SERVER, source_context="No suitable shadow servers")
        yield row(
            "RECEIVE", "SMTP", client_ip="198.51.100.7", client_hostname="mail.example.net", message_info="0cA: ",
            source_context=session, connector_id=f"{SERVER}\\Default {SERVER}", original_client_ip="198.51.100.7",
            **here,
        )  # fmt: skip
        yield row("AGENTINFO", "AGENT", source_context="CatContentConversion", **here)
        if random.random() < 0.06:
            yield row("FAIL", "SMTP", recipient_status=random.choice(FAILED), client_hostname=SERVER, **here)
            yield row("DSN", "DSN", reference=message_id, message_subject="Undeliverable: figures", **here)
            return
        info = stamp(begin) + LATENCY
        status = ";".join(["250 2.1.5 Recipient OK"] * count)
        if is_outbound:
            host = random.choice(HOSTS)
            reply = f"{session};250 2.6.0 {message_id} [InternalId={self._number}, Hostname={host}] 9 bytes, 7 KB/sec"
            yield row(
                "SENDEXTERNAL", "SMTP", client_ip="192.0.2.10", client_hostname=SERVER, server_ip="203.0.113.9",
                server_hostname=host, source_context=reply, connector_id="Outbound", recipient_status=status,
                message_info=info,
            )  # fmt: skip
        else:
            yield row(
                "SEND", "SMTP", client_ip="192.0.2.10", client_hostname=SERVER, server_ip="192.0.2.10",
                server_hostname=f"{SERVER}.{DOMAIN}", source_context=f"{session};250 2.0.0 OK {message_id}",
                connector_id="Intra-Organization SMTP Send Connector", recipient_status=status, message_info=info,
            )  # fmt: skip
            yield row("DELIVER", "STOREDRIVER", client_hostname=SERVER, message_info=info, **here)


class ReceiveTraffic:
    """Sessions of clients: mail, refused recipients, logins that fail."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._moment = START

    def __iter__(self) -> Iterator[str]:
        while True:
            yield from self._session()

    def _session(self) -> Iterator[str]:
        random = self._random
        self._moment += timedelta(milliseconds=random.randrange(5, 200))
        session = f"08DC{random.getrandbits(48):012X}"
        client = f"198.51.100.{random.randrange(1, 255)}"
        remote = f"{client}:{random.randrange(1024, 65536)}"
        for number, (mark, data, context) in enumerate(self._rows(client)):
            self._moment += timedelta(milliseconds=random.randrange(0, 40))
            columns = (
                stamp(self._moment), f"{SERVER}\\Default Frontend {SERVER}", session, str(number), "192.0.2.10:25",
                remote, mark, data, context,
            )  # fmt: skip
            yield ",".join(map(quoted, columns))

    def _rows(self, client: str) -> Iterator[tuple[str, str, str]]:
        random = self._random
        helo = f"client{random.randrange(2000)}.example.net"
        hello = f"250  {SERVER}.{DOMAIN} Hello [{client}] SIZE 37748736 PIPELINING DSN ENHANCEDSTATUSCODES STARTTLS"
        yield "+", "", ""
        yield ">", f"220 {SERVER}.{DOMAIN} Microsoft ESMTP MAIL Service ready at Mon, 5 Jan 2026 10:00:00 +0000", ""
        yield "<", f"EHLO {helo}", ""
        yield ">", hello, ""
        if random.random() < 0.7:
            yield "<", "STARTTLS", ""
            yield ">", "220 2.0.0 SMTP server ready", ""
            yield "*", f"CN={SERVER}.{DOMAIN}", "Sending certificate Subject"
            yield (
                "*",
                "",
                (
                    "TLS protocol SP_PROT_TLS1_2_SERVER negotiation succeeded using bulk encryption algorithm"
                    " CALG_AES_256 with strength 256 bits, MAC hash algorithm CALG_SHA_384 with strength 0 bits"
                ),
            )
            yield "<", f"EHLO {helo}", ""
            yield ">", hello, ""
        yield from self._login() if random.random() < 0.1 else self._mail()
        yield "<", "QUIT", ""
        yield ">", "221 2.0.0 Service closing transmission channel", ""
        yield "-", "", "Local"

    def _login(self) -> Iterator[tuple[str, str, str]]:
        yield "<", "AUTH LOGIN", ""
        yield ">", "334 <authentication response>", ""
        yield "*", "", "Inbound AUTH LOGIN failed because of LogonDenied"
        yield "*", "", f"User Name: user{self._random.randrange(900)}@{DOMAIN}"
        yield "*", "Tarpit for '0.00:00:05'", ""
        yield ">", "535 5.7.3 Authentication unsuccessful", ""

    def _mail(self) -> Iterator[tuple[str, str, str]]:
        yield "<", f"MAIL FROM:<user{self._random.randrange(900)}@example.net> SIZE=90000", ""
        yield "*", "08DC42C8FF236A1F;2026-01-05T10:00:00.000Z;1", "receiving message"
        yield ">", "250 2.1.0 Sender OK", ""
        yield "<", f"RCPT TO:<user{self._random.randrange(900)}@{DOMAIN}>", ""
        if self._random.random() < 0.15:
            yield ">", "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", ""
            return
        yield ">", "250 2.1.5 Recipient OK", ""
        yield "<", "BDAT 90000 LAST", ""
        yield ">", f"250 2.6.0 <1@example.net> [InternalId=1, Hostname={SERVER}] 9 bytes, 7 KB/sec Queued mail", ""


Traffic = Callable[[Random], TrackingTraffic | ReceiveTraffic]
LOGS: dict[str, tuple[str, str, Traffic]] = {
    "tracking": ("Message Tracking Log", TRACKING, TrackingTraffic),
    "receive": ("SMTP Receive Protocol Log", PROTOCOL, ReceiveTraffic),
}


def lines(seed: int, log: str = "tracking") -> Iterator[str]:
    """The endless log of that kind, header and rows, always the same for the same seed."""
    log_type, fields, traffic = LOGS[log]
    header = (*SOFTWARE, f"#Log-type: {log_type}", f"#Date: {stamp(START)}", f"#Fields: {fields}")
    return (f"{line}\r\n" for line in chain(header, traffic(Random(seed))))  # noqa: S311  # no secret
