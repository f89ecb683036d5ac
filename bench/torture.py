"""What the exporter may not do, tried: lose a line, count one twice, show less than before, grow, keep one waiting.

    python -m bench.torture                  all of it, for some twenty minutes
    python -m bench.torture --short          the same on a small scale
    python -m bench.torture rotation scrapes

Exits 1 where something was seen that must not be.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

PATIENCE = 120.0  # seconds
# An address of this host that no other program listens at: the port is free while the exporter is dead.
HOST = "127.{}.{}.{}".format(*(os.getpid() + 65_536).to_bytes(3, "big"))
PACKERS = (("gzip", "gz"), ("bzip2", "bz2"), ("xz", "xz"))
MESSAGE_LINES = 4
LINE_BYTES = 400  # no line is longer
BACKLOGS = (20_000, 40_000, 80_000, 160_000, 320_000)  # messages, which are not read at once
READ_SPEED = 50_000_000  # bytes a second, which the exporter does not reach
START = 1_790_000_000
Samples = dict[str, float]
# What the numbered messages add up to: a line that is lost is not made up for by another that comes twice.
SUMS = (
    "mail_messages_received_total",
    "mail_message_size_bytes_sum",
    "mail_message_recipients_sum",
    "mail_delivery_seconds_sum",
    "mail_deliveries_total",
    "mail_messages_removed_total",
)


def message(number: int, time: int) -> bytes:
    """The four lines of a message. Its number is its size; of its square are its recipients and its delay."""
    square = number * number
    stamp = (
        f"2026-09-{1 + time // 86400 % 28:02}T{time // 3600 % 24:02}:{time // 60 % 60:02}:{time % 60:02}+00:00 mail"
    )
    queue_id = f"4T{number:09X}"
    return (
        f"{stamp} postfix/smtpd[{100 + number % 50}]: {queue_id}: client=client.example.net[192.0.2.7]\n"
        f"{stamp} postfix/qmgr[77]: {queue_id}: from=<a@example.com>, size={number}, "
        f"nrcpt={1 + square % 99_991} (queue active)\n"
        f"{stamp} postfix/smtp[{200 + number % 50}]: {queue_id}: to=<b@example.org>, "
        f"relay=mx.example.org[198.51.100.9]:25, delay={square % 9973}, delays=0/0/0/{square % 9973}, dsn=2.0.0, "
        f"status=sent (250 2.0.0 Ok: queued as {number:X})\n"
        f"{stamp} postfix/qmgr[77]: {queue_id}: removed\n"
    ).encode()


def expected(numbers: range) -> dict[str, float]:
    """The sums of some messages, all of which have been delivered."""
    squares = [number * number for number in numbers]
    return {
        "mail_messages_received_total": len(numbers),
        "mail_message_size_bytes_sum": sum(numbers),
        "mail_message_recipients_sum": sum(1 + square % 99_991 for square in squares),
        "mail_delivery_seconds_sum": sum(square % 9973 for square in squares),
        "mail_deliveries_total": len(numbers),
        "mail_messages_removed_total": len(numbers),
    }


class Writer:
    """Appends numbered messages to a log, as a syslog daemon does, and cuts its writes anywhere."""

    def __init__(self, log: Path, rng: random.Random) -> None:
        self.log = log
        self.rng = rng
        self.messages = 0
        self.written = 0  # bytes
        self._rest = b""
        self._file = log.open("ab", buffering=0)

    def write(self, messages: int, *, is_cut: bool = True) -> None:
        """Some more; where the text is cut, the last may be whole only with the next."""
        start = self.messages + 1
        self.messages += messages
        text = self._rest + b"".join(message(it, START + it // 100) for it in range(start, start + messages))
        cut = self.rng.randrange(len(text) * 9 // 10, len(text) + 1) if is_cut else len(text)
        self._put(text[:cut])
        self._rest = text[cut:]

    def finish(self) -> None:
        """What is left of the last line."""
        self._put(self._rest)
        self._rest = b""

    def close(self) -> None:
        self._file.close()

    def reopen(self) -> None:
        self.close()
        self._file = self.log.open("ab", buffering=0)

    def _put(self, text: bytes) -> None:
        self._file.write(text)
        self.written += len(text)


class Exporter:
    """The process, which is killed and started again; its counters are looked at all the time."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.config = folder / "mailstat.yml"
        self.config.write_text(f"sources: [{{file: {log}}}]\ntimezone: UTC\n")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.took = 0.0  # seconds, for the last answer

    def start(self) -> None:
        arguments = ("--config.file", str(self.config), "--state.dir", str(self.folder / "state"))
        listen = ("--web.listen-address", f"{HOST}:{self.port}")
        command = (sys.executable, "-c", "import sys; from exporter.cli import main; sys.exit(main())")
        with (self.folder / "stderr.txt").open("ab") as log:
            self.process = subprocess.Popen([*command, *arguments, *listen], stderr=log)  # noqa: S603 - our own command

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE) == 0

    def scrape(self, timeout: float = PATIENCE) -> Samples:
        """All samples, by name and labels; OSError where nobody answers."""
        lines = (it.rpartition(" ") for it in self.text(timeout).splitlines() if it and it[0] != "#")
        return {name: float(value) for name, _, value in lines}

    def text(self, timeout: float = PATIENCE) -> str:
        """What /metrics answers."""
        asked = time.monotonic()
        connection = HTTPConnection(HOST, self.port, timeout=timeout)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        finally:
            connection.close()
            self.took = time.monotonic() - asked

    def until(self, is_so: Callable[[Samples], object], every: float = 0.1) -> Samples:
        """The first scrape of which that is so, or the last one after nothing more was read for long: a machine that
        is busy with other work is slow, and loses nothing."""
        end = time.monotonic() + PATIENCE
        found: Samples = {}
        while time.monotonic() < end and not is_so(found):
            time.sleep(every)
            before = total(found, "mailstat_log_lines_total")
            try:
                found = self.scrape()
            except OSError:
                continue
            if total(found, "mailstat_log_lines_total") > before:
                end = time.monotonic() + PATIENCE
        return found


@dataclass
class Watch:
    """Scrapes all the time, and notes each counter that ever shows less than before."""

    exporter: Exporter
    scrapes: int = 0
    fallen: list[str] = field(default_factory=list)

    @contextmanager
    def watching(self) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._watch, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _watch(self, ended: threading.Event) -> None:
        before: Samples = {}
        while not ended.wait(0.02):
            try:
                now = self.exporter.scrape(timeout=5)
            except (OSError, ValueError):  # nobody there, or killed in the middle of an answer
                continue
            except Exception:  # noqa: S112 - half an answer, in any of http.client's words
                continue
            self.scrapes += 1
            counters = {name: value for name, value in now.items() if is_counter(name)}
            self.fallen += [
                f"{name}: {value} after {before[name]}"
                for name, value in counters.items()
                if value < before.get(name, 0)
            ]
            self.fallen += [f"{name}: gone" for name in before.keys() - counters.keys()]
            before = counters


def is_counter(name: str) -> bool:
    """Whether a sample may never fall; what the process tells of itself begins with it."""
    plain = name.partition("{")[0]
    return plain.startswith("mail") and plain.endswith(("_total", "_bucket", "_sum", "_count"))


def total(samples: Samples, name: str) -> float:
    return sum(value for sample, value in samples.items() if sample.partition("{")[0] == name)


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        return int(server.getsockname()[1])


# --- rotations and kills ---


class Rotation:
    """Renames the log as logrotate does, and packs some of what it renamed."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.count = 0
        self.packed = 0

    def rotate(self) -> None:
        self.count += 1
        log, rng = self.writer.log, self.writer.rng
        target = log.with_name(f"{log.name}-202609{self.count:06}")
        log.rename(target)
        self.writer.write(rng.randrange(1, 50))  # the daemon has not been told yet
        self.writer.reopen()
        if rng.random() < 0.5:
            program, form = rng.choice(PACKERS)
            subprocess.run([program, "-1", target], check=True)  # noqa: S603 - one of PACKERS
            self.packed += target.with_name(f"{target.name}.{form}").exists()


def rotation(folder: Path, *, is_short: bool, rng: random.Random) -> list[str]:
    """Renames and kills at random moments: every line is counted once, and no counter falls."""
    rotations, kills = (20, 6) if is_short else (200, 50)
    log = folder / "mail.log"
    writer, exporter = Writer(log, rng), Exporter(folder, log)
    watch, turns = Watch(exporter), Rotation(writer)
    exporter.start()
    exporter.until(lambda it: total(it, "mailstat_log_source_up"))  # what was rotated before that is not ours to read
    with watch.watching():
        for number in range(kills):
            if rng.random() < 0.7:
                exporter.until(lambda it: it)  # else the kill may come before it listens
            end = time.monotonic() + rng.uniform(0.2, 3.0)
            due = (rotations - turns.count) // (kills - number)
            while time.monotonic() < end:
                writer.write(rng.randrange(1, 300))
                time.sleep(0.005)
            for _ in range(rng.randrange(due + 1)):
                writer.write(rng.randrange(1, 300))
                turns.rotate()
            exporter.kill()
            while turns.count < rotations * (number + 1) // kills:
                turns.rotate()
                writer.write(rng.randrange(1, 300))
            exporter.start()
        writer.finish()
        wanted = expected(range(1, writer.messages + 1))
        lines = MESSAGE_LINES * writer.messages
        found = exporter.until(lambda it: total(it, "mailstat_log_lines_total") >= lines)
        time.sleep(1.5)  # what would be counted twice comes late
        found = exporter.scrape()
    exporter.stop()
    writer.close()
    say(f"{lines:,} lines, {turns.count} rotations ({turns.packed} packed), {kills} kills, {watch.scrapes:,} scrapes")
    read = total(found, "mailstat_log_lines_total")
    errors = [f"{lines:,} lines were written, {read:,.0f} counted"] if read != lines else []
    sums = {name: total(found, name) for name in SUMS}
    errors += [f"{name} is {value:,}, not {wanted[name]:,}" for name, value in sums.items() if value != wanted[name]]
    return errors + watch.fallen[:10] + skipped(found, 0)


def skipped(found: Samples, lost: int) -> list[str]:
    count = total(found, "mailstat_log_skipped_bytes_total")
    return [f"{lost:,} bytes were lost, {count:,.0f} counted as skipped"] if count != lost else []


# --- copytruncate ---


def copytruncate(folder: Path, *, is_short: bool, rng: random.Random) -> list[str]:
    """What is written between the copy and the truncation is lost, and the account of it is exact."""
    truncations = 5 if is_short else 20
    log = folder / "mail.log"
    writer, exporter = Writer(log, rng), Exporter(folder, log)
    exporter.start()
    exporter.until(lambda it: it)
    for number in range(truncations):
        writer.write(rng.randrange(1, 400))
        writer.finish()
        if rng.random() < 0.7:
            shutil.copy2(log, log.with_name(f"{log.name}-202609{number:06}"))
        run_ahead(writer, exporter)
        os.truncate(log, 0)
        found = exporter.until(lambda it: total(it, "mailstat_log_truncations_total") > number)  # noqa: B023
    size = log.stat().st_size
    writer.write(10)
    writer.finish()
    found = exporter.until(lambda it: total(it, "mailstat_log_lag_bytes") == 0)
    time.sleep(1)
    found = exporter.scrape()
    exporter.stop()
    writer.close()
    read = total(found, "mailstat_log_read_bytes_total")
    lost = writer.written - round(read)
    say(f"{truncations} truncations, {writer.written:,} bytes written, {read:,.0f} read, {lost:,} lost")
    errors = [] if size == 0 and lost > 0 else ["nothing was lost: nothing was tried"]
    counted = total(found, "mailstat_log_truncations_total")
    errors += [f"{counted:.0f} truncations were counted"] if counted != truncations else []
    return errors + skipped(found, lost)


def run_ahead(writer: Writer, exporter: Exporter) -> None:
    """Write until the exporter knows of more than it reads while it answers: on a slow disk, what it shows is old."""
    for messages in BACKLOGS:
        writer.write(messages, is_cut=False)
        found = exporter.until(lambda it: writer.written - seen(it) < LINE_BYTES, every=0.01)
        if total(found, "mailstat_log_lag_bytes") > READ_SPEED * exporter.took:
            return


def seen(found: Samples) -> float:
    """Bytes that the exporter knows of, but for the line that it has read a part of."""
    return sum(total(found, f"mailstat_log_{it}") for it in ("read_bytes_total", "skipped_bytes_total", "lag_bytes"))


# --- endurance ---


def endurance(folder: Path, *, is_short: bool, rng: random.Random) -> list[str]:
    """20,000 lines a second: memory stays, and the exporter keeps up."""
    seconds = 20 if is_short else 600
    rate = 20_000 // MESSAGE_LINES
    log = folder / "mail.log"
    writer, exporter = Writer(log, rng), Exporter(folder, log)
    turns = Rotation(writer)
    exporter.start()
    exporter.until(lambda it: it)
    memory: list[float] = []
    lags: list[float] = []
    begin = time.monotonic()
    for tick in range(seconds * 10):
        time.sleep(max(0.0, begin + tick / 10 - time.monotonic()))
        writer.write(rate // 10)
        if tick % 300 == 299:
            turns.rotate()
        if tick % 10 == 9:
            written, at = MESSAGE_LINES * writer.messages, time.monotonic()
            exporter.until(lambda it: total(it, "mailstat_log_lines_total") >= written - MESSAGE_LINES * rate)  # noqa: B023
            lags.append(time.monotonic() - at)
            memory.append(resident(exporter) / 1e6)
    behind = time.monotonic() - begin - seconds
    exporter.stop()
    writer.close()
    settled = memory[len(memory) // 4 :]
    spread = max(settled) - min(settled)
    say(
        f"{MESSAGE_LINES * writer.messages:,} lines in {seconds} s (the writer {behind:.1f} s late), at most "
        f"{max(lags):.2f} s until what is a second old was counted, {min(settled):.1f} to {max(settled):.1f} MB"
    )
    errors = [f"memory went from {min(settled):.1f} to {max(settled):.1f} MB"] if spread > 10 else []
    return errors + ([f"a lag of more than {1 + max(lags):.1f} s"] if max(lags) > 1 else [])


def resident(exporter: Exporter) -> int:
    """Bytes of memory of the process."""
    assert exporter.process
    text = Path(f"/proc/{exporter.process.pid}/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


# --- scrapes ---


def scrapes(folder: Path, *, is_short: bool, rng: random.Random) -> list[str]:
    """200 scrapes at once, while 200 clients send a byte now and then, and the log grows."""
    rounds, clients = (3, 50) if is_short else (10, 200)
    log = folder / "mail.log"
    writer, exporter = Writer(log, rng), Exporter(folder, log)
    exporter.start()
    exporter.until(lambda it: it)
    slow = [socket.create_connection((HOST, exporter.port)) for _ in range(clients)]
    times: list[float] = []
    failed: list[str] = []
    for _ in range(rounds):
        writer.write(2_000)
        for client in slow:
            client.send(rng.choice((b"G", b"GET /metrics HT", b"POST / HTTP/1.1\r\nContent-Length: 99\r\nX")))
        threads = [threading.Thread(target=timed, args=(exporter, times, failed)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        slow = [renewed(client, exporter) for client in slow]
    for client in slow:
        client.close()
    exporter.stop()
    writer.close()
    p99 = sorted(times)[int(len(times) * 0.99)] if times else float("inf")
    say(f"{len(times):,} scrapes, {clients} at once beside {clients} slow clients: p99 {p99:.3f} s")
    return failed[:3] + ([f"the 99th percentile is {p99:.2f} s"] if p99 >= 1 else [])


def timed(exporter: Exporter, times: list[float], failed: list[str]) -> None:
    begin = time.monotonic()
    try:
        exporter.text()
    except OSError as error:
        failed.append(f"a scrape was not answered: {error}")
    times.append(time.monotonic() - begin)


def renewed(client: socket.socket, exporter: Exporter) -> socket.socket:
    """The same client, or another where this was sent away."""
    client.close()
    return socket.create_connection((HOST, exporter.port))


SCENES = {it.__name__: it for it in (rotation, copytruncate, endurance, scrapes)}


def say(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


def run(name: str, *, is_short: bool, seed: int) -> list[str]:
    """Play one scene; what went wrong."""
    sys.stdout.write(f"{name} (seed {seed})\n")
    folder = Path(tempfile.mkdtemp(prefix=f"mailstat-{name}-"))
    errors = SCENES[name](folder, is_short=is_short, rng=random.Random(seed))  # noqa: S311 - not for secrets
    if errors:
        say(f"what was written stays in {folder}")
    else:
        shutil.rmtree(folder)
    for error in errors:
        say(f"WRONG: {error}")
    return errors


def main(argv: list[str] | None = None) -> int:
    """Play the scenes. Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    parser.add_argument("--short", action="store_true", help="on a small scale")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1000, help="of all that is random")
    options = parser.parse_args(argv)
    if unknown := set(options.scenes) - SCENES.keys():
        parser.error(f"no such scene: {', '.join(sorted(unknown))}")
    wanted = options.scenes or list(SCENES)
    errors = [error for name in wanted for error in run(name, is_short=options.short, seed=options.seed)]
    return int(bool(errors))


if __name__ == "__main__":
    sys.exit(main())
