"""A mailbox that is hostile: whatever it answers, a look ends, and little is kept."""

from __future__ import annotations

import asyncio
import os

import pytest

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
