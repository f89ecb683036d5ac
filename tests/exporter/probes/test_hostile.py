"""Mailboxes, servers and mails that want to cost more than they are worth: what they get is bounded."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tracemalloc
from collections.abc import Callable, Coroutine
from pathlib import Path

import pytest

from exporter.probes.arrival import RAW_LIMIT, Found
from exporter.probes.imap import ImapMailbox
from exporter.probes.maildir import Maildir
from exporter.probes.mbox import Mbox
from exporter.probes.message import HEADER, Key, compose, new_id, whose
from exporter.probes.pop3 import Pop3Mailbox
from exporter.probes.section import Imap, Pop3, Send
from exporter.probes.sink import Sink
from tests.effort import is_linear
from tests.exporter.probes.test_prober import a_maildir, bench, free_port  # noqa: F401 - a fixture
from tests.exporter.probes.test_smtp import PASSWORD

MEGABYTE = 1 << 20
KEY = Key(b"k" * 32)
SEND = Send(server="mx", from_="a@example.com", to="b@example.net")


def peak(work: Callable[[], object]) -> float:
    """The most megabytes that Python has in use meanwhile, more than before."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / MEGABYTE
    finally:
        tracemalloc.stop()


def test_a_maildir_full_of_large_mails(tmp_path):
    maildir = a_maildir(tmp_path)
    for number in range(300):
        with (maildir / "new" / str(number)).open("wb") as mail:
            mail.truncate(1 << 30)
    seen: list[int] = []
    box = Maildir(maildir)
    assert peak(lambda: asyncio.run(box.visit(lambda it: bool(seen.append(len(it.raw)))))) < 8
    assert seen == [RAW_LIMIT] * 300
    asyncio.run(box.visit(lambda it: bool(seen.append(len(it.raw)))))
    assert len(seen) == 300


def test_an_mbox_of_a_gigabyte_and_one_of_beginnings_alone(tmp_path):
    with (tmp_path / "mbox").open("wb") as mbox:
        mbox.truncate(1 << 30)
    assert peak(lambda: asyncio.run(Mbox(tmp_path / "mbox").visit(lambda _: False))) < 40
    (tmp_path / "mbox").write_bytes(b"From x\n" * (3 * MEGABYTE))
    assert peak(lambda: asyncio.run(Mbox(tmp_path / "mbox").visit(lambda _: False))) < 60


async def scripted(answer: Callable[[bytes], object], box: Callable[[int], object]) -> str:
    """What comes of a look into a mailbox whose server answers so to each line."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader, writer) -> None:
        tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.CancelledError):
            line = b""
            while True:
                for part in answer(line):
                    writer.write(part)
                    await writer.drain()
                if not (line := await reader.readline()):
                    break
        writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    made = box(server.sockets[0].getsockname()[1])
    try:
        await made.visit(lambda _: False)
    except Exception as error:
        return str(getattr(error, "reason", error))
    finally:
        made.close()
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return "looked"


def endless(first: bytes, part: bytes):
    yield first
    while True:
        yield part


def run(work: Coroutine[object, object, str]) -> tuple[str, float]:
    came: list[str] = []
    most = peak(lambda: came.append(asyncio.run(work)))
    return came[0], most


def an_imap(answers: dict[bytes, Callable[[bytes], object]]):
    def answer(line: bytes):
        if not line:
            return [b"* OK ready\r\n"]
        tag, _, command = line.strip().partition(b" ")
        for start, made in answers.items():
            if command.startswith(start):
                return made(tag)
        return [b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK\r\n"]

    return answer


def imap(port: int) -> ImapMailbox:
    os.environ["HOSTILE_PASSWORD"] = PASSWORD
    return ImapMailbox(Imap(server="127.0.0.1", port=port, tls="none", username="u", password_env="HOSTILE_PASSWORD"))


def pop3(port: int) -> Pop3Mailbox:
    os.environ["HOSTILE_PASSWORD"] = PASSWORD
    return Pop3Mailbox(Pop3(server="127.0.0.1", port=port, tls="none", username="u", password_env="HOSTILE_PASSWORD"))


def searched(uids: int):
    return lambda tag: [
        b"* SEARCH " + b" ".join(b"%d" % uid for uid in range(1, uids + 1)) + b"\r\n" + tag + b" OK\r\n"
    ]


def a_mail(size: int):
    return lambda tag: [
        b"* 1 FETCH (UID 1 BODY[]<0> {%d}\r\n" % size,
        *[b"x" * 65536] * (size // 65536),
        b")\r\n" + tag + b" OK\r\n",
    ]


def test_a_mailbox_of_a_hundred_mails_as_large_as_they_may_be():
    came, most = run(scripted(an_imap({b"UID SEARCH": searched(100), b"UID FETCH": a_mail(MEGABYTE)}), imap))
    assert came == "looked"
    assert most < 12


@pytest.mark.parametrize(
    "answers",
    [
        {b"UID SEARCH": searched(1), b"UID FETCH": lambda _: endless(b"* 1 FETCH ({1073741824}\r\n", b"x" * 65536)},
        {b"UID SEARCH": searched(1), b"UID FETCH": lambda _: endless(b"* 1 FETCH (", b"{9}\r\n123456789")},
        {b"UID SEARCH": lambda _: endless(b"* SEARCH", b" 1" * 9000)},
        {b"LIST": lambda _: endless(b"", b'* LIST (\\Junk) "/" "' + b"x" * 900 + b'"\r\n')},
        {b"SELECT": lambda _: endless(b"", b"* 1 EXISTS\r\n" * 900)},
        {b"LOGIN": lambda _: endless(b"", b"+ \r\n" * 900)},
    ],
)
def test_an_imap_server_without_end(answers):
    came, most = run(scripted(an_imap(answers), imap))
    assert came == "protocol_error"
    assert most < 12


def a_pop3(answers: dict[bytes, object]):
    usual = {b"UIDL": [b"+OK\r\n1 a\r\n2 b\r\n.\r\n"], b"LIST": [b"+OK\r\n1 9\r\n2 11000000\r\n.\r\n"]}

    def answer(line: bytes):
        return (usual | answers).get(line.strip().partition(b" ")[0], [b"+OK\r\n"])

    return answer


@pytest.mark.parametrize(
    "answers",
    [
        {b"": endless(b"", b"+OK" + b"x" * 9000)},
        {b"UIDL": endless(b"+OK\r\n", b"1 a\r\n" * 900)},
        {b"LIST": endless(b"+OK\r\n", b"1 9\r\n" * 900)},
        {b"TOP": endless(b"+OK\r\n", b"x" * 65536)},
        {b"TOP": endless(b"+OK\r\n", b"x\r\n" * 9000)},
    ],
)
def test_a_pop3_server_without_end(answers):
    came, most = run(scripted(a_pop3(answers), pop3))
    assert came == "protocol_error"
    assert most < 60


def test_a_mail_that_is_too_large_for_a_probe_is_not_asked_for():
    asked: list[bytes] = []
    answer = a_pop3({b"LIST": [b"+OK\r\n1 1073741824\r\n2 x\r\n.\r\n"]})
    came, _ = run(scripted(lambda line: (asked.append(line), answer(line))[1], pop3))
    assert came == "looked"
    assert not any(line.startswith(b"TOP") for line in asked)


MAILS = {
    "garbage": bytes(range(256)) * 4000,
    "a header of a megabyte": HEADER.encode() + b": " + b"x" * MEGABYTE,
    "headers without end": b"X: y\r\n" * 200_000,
    "a name in parts": b"X-Mailstat-\r\n Probe: one 1 2\r\n" * 30_000,
    "ours, and wrong, many times": HEADER.encode() + b": one 0123456789abcdef " + b"0" * 32 + b"\r\n",
    "charsets that there are not": b"Subject: =?nowhere?b?/////w==?= =?utf-7?q?=ff?=\r\nFrom: \xff\xfe\x00\r\n\r\n",
    "a bomb of parts": b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(9000)
    ),
    "blanks": (HEADER.encode() + b": \t" + b" \t" * 100_000 + b"\r\n") * 2,
}


@pytest.mark.parametrize("mail", MAILS)
def test_a_mail_of_strangers_costs_what_it_weighs(mail, bench):  # noqa: F811
    raw = MAILS[mail]
    assert whose(raw * 3, KEY) is None
    many = (raw + b"\r\n") * (MEGABYTE // len(raw) + 1)
    assert is_linear(lambda text: whose(text.encode("latin-1"), KEY), lambda size: many[:size].decode("latin-1"))

    async def play(it):
        it.prober.arrivals.hooks.append(lambda *_: pytest.fail("it is not ours"))
        assert it.prober.take(Found(raw[:RAW_LIMIT], "INBOX", is_junk=False, place="1", arrived=0.0)) is False

    bench(None, play)


def test_ours_is_found_between_the_headers_of_others():
    made = compose("one", SEND, KEY, new_id(), 1_800_000_000.0)
    raw = b"Received: from \xff (=?nowhere?q?=00?=)\r\n" * 500 + made.raw
    assert whose(raw, KEY) == ("one", made.id)


def test_a_sink_has_so_many_sessions_and_no_more():
    async def play() -> list[bytes]:
        port = free_port()
        sink = Sink(f"smtp://127.0.0.1:{port}")
        await sink.visit(lambda _: False)
        streams = []
        banners = []
        for _ in range(25):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            banners.append((await reader.readline())[:3])
            streams.append(writer)
        for writer in streams:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            banner = await reader.readline()
            writer.close()
            if banner.startswith(b"220"):
                break
        sink.close()
        return banners

    assert asyncio.run(play()) == [b"220"] * 20 + [b"421"] * 5


def test_a_key_is_made_once_and_is_nobody_elses(tmp_path: Path):
    first, second = Key.in_folder(tmp_path), Key.in_folder(tmp_path)
    assert first.token("one", "1") == second.token("one", "1")
    assert (tmp_path / "probe.key").stat().st_mode & 0o077 == 0
