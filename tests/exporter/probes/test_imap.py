"""A mailbox that is hostile: whatever it answers, a look ends, and little is kept."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest

from exporter.probes import imap
from exporter.probes.imap import ImapMailbox
from exporter.probes.section import Imap
from tests.exporter.probes.test_smtp import PASSWORD


def hostile(steps: list[bytes], repeat: bytes = b"") -> str:
    """What comes of an IMAP server that answers with these, and then repeats something without end."""

    async def run() -> str:
        async def talk(reader, writer) -> None:
            try:
                for step in steps:
                    writer.write(step)
                    await writer.drain()
                    if step is not steps[-1]:
                        await reader.readline()
                while repeat:
                    writer.write(repeat)
                    await writer.drain()
            except OSError:
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        os.environ["IMAP_PASSWORD"] = PASSWORD
        how = Imap(server="127.0.0.1", port=port, tls="none", username="u", password_env="IMAP_PASSWORD")
        try:
            await ImapMailbox(how).visit(lambda _: False)
        except Exception as error:
            return f"{getattr(error, 'reason', error)}: {error}"
        finally:
            server.close()
        return "nothing"

    return asyncio.run(run())


LOGGED_IN = [b"* OK hello\r\n", b"m1 OK\r\n", b"* CAPABILITY IMAP4rev1\r\nm2 OK\r\n", b"m3 OK\r\n"]
FOUND = [*LOGGED_IN, b"* OK [UIDVALIDITY 1]\r\nm4 OK\r\n", b"* SEARCH 1\r\nm5 OK\r\n"]


@pytest.mark.parametrize(
    ("steps", "repeat"),
    [
        ([b"hello\r\n"], b""),
        ([b"* OK hello\r\n"], b"x" * 65536),
        ([b"* OK hello\r\n"], b"* and more\r\n" * 1000),
        ([*FOUND, b"* 1 FETCH (UID 1 BODY[]<0> {1073741824}\r\n"], b"x" * 65536),
        ([*FOUND, b"* 1 FETCH (UID 1 BODY[]<0> {1048576}\r\n"], b"{1048576}\r\n" * 4000),
        ([*LOGGED_IN, b"* SEARCH " + b"9 " * 40000], b"9 " * 40000),
    ],
)
def test_a_hostile_mailbox_is_left(steps, repeat):
    assert hostile(steps, repeat).startswith("protocol_error")


async def idling(says: list[bytes], repeat: bytes = b"", seconds: float = 2.0) -> tuple[bool | str, int, list[bytes]]:
    """What waiting comes to where the server answers IDLE with this, and then repeats something; how often it was
    logged in to in all, when the mailbox is looked into once more; and what it was told."""
    logins = 0
    heard: list[bytes] = []
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader, writer) -> None:
        nonlocal logins
        tasks.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.CancelledError):
            writer.write(b"* OK ready\r\n")
            idle = b""
            while line := await reader.readline():
                heard.append(line)
                tag, _, command = line.strip().partition(b" ")
                logins += command.startswith(b"LOGIN")
                if command == b"IDLE":
                    idle = tag
                    writer.writelines(it.replace(b"TAG", tag) for it in says)
                    while repeat:
                        writer.write(repeat)
                        await writer.drain()
                elif tag == b"DONE":
                    writer.write(idle + b" OK\r\n")
                else:
                    writer.write(b"* CAPABILITY IMAP4rev1 IDLE\r\n" + tag + b" OK\r\n")
        writer.transport.abort()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    os.environ["IMAP_PASSWORD"] = PASSWORD
    port = server.sockets[0].getsockname()[1]
    box = ImapMailbox(Imap(server="127.0.0.1", port=port, tls="none", username="u", password_env="IMAP_PASSWORD"))
    try:
        await box.visit(lambda _: False)
        told: bool | str = await box.wait(seconds)
        await box.visit(lambda _: False)
        box.close()
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return told, logins, heard


@pytest.fixture
def short_idle(monkeypatch):
    monkeypatch.setattr(imap, "_IDLE_SECONDS", 1.5)


def test_a_server_that_tells_of_mail_is_believed_at_once():
    told, logins, heard = asyncio.run(idling([b"+ idling\r\n* OK Still here\r\n* 3 EXISTS\r\n"], seconds=3600.0))
    assert (told, logins) == (True, 1)
    assert heard.count(b"DONE\r\n") == 1


def test_idling_ends_and_begins_anew_by_itself(short_idle):
    told, logins, heard = asyncio.run(idling([b"+ idling\r\n* OK Still here\r\n* 1 EXPUNGE\r\n"]))
    assert (told, logins) == (False, 1)
    assert heard.count(b"DONE\r\n") == 1
    assert imap._IDLE_SECONDS < 29 * 60


def test_a_server_that_refuses_what_it_offers_is_asked_now_and_then():
    told, logins, heard = asyncio.run(idling([b"TAG BAD not today\r\n"]))
    assert (told, logins) == (False, 1)
    assert b"DONE\r\n" not in heard


@pytest.mark.parametrize("repeat", [b"* OK Still here\r\n" * 1000, b"x" * 65536])
def test_a_server_that_tells_without_end_is_left(repeat):
    told, logins, _ = asyncio.run(idling([b"+ idling\r\n"], repeat, seconds=0.1))
    assert (told, logins) == (False, 2)
