"""Microsoft Exchange 2010 to 2019, and Edge: message tracking and SMTP protocol logs.

Its logs are files of rows under a header (`parsers.mta.exchange.table`), in UTC. Exchange 2007 has the same with
fewer columns; the tracking log of Exchange 2003 is read too.
"""

from __future__ import annotations

import re

from parsers.events import Origin
from parsers.mta.exchange.memory import Memory
from parsers.mta.exchange.table import LogTable
from parsers.server import OwnLog, Server

_LINE = re.compile(
    r"# Message Tracking Log File"
    r"|#Log-type: (?:Message Tracking Log|SMTP (?:Receive|Send) Protocol Log)"
    r"|#Fields: date-time,(?:client-ip,client-hostname|connector-id,session-id),"
    r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z,(?:"
    r"[^,]*,[0-9A-F]{16},\d{1,9},[^,]*,[^,]*,[-+*<>],"
    r'|(?:(?:"(?:[^"]|"")*"|[^,"]*),){6}[A-Z]{2,20},[A-Z]{3,30},)'
    r"|\d{4}-\d{1,2}-\d{1,2}\t\d{1,2}:\d\d:\d\d GMT\t"
).match
# The logs of IMAP, POP and HttpProxy begin so too: the table knows them by their `#Log-type`.
_HEAD = re.compile(r"#Software: Microsoft Exchange").match


def origin(host: str, program: str, pid: int | None) -> Origin | None:  # noqa: ARG001 - it does not use syslog
    """None: Exchange does not write to syslog."""
    return None


SERVER = Server(
    mta="exchange",
    name="Exchange",
    samples=(
        "\ufeff#Log-type: Message Tracking Log",
        "#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event",
        "2026-11-21T10:00:00.123Z,203.0.113.7,client,192.0.2.1,mx,id;0,MX\\Default,SMTP,RECEIVE,1,<1@example.com>,",
        "2026-11-21T10:00:00.123Z,MX\\Default,0123456789ABCDEF,0,192.0.2.1:25,203.0.113.7:40000,+,,",
    ),
    origin=origin,
    own_log=OwnLog(is_line=_LINE, table=LogTable, is_head=_HEAD),
    join=Memory,
    says_removed=False,
)
