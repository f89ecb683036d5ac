from __future__ import annotations

import pytest

from exporter.config import Config, LogSource
from exporter.pipeline import Pipeline
from exporter.probes.mailbox import OwnLog
from exporter.probes.prober import Prober
from exporter.probes.section import Arrive, Probe
from tests.exporter.probes.test_prober import NOW, Bench, bench  # noqa: F401 - a fixture
from tests.exporter.probes.test_smtp import a_send

BEGIN = """\
2027-01-15T08:00:01+00:00 mx postfix/cleanup[7]: 4F1A2B: message-id=<{message_id}>
2027-01-15T08:00:01+00:00 mx postfix/qmgr[8]: 4F1A2B: from=<probe@example.com>, size=900, nrcpt=1 (queue active)
"""
LINE = (
    "2027-01-15T08:00:04+00:00 mx postfix/smtp[9]: 4F1A2B: to=<probe@example.net>, relay={relay}, delay=3,"
    " delays=1/0/1/1, dsn={dsn}, status={status}\n"
)
SENT = LINE.format(relay="mx.example.net[192.0.2.7]:25", dsn="2.0.0", status="sent (250 2.0.0 Ok: queued as 9)")
FILTERED = LINE.format(
    relay="127.0.0.1[127.0.0.1]:10024", dsn="2.0.0", status="sent (250 2.0.0 Ok: queued as 4F1A2C)"
)
DEFERRED = LINE.format(
    relay="mx.example.net[192.0.2.7]:25",
    dsn="4.7.1",
    status="deferred (host mx.example.net[192.0.2.7] said: 450 4.7.1 Greylisted, try again later (in reply to RCPT TO"
    " command))",
)


EXIM_BEGIN = (
    "2027-01-15 08:00:01 1tXk2a-0003RF-2Z <= probe@example.com H=(localhost) [127.0.0.1] P=esmtpsa A=plain:probe"
    " S=742 id={message_id}\n"
)
EXIM_DEFERRED = (
    "2027-01-15 08:00:04 1tXk2a-0003RF-2Z == probe@example.net R=outside T=outside defer (-44) H=mx.example.net"
    " [192.0.2.7]: SMTP error from remote mail server after RCPT TO:<probe@example.net>: 450 4.7.1 Greylisted, try"
    " again later\n"
)
EXIM_SENT = (
    "2027-01-15 08:00:04 1tXk2a-0003RF-2Z => probe@example.net R=outside T=outside H=mx.example.net [192.0.2.7]"
    ' C="250 2.0.0 Ok"\n'
)


OPENSMTPD_REPLY = b"250 2.0.0 1a2b3c4d Message accepted for delivery\r\n"
OPENSMTPD_BEGIN = """\
2027-01-15T08:00:01+00:00 mx smtpd[7]: 5c2b1f3e8a7d6c01 smtp connected address=127.0.0.1 host=localhost
2027-01-15T08:00:01+00:00 mx smtpd[7]: 5c2b1f3e8a7d6c01 smtp message msgid=1a2b3c4d size=900 nrcpt=1 proto=ESMTP
2027-01-15T08:00:01+00:00 mx smtpd[7]: 5c2b1f3e8a7d6c01 smtp envelope evpid=1a2b3c4d5e6f7081 from=<probe@example.com>\
 to=<probe@example.net>
"""
OPENSMTPD_LINE = (
    "2027-01-15T08:00:04+00:00 mx smtpd[7]: 5c2b1f448d5a3e02 mta delivery evpid=1a2b3c4d5e6f7081"
    ' from=<probe@example.com> to=<probe@example.net> rcpt=<-> source="192.0.2.1" relay="192.0.2.7 (mx.example.net)"'
    ' delay=3s result="{result}" stat="{stat}"\n'
)
OPENSMTPD_DEFERRED = OPENSMTPD_LINE.format(result="TempFail", stat="450 4.7.1 Greylisted, try again later")
OPENSMTPD_SENT = OPENSMTPD_LINE.format(result="Ok", stat="250 2.0.0 Ok")


async def with_log(it: Bench, *lines: str, message_id: str | None = None, begin: str = BEGIN) -> None:
    """The probe runs, and then its log says this."""
    it.probe = Probe(
        name="one", every=60.0, send=a_send(it.maildir.parent, it.probe.send.port), arrive=Arrive(log=True)
    )
    it.prober.configure([it.probe])
    outcome = await it.prober.run_once(it.probe)
    read(it, begin.format(message_id=message_id or outcome.mail.message_id), *lines)


def read(it: Bench, *lines: str) -> None:
    """The prober's log says this."""
    log = it.maildir.parent / "mail.log"
    log.write_text("".join(lines))
    pipeline = Pipeline(Config(sources=(LogSource(file=log),)), None, it.clock)
    pipeline.hooks.append(it.prober.follow)
    it.clock.time += 10
    while pipeline.step():
        pass
    pipeline.close()


@pytest.mark.parametrize(("line", "arrived"), [(SENT, 1), (FILTERED, 0), (DEFERRED, 0)])
def test_the_log_tells_that_a_mail_went_out(bench, line, arrived):  # noqa: F811
    async def play(it):
        await with_log(it, line)
        assert it.count("arrived") == arrived

    bench(None, play)


def test_the_log_tells_where_a_late_mail_is(bench):  # noqa: F811
    async def play(it):
        await with_log(it, DEFERRED)
        it.clock.time = NOW + 130
        assert it.value("mail_probe_failure_info", phase="arrival", reason="queued_greylisted") == 1

    bench(None, play)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [([], "queued"), ([EXIM_DEFERRED], "queued_greylisted"), ([EXIM_DEFERRED, EXIM_SENT], None)],
)
def test_the_log_of_an_exim_tells_it_too(bench, lines, reason):  # noqa: F811
    async def play(it):
        await with_log(it, *lines, begin=EXIM_BEGIN)
        it.clock.time = NOW + 130
        found = it.value("mail_probe_failure_info", phase="arrival", reason=reason or "queued")
        assert (found, it.count("arrived")) == ((1, 0) if reason else (None, 1))

    bench(None, play)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [([], "queued"), ([OPENSMTPD_DEFERRED], "queued_greylisted"), ([OPENSMTPD_DEFERRED, OPENSMTPD_SENT], None)],
)
def test_the_log_of_an_opensmtpd_tells_it_by_the_name_in_its_reply(bench, lines, reason):  # noqa: F811
    async def play(it):
        await with_log(it, *lines, begin=OPENSMTPD_BEGIN)
        it.clock.time = NOW + 130
        found = it.value("mail_probe_failure_info", phase="arrival", reason=reason or "queued")
        assert (found, it.count("arrived")) == ((1, 0) if reason else (None, 1))
        asked = []
        it.prober.next_attempt = lambda *what: asked.append(what)
        it.prober.views()
        assert asked == ([("1a2b3c4d", it.clock.time)] if reason else [])

    bench({".": OPENSMTPD_REPLY}, play)


def test_the_log_of_an_opensmtpd_tells_it_after_a_restart(bench):  # noqa: F811
    async def play(it):
        await with_log(it, OPENSMTPD_DEFERRED, begin=OPENSMTPD_BEGIN)
        it.prober.close()
        it.prober = Prober([it.probe], it.maildir.parent, it.clock)
        read(it, OPENSMTPD_SENT)
        assert it.prober.ledger.counts("one")["arrived"] == 1

    bench({".": OPENSMTPD_REPLY}, play)


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (b"250 2.0.0 Ok: queued as 1a2b3c4d\r\n", OPENSMTPD_SENT),
        (b"250 2.0.0 1a2b3c4e Message accepted for delivery\r\n", OPENSMTPD_SENT),
        (b"250 2.0.0 4F1A2B00 Message accepted for delivery\r\n", SENT),
        (b"250 2.0.0 12345678 Message accepted for delivery\r\n", SENT.replace("4F1A2B", "12345678")),
    ],
)
def test_the_name_of_another_mail_tells_nothing(bench, reply, line):  # noqa: F811
    async def play(it):
        await with_log(it, line, begin=OPENSMTPD_BEGIN)
        assert it.count("arrived") == 0

    bench({".": reply}, play)


def test_where_a_mail_is_is_known_after_a_restart_and_when_it_is_lost(bench):  # noqa: F811
    async def play(it):
        await with_log(it, DEFERRED)
        it.prober.close()
        again = Prober([it.probe], it.maildir.parent, it.clock)
        it.clock.time = NOW + 1900
        await again.look(OwnLog(), [it.probe])
        assert again.ledger.counts("one")["lost"] == 1
        (view,) = again.views()
        assert view.reason == "arrival: queued_greylisted"
        assert "450 4.7.1 Greylisted" in view.failure
        again.close()

    bench(None, play)


def test_what_the_log_says_after_the_arrival_is_not_kept(bench):  # noqa: F811
    async def play(it):
        await with_log(it, SENT, DEFERRED)
        assert it.prober.ledger._base.execute("SELECT count(*) FROM whereabouts").fetchone() == (0,)

    bench(None, play)


def test_a_message_id_of_somebody_else_is_not_believed(bench):  # noqa: F811
    async def play(it):
        await with_log(it, SENT, message_id=f"mailstat-probe.{'0' * 16}.{'0' * 32}@example.com")
        assert it.count("arrived") == 0

    bench(None, play)


def test_a_log_is_read_on_while_the_ledger_cannot_be_written(bench, caplog):  # noqa: F811
    async def play(it):
        _ = it.prober.ledger
        outcomes = []

        async def run_once(probe):
            outcomes.append(await Prober.run_once(it.prober, probe))
            it.prober.ledger._base.execute("PRAGMA query_only = ON")
            return outcomes[0]

        it.prober.run_once = run_once
        await with_log(it, SENT, DEFERRED)

    bench(None, play)
    told = {record.message for record in caplog.records}
    assert told == {"what the log says of a probe's mail cannot be written down"}
