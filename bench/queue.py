"""How long a scan of a long queue takes, and how much memory: `python -m bench.queue [MESSAGES]`.

A socket plays showq, as fast as it is read: each message has a recipient whose reason is its own.
"""

from __future__ import annotations

import resource
import socket
import sys
import tempfile
from pathlib import Path
from threading import Thread
from time import process_time, time

from exporter.queues.entry import Place
from exporter.queues.scan import scan

DOMAINS = ("gmail.com", "example.org", "outlook.com", "example.net")


def message(number: int, now: int) -> bytes:
    """The attributes of one message."""
    domain = DOMAINS[number % len(DOMAINS)]
    text = f"host mx.{domain}[192.0.2.{number % 250}] said: 452 4.2.2 mailbox full {number:x} (in reply to RCPT TO)"
    fields = [
        "queue_name",
        "deferred",
        "queue_id",
        f"{number:X}",
        "time",
        str(now - number % 400_000),
        "size",
        "4096",
    ]
    fields += ["forced_expire", "0", "sender", "ann@example.com"]
    fields += ["recipient", f"user{number}@{domain}", "reason", text, "", ""]
    return "\0".join(fields).encode()


def play(listener: socket.socket, messages: int) -> None:
    """Answer one question."""
    peer, _ = listener.accept()
    now = int(time())
    with peer:
        peer.sendall(b"protocol\0mail_queue_list_protocol\0\0")
        for start in range(0, messages, 1000):
            peer.sendall(b"".join(message(number, now) for number in range(start, min(start + 1000, messages))))
        peer.sendall(b"\0")


def main(messages: int) -> None:
    """Scan, and print what it took."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "showq"
        listener.bind(str(path))
        listener.listen()
        player = Thread(target=play, args=(listener, messages), daemon=True)
        player.start()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = process_time()
        found = scan(Place("postfix", Path(folder), "postfix", str(path)), seconds=3600)
        seen = found.backlog.messages if found.backlog else 0
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{seen} messages, {found.duration:.1f} s, {process_time() - began:.1f} s of processor (the player's too),")
    print(f"{(after - before) / 1024:.1f} MiB more memory, {found.error or 'whole'}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
