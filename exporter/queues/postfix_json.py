"""Postfix' queue as `postqueue -j` tells it, one JSON object a line (postqueue(1), Postfix 3.1 and later).

The command has the rights that the exporter lacks, where `authorized_mailq_users` lets everybody ask.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import msgspec

from exporter.queues.entry import LONGEST_REASON, MOST_RECIPIENTS, Entry, QueueError, Recipient

LONGEST = 1 << 22  # bytes of a line


class _Recipient(msgspec.Struct):
    address: str
    delay_reason: str = ""


class _Message(msgspec.Struct):
    queue_name: str
    queue_id: str
    arrival_time: int
    message_size: int
    sender: str = ""
    recipients: list[_Recipient] = []


_DECODER = msgspec.json.Decoder(_Message)


def entries(config_dir: Path | None) -> Iterator[Entry]:
    """The messages in the queue of the instance that has its main.cf there. Raises QueueError, OSError."""
    command = ["postqueue", *(["-c", str(config_dir)] if config_dir else []), "-j"]
    with subprocess.Popen(  # noqa: S603 - our own words, and the operator's path
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        if run.stdout is None or run.stderr is None:
            raise AssertionError("both were asked for")
        try:
            yield from read(iter(partial(run.stdout.readline, LONGEST), b""))
            why = run.stderr.read(LONGEST_REASON).decode("utf-8", "replace").strip()
        except BaseException:
            run.terminate()
            raise
    if run.returncode:
        raise QueueError(why or f"postqueue ended with status {run.returncode}")


def read(lines: Iterable[bytes]) -> Iterator[Entry]:
    """The messages of these lines. Raises QueueError where one is something else."""
    for line in lines:
        try:
            yield _entry(_DECODER.decode(line))
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError):
            raise QueueError("a line of postqueue -j is not understood") from None


def _entry(of: _Message) -> Entry:
    kept = (Recipient(to.address, to.delay_reason[:LONGEST_REASON]) for to in of.recipients[:MOST_RECIPIENTS])
    return Entry(of.queue_id, of.queue_name, of.message_size, of.arrival_time, of.sender, tuple(kept))
