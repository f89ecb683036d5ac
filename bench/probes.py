"""What many probes cost, and whether they keep their time: `python -m bench.probes [PROBES] [SECONDS]`.

An exporter of its own, bound to one processor, sends mail over STARTTLS with a login to a server that puts it into a
Maildir, each probe once a minute. Printed are its processor time and memory, how the starts are spread, and how far
any interval between two mails of a probe was from a minute.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
import sys
import tempfile
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from time import monotonic
from urllib.request import urlopen

import trustme

ENDS = 60.0  # seconds between two mails of a probe
GO_ON = {"EHLO": "250-mx\r\n250-STARTTLS\r\n250 AUTH PLAIN", "AUTH": "235 Ok", "DATA": "354 Go on", "QUIT": "221 Bye"}


class Destination:
    """A mail server that takes all, and notes when which probe's mail came."""

    def __init__(self, folder: Path) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self._folder = folder
        self._number = 0
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(self._tls)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session; at the end of the exporter some are broken off."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        recipient = ""
        while line := (await reader.readline()).decode().strip():
            verb = line.partition(" ")[0].partition(":")[0].upper()
            if verb == "RCPT":
                recipient = line
                self.times[recipient].append(monotonic())
            writer.write(f"{GO_ON.get(verb, '220 Go ahead' if verb == 'STARTTLS' else '250 Ok')}\r\n".encode())
            if verb == "STARTTLS":
                await writer.start_tls(self._tls)
            if verb == "DATA":
                self._keep(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 Ok\r\n")
            if verb == "QUIT":
                break

    def _keep(self, mail: bytes) -> None:
        self._number += 1
        fresh = self._folder / "Maildir/tmp" / str(self._number)
        fresh.write_bytes(mail.removesuffix(b".\r\n"))
        fresh.rename(self._folder / "Maildir/new" / str(self._number))


def configuration(folder: Path, probes: int, port: int) -> Path:
    """So many probes that go to one server and arrive in one Maildir."""
    for part in ("new", "cur", "tmp"):
        (folder / "Maildir" / part).mkdir(parents=True)
    (folder / "password").write_text("hunter2-and-more")
    (folder / "mail.log").touch()
    send = {"server": "localhost", "port": port, "family": "ipv4", "ca_file": "ca.pem", "helo": "probe.example.com"}
    send |= {"username": "probe", "password_file": "password", "from": "a@example.com"}
    made = [
        {
            "name": f"probe-{number}",
            "every": "1m",
            "send": send | {"to": f"b{number}@example.net"},
            "arrive": {"maildir": "Maildir"},
        }
        for number in range(probes)
    ]
    path = folder / "mailstat.yml"
    path.write_text(json.dumps({"sources": [{"file": "mail.log"}], "probes": made}))
    return path


def used(pid: int) -> tuple[float, float]:
    """Seconds of a processor, and megabytes at most, of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds, int(status["VmHWM"].split()[0]) / 1024


async def main(probes: int, seconds: float) -> None:
    """Run, and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        destination = Destination(folder)
        server = await asyncio.start_server(destination.talk, "127.0.0.1", 0)
        config = configuration(folder, probes, server.sockets[0].getsockname()[1])
        command = f"--config.file={config}", f"--state.dir={folder}/state", "--web.listen-address=127.0.0.1:9599"
        arguments = ("taskset", "-c", "0", Path(sys.executable).with_name("mailstat_exporter"), *command)
        process = await asyncio.create_subprocess_exec(*arguments, stderr=asyncio.subprocess.DEVNULL)
        try:
            await asyncio.sleep(10)  # the start is no part of it
            before, _ = used(process.pid)
            began = monotonic()
            await asyncio.sleep(seconds)
            after, memory = used(process.pid)
            took = monotonic() - began
            page = await asyncio.to_thread(_scrape)
        finally:
            process.terminate()
            await process.wait()
            server.close()
    _print(destination, probes, (after - before) / took, memory, page)


def _scrape() -> str:
    with urlopen("http://127.0.0.1:9599/metrics", timeout=30) as answer:
        return str(answer.read().decode())


def _print(destination: Destination, probes: int, share: float, memory: float, page: str) -> None:
    intervals = [later - earlier for times in destination.times.values() for earlier, later in pairwise(times)]
    starts = sorted(time for times in destination.times.values() for time in times)
    busiest = max(sum(start <= time < start + 1 for time in starts[at : at + 100]) for at, start in enumerate(starts))
    well = sum(line.startswith("mail_probe_success{") and line.endswith(" 1.0") for line in page.splitlines())
    furthest = max((abs(it - ENDS) for it in intervals), default=float("nan"))
    print(
        f"{probes} probes, {len(starts)} mails, {well} probes succeed; load of the machine {os.getloadavg()[0]:.1f}"
    )
    print(f"{share:.1%} of a processor, {memory:.0f} MB at most")
    print(f"at most {busiest} mails in a second; {len(intervals)} intervals, {furthest:.2f} s at most from a minute")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if sys.argv[1:] else 500, float(sys.argv[2]) if sys.argv[2:] else 200.0))
