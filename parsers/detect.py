"""Which mail server wrote a log, told from its first lines.

Cheap signs are enough: the program that syslog names, or the form of the lines of a server that keeps a log of its
own. They tell the servers that no grammar reads yet, too, so that people hear what they have there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC
from typing import NamedTuple

from parsers.clock import Clock
from parsers.mta import postfix
from parsers.prefix.syslog import Prefix
from parsers.prefix.wrapper import read_prefix

LINES = 5_000  # that are looked at: some mail servers share their log with talkative neighbours
SIGNS_ENOUGH = 200  # lines of servers other than Dovecot that tell whose log it is
LINE_LENGTH = 8_192  # characters of a line that are looked at; records of the journal are long
READ = frozenset({"postfix"})  # those whose lines have a grammar

# What a line begins with in a log that is not syslog's: Exim's stamp, Dovecot's, those of multilog and its readers.
_STAMP = (
    r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? (?:[+-]\d{4} )?(?:\[\d{1,10}\] )?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |@[0-9a-f]{24} |\d{9,10}\.\d{6} )"
)


def _program(names: str) -> Callable[[str, str], object]:
    """Told by the program alone."""
    match = re.compile(names).fullmatch
    return lambda program, _: match(program)


def _speech(names: str, words: str) -> Callable[[str, str], object]:
    """Told by the program and how it begins, where others have a program of that name."""
    is_name, begins = re.compile(names).fullmatch, re.compile(words).match
    return lambda program, message: is_name(program) and begins(message)


class Sign(NamedTuple):
    """What tells a mail server's line: who says what through syslog, or the line of its own log, if it keeps one.

    `name` is how its people write it. Each sample is told by this sign and no other.
    """

    mta: str
    name: str
    is_said_by: Callable[[str, str], object]
    line: Callable[[str], object] | None
    samples: tuple[str, ...]


SIGNS = (
    Sign(
        "postfix",
        "Postfix",
        lambda program, _: postfix.origin("", program, None),
        None,
        (
            "Nov 21 10:00:00 mail postfix/smtpd[4711]: connect from client.example.net[203.0.113.7]",
            "2026-11-21T10:00:00.123456+00:00 mail postfix-out/smtp[4711]: 4jX0VD2r72z: to=<a@example.org>",
        ),
    ),
    # log_write() in src/log.c; a message's id has 6-6-2 characters, and 6-11-4 since 4.97. `syslog_processname`.
    Sign(
        "exim",
        "Exim",
        _program(r"exim4?"),
        re.compile(
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{3})? (?:[+-]\d{4} )?(?:\[\d{1,10}\] )?(?:"
            r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{8,11}-[0-9A-Za-z]{4}) "
            r"|H=|(?:Start|End) queue run: pid=|exim \S{1,40} daemon started: "
            r"|SMTP (?:connection|call|command timeout|data timeout|protocol|syntax error) "
            r"|no (?:host name found for IP address|IP address found for host|MAIL in SMTP connection from) "
            r"|\w{1,40} authenticator failed for |TLS error on connection |rejected [EH]\w{3} "
            r"|unexpected disconnection while reading SMTP command |U=\S{1,64} F=)"
        ).match,
        (
            "2026-11-21 10:00:00 1tXk2a-00000000ABc-0dEf <= a@example.com H=client.example.net [203.0.113.7] P=esmtp",
            "2026-11-21 10:00:00.123 +0100 [4711] 1tXk2b-000aBc-0D Completed",
            "2026-11-21 10:00:00 Start queue run: pid=4711",
            "2026-11-21 10:00:00 H=(example.net) [203.0.113.7] F=<a@example.net> rejected RCPT <b@example.com>",
            "Nov 21 10:00:00 mail exim[4711]: 2026-11-21 10:00:00 1tXk2b-000aBc-0D Completed",
        ),
    ),
    # The tags are the `-L` of the start scripts; the queue id has 14 characters since 8.10 (sendmail/queue.c).
    Sign(
        "sendmail",
        "Sendmail",
        _program(r"sendmail|sm-[\w-]{1,30}"),
        None,
        (
            "Nov 21 10:00:00 mail sm-mta[4711]: 5ALA00aB004711: from=<a@example.com>, size=9, class=0, nrcpts=1",
            "Nov 21 10:00:00 mail sendmail[4711]: 5ALA00aB004711: to=<b@example.org>, delay=00:00:01, stat=Sent",
            "Nov 21 10:00:00 mail sm-msp-queue[4711]: 5ALA00aB004711: to=root, delay=00:04:00, stat=Deferred",
        ),
    ),
    # qmail-send.c; splogger's tag, or multilog and no tag at all.
    Sign(
        "qmail",
        "qmail",
        _program(r"qmail(?:-\w{1,20})?"),
        re.compile(
            rf"{_STAMP}?(?:qmail: )?(?:new msg \d+|end msg \d+|bounce msg \d+ qp \d|info msg \d+: bytes \d"
            r"|starting delivery \d+: msg \d|delivery \d+: (?:success|failure|deferral): |triple bounce: "
            r"|status: local \d+/\d+ remote \d|status: exiting|qmail-smtpd: )"
        ).match,
        (
            "@400000006b0a1b2c3d4e5f60 new msg 4711",
            "@400000006b0a1b2c3d4e5f60 info msg 4711: bytes 512 from <a@example.com> qp 4712 uid 1000",
            "2026-11-21 10:00:00.123456789 starting delivery 1: msg 4711 to remote b@example.org",
            "1795284304.123456 status: local 0/10 remote 1/20",
            "Nov 21 10:00:00 mail qmail: 1795284304.123456 delivery 1: success: did_1+0+0/",
        ),
    ),
    # 5.x, 6.0 to 6.3 and 6.4+ (smtpd/smtp_session.c, mta_session.c, mda.c). Other programs are named smtpd, too.
    Sign(
        "opensmtpd",
        "OpenSMTPD",
        _speech(
            r"smtpd",
            r"[0-9a-f]{16} (?:smtp|mta|mda) |smtp-(?:in|out): |(?:mda|mta|delivery): |(?:info|warn|fatal): ",
        ),
        None,
        (
            "Nov 21 10:00:00 mail smtpd[4711]: 0123456789abcdef smtp connected address=203.0.113.7 host=example.net",
            "Nov 21 10:00:00 mail smtpd[4711]: 0123456789abcdef mta event=delivery evpid=fedcba9876543210 from=<>",
            "Nov 21 10:00:00 mail smtpd[4711]: smtp-in: New session 0123456789abcdef from host client.example.net",
        ),
    ),
    # Not by `#Software`: the logs of IMAP, POP and HttpProxy have it too, and no mail flow. Their rows have other
    # columns: what tells is `#Log-type` and `#Fields` of those that have, and the rows; Exchange 2003 has its own.
    Sign(
        "exchange",
        "Exchange",
        _program(r"(?!)"),
        re.compile(
            r"#Log-type: (?:Message Tracking Log|SMTP (?:Receive|Send) Protocol Log)"
            r"|#Fields: date-time,(?:client-ip,client-hostname|connector-id,session-id),"
            r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z,(?:"
            r"[^,]*,[0-9A-F]{16},\d{1,9},[^,]*,[^,]*,[-+*<>],"
            r'|(?:(?:"[^"]*"|[^,"]*),){6}[A-Z]{2,20},[A-Z]{3,30},)'
            r"|\d{4}-\d{1,2}-\d{1,2}\t\d{1,2}:\d\d:\d\d GMT\t"
        ).match,
        (
            "\ufeff#Log-type: Message Tracking Log",
            "#Fields: date-time,connector-id,session-id,sequence-number,local-endpoint,remote-endpoint,event",
            "2026-11-21T10:00:00.123Z,203.0.113.7,client,192.0.2.1,mx,id;0,MX\\Default,SMTP,RECEIVE,1,<1@example.com>,",
            "2026-11-21T10:00:00.123Z,MX\\Default,0123456789ABCDEF,0,192.0.2.1:25,203.0.113.7:40000,+,,",
        ),
    ),
    # With `log_path` a log of its own, whose stamp is `log_timestamp`; else the tag is dovecot's, or a service's own.
    Sign(
        "dovecot",
        "Dovecot",
        _program(r"dovecot(?:-\w{1,20})?|(?:imap|pop3|managesieve|submission)-login"),
        re.compile(
            rf"{_STAMP}?(?:dovecot: )?(?:(?:imap|pop3|managesieve|submission)(?:-login)?|lmtp|lda|auth|auth-worker"
            r"|master|config|anvil|stats|ssl-params)(?:\([^()]{1,300}\))?(?:<[^<>]{1,100}>){0,2}: "
            r"(?:Info|Warning|Error|Fatal|Panic|Debug): |@[0-9a-f]{24} dovecot-auth: "
        ).match,
        (
            "Nov 21 10:00:00 mail dovecot: imap-login: Login: user=<a>, method=PLAIN, rip=203.0.113.7, lip=192.0.2.1",
            "Nov 21 10:00:00 auth: Info: passwd-file(a,203.0.113.7): unknown user",
            "2026-11-21 10:00:00 lmtp(a@example.com)<4711><abcdefgh>: Info: msgid=<1@example.com>: saved",
            "@400000006b0a1b2c3d4e5f60 imap-login: Info: Aborted login (auth failed, 1 attempts): user=<a>",
        ),
    ),
)
NAMES = {sign.mta: sign.name for sign in SIGNS}


class Detector:
    """Knows whose log it is told, from the start on, in blocks of complete lines.

    After some lines it knows enough, and listens no more.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lines_left = LINES
        self._clock = Clock(UTC, lambda: 0.0)  # what the time is does not matter here

    def feed(self, block: str) -> None:
        """Look at the lines of the next block, unless enough is known."""
        if self._lines_left <= 0:
            return
        for line in block.split("\n", self._lines_left)[: self._lines_left]:
            self._lines_left -= 1
            mta = self._writer(line[:LINE_LENGTH].strip("\0\r\ufeff "))
            if mta:
                self._counts[mta] += 1
            if self._counts.total() - self._counts["dovecot"] >= SIGNS_ENOUGH:
                self._lines_left = 0
                return

    @property
    def mta(self) -> str | None:
        """The server that wrote most of the lines that are a server's, as far as is known; None where none has.

        Dovecot is the neighbour of every server, and talks more than some: the log is its own where it is alone.
        """
        ranked = [mta for mta, _ in self._counts.most_common()]
        return next((mta for mta in ranked if mta != "dovecot"), ranked[0] if ranked else None)

    @property
    def unread(self) -> str | None:
        """In words what log this is, where its server is known and no grammar reads it: `an Exim log: …`."""
        mta = self.mta
        if mta is None or mta in READ:
            return None
        article = "an" if NAMES[mta][0] in "AEIO" else "a"
        read = " and ".join(name for mta, name in NAMES.items() if mta in READ)
        return f"{article} {NAMES[mta]} log: this release reads {read}"

    def _writer(self, line: str) -> str | None:
        for sign in SIGNS:
            if sign.line and sign.line(line):
                return sign.mta
        prefix = self._prefix(line)
        if prefix is None:
            return None
        return next((sign.mta for sign in SIGNS if sign.is_said_by(prefix.program, prefix.message)), None)

    def _prefix(self, line: str) -> Prefix | None:
        try:
            return read_prefix(line, self._clock)
        except ValueError:  # an impossible time
            return None
