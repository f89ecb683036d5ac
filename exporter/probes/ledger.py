"""What became of each mail of a probe, written down before it is acted on: a kill at any moment loses nothing.

A mail is `sending` before its first byte goes out, then `sent` or `failed`; it `arrived`, or it is `lost` when its
time is over, and may arrive after all. Each count changes in the transaction that changes the mail's state: so no
mail is counted twice, and none as lost that had arrived.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from exporter.state import made, set_aside

logger = logging.getLogger(__name__)

RESULTS = ("sent", "send_failed", "arrived", "late", "lost", "found", "duplicate", "spam_folder")
"""What is counted. Every arrival is `arrived`, also a `late` one; `found` was counted as lost before."""

_KEEP_SECONDS = 7 * 86400  # that a mail is known: one that arrives later is nobody's
_KEEP_MAILS = 200_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS mail (
  id TEXT PRIMARY KEY, probe TEXT NOT NULL, recipient TEXT NOT NULL, started REAL NOT NULL,
  state TEXT NOT NULL, arrived REAL) STRICT;
CREATE INDEX IF NOT EXISTS mail_by_probe ON mail (probe, state, started);
CREATE INDEX IF NOT EXISTS mail_by_time ON mail (started);
CREATE TABLE IF NOT EXISTS copy (id TEXT NOT NULL, place TEXT NOT NULL, PRIMARY KEY (id, place)) STRICT;
CREATE TABLE IF NOT EXISTS count (
  probe TEXT NOT NULL, result TEXT NOT NULL, mails INTEGER NOT NULL, PRIMARY KEY (probe, result)) STRICT;
CREATE TABLE IF NOT EXISTS success (probe TEXT PRIMARY KEY, time REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS whereabouts (
  id TEXT PRIMARY KEY, reason TEXT NOT NULL, text TEXT NOT NULL, reply_code INTEGER, queue_id TEXT) STRICT;
CREATE TABLE IF NOT EXISTS request (recipient TEXT NOT NULL, time REAL NOT NULL) STRICT;
"""


class Arrival(Enum):
    """What a mail in a mailbox is to us."""

    FIRST = "first"
    SEEN = "seen"  # the same copy as before
    DUPLICATE = "duplicate"
    UNKNOWN = "unknown"  # ours by its token, and too old to be known


class Waiting(NamedTuple):
    """A mail that has not arrived yet; `started` in seconds since the epoch."""

    id: str
    started: float


class Where(NamedTuple):
    """Where a mail was seen last, as our own log tells: a reason for a label, and words; `queue_id` while it waits in
    our queue."""

    reason: str
    text: str
    reply_code: int | None = None
    queue_id: str | None = None


class Ledger:
    """The ledger in this file; in memory without one. A file that is damaged is set aside. Raises sqlite3.Error and
    OSError."""

    def __init__(self, path: Path | None) -> None:
        try:
            self._base = _opened(path)
        except sqlite3.DatabaseError as error:
            if path is None or isinstance(error, sqlite3.OperationalError):
                raise
            set_aside(path, str(error))
            self._base = _opened(path)

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def resume(self) -> None:
        """After a start: nobody knows of a mail that was being sent whether it was."""
        self._base.execute("UPDATE mail SET state = 'unknown' WHERE state = 'sending'")

    def begin(self, mail_id: str, probe: str, recipient: str, now: float) -> None:
        """This mail is going to be sent."""
        self._base.execute(
            "INSERT INTO mail VALUES (?, ?, ?, ?, 'sending', NULL)", (mail_id, probe, recipient.lower(), now)
        )

    def settle(self, mail_id: str, *, is_sent: bool) -> None:
        """The server took it, or it did not say that it did."""
        with self._transaction():
            probe = self._move(mail_id, "sending", "sent" if is_sent else "failed")
            if probe is not None:
                self._count(probe, "sent" if is_sent else "send_failed")

    def abandon(self, mail_id: str) -> None:
        """Its sending was broken off, so that nobody knows whether it was."""
        self._move(mail_id, "sending", "unknown")

    def failed_before(self, probe: str) -> None:
        """No mail came to be: the dialogue failed before there was one."""
        self._count(probe, "send_failed")

    def arrive(
        self, mail_id: str, place: str, arrived: float, late_after: float, *, is_junk: bool = False
    ) -> Arrival:
        """A copy of this mail is at this place."""
        with self._transaction():
            row = self._base.execute("SELECT probe, state, started FROM mail WHERE id = ?", (mail_id,)).fetchone()
            if row is None:
                return Arrival.UNKNOWN
            probe, state, started = row
            copies = self._base.execute("INSERT OR IGNORE INTO copy VALUES (?, ?)", (mail_id, place)).rowcount
            if not copies:
                return Arrival.SEEN
            if state == "arrived":
                self._count(probe, "duplicate")
                return Arrival.DUPLICATE
            self._base.execute("UPDATE mail SET state = 'arrived', arrived = ? WHERE id = ?", (arrived, mail_id))
            self._base.execute("DELETE FROM whereabouts WHERE id = ?", (mail_id,))
            for result in _results(state, is_late=arrived - started > late_after, is_junk=is_junk):
                self._count(probe, result)
            return Arrival.FIRST

    def lose(self, probe: str, before: float) -> list[str]:
        """Those that were sent before this time and have not arrived are lost now; their ids."""
        with self._transaction():
            rows = self._base.execute(
                "SELECT id, state FROM mail WHERE probe = ? AND state IN ('sent', 'unknown') AND started < ?",
                (probe, before),
            ).fetchall()
            for mail_id, state in rows:
                # Of an unknown one nobody knows that it was ever sent: that it did not arrive is no loss.
                self._move(mail_id, state, "lost" if state == "sent" else "failed")
                self._count(probe, "lost" if state == "sent" else "send_failed")
        return [mail_id for mail_id, state in rows if state == "sent"]

    def pending(self, probe: str) -> int:
        """How many mails have not arrived and are not lost yet."""
        (mails,) = self._base.execute(
            "SELECT count(*) FROM mail WHERE probe = ? AND state IN ('sent', 'unknown')", (probe,)
        ).fetchone()
        return int(mails)

    def oldest(self, probe: str) -> Waiting | None:
        """The one of them that has been waiting longest."""
        row = self._base.execute(
            "SELECT id, started FROM mail WHERE probe = ? AND state IN ('sent', 'unknown') ORDER BY started LIMIT 1",
            (probe,),
        ).fetchone()
        return Waiting(*row) if row else None

    def locate(self, mail_id: str, where: Where) -> None:
        """A mail is there now; of one that has arrived that is not written down."""
        self._base.execute(
            "INSERT OR REPLACE INTO whereabouts SELECT id, ?, ?, ?, ? FROM mail WHERE id = ? AND state != 'arrived'",
            (*where, mail_id),
        )

    def where(self, mail_id: str) -> Where | None:
        """Where a mail was seen last."""
        row = self._base.execute(
            "SELECT reason, text, reply_code, queue_id FROM whereabouts WHERE id = ?", (mail_id,)
        ).fetchone()
        return Where(*row) if row else None

    def queued(self) -> list[tuple[str, str, str]]:
        """The mails that were seen last in our queue: what they are called there, their ids and probes."""
        return self._base.execute(
            "SELECT queue_id, id, probe FROM whereabouts JOIN mail USING (id)"
            " WHERE queue_id IS NOT NULL AND state != 'arrived' ORDER BY started"
        ).fetchall()

    def probe_of(self, mail_id: str) -> tuple[str, float] | None:
        """The probe of a mail and when it started."""
        row = self._base.execute("SELECT probe, started FROM mail WHERE id = ?", (mail_id,)).fetchone()
        return (str(row[0]), float(row[1])) if row else None

    def counts(self, probe: str) -> dict[str, int]:
        """How many mails had which result, since ever."""
        rows = self._base.execute("SELECT result, mails FROM count WHERE probe = ?", (probe,))
        return dict.fromkeys(RESULTS, 0) | dict(rows.fetchall())

    def succeeded(self, probe: str, time: float) -> None:
        """The probe was a success at this time."""
        self._base.execute("INSERT OR REPLACE INTO success VALUES (?, ?)", (probe, time))

    def last_success(self, probe: str) -> float | None:
        """When the probe was a success the last time."""
        row = self._base.execute("SELECT time FROM success WHERE probe = ?", (probe,)).fetchone()
        return float(row[0]) if row else None

    def last_settled(self, probe: str) -> tuple[str, str] | None:
        """The newest mail of which it is known what became of it, and that: arrived, lost or failed."""
        row = self._base.execute(
            "SELECT id, state FROM mail WHERE probe = ? AND state IN ('arrived', 'lost', 'failed')"
            " ORDER BY started DESC LIMIT 1",
            (probe,),
        ).fetchone()
        return (str(row[0]), str(row[1])) if row else None

    def request(self, recipient: str, time: float) -> None:
        """A mail that somebody asked for went to this recipient; no more is known of it."""
        self._base.execute("INSERT INTO request VALUES (?, ?)", (recipient.lower(), time))

    def since(self, time: float) -> Iterator[tuple[str, float]]:
        """The recipients of all mails since this time, and when these started."""
        yield from self._base.execute(
            "SELECT recipient, started FROM mail WHERE started > ?"
            " UNION ALL SELECT recipient, time FROM request WHERE time > ? ORDER BY 2",
            (time, time),
        )

    def prune(self, now: float) -> None:
        """Forget what is old."""
        with self._transaction():
            self._base.execute("DELETE FROM mail WHERE started < ?", (now - _KEEP_SECONDS,))
            self._base.execute(
                "DELETE FROM mail WHERE started <= (SELECT started FROM mail ORDER BY started DESC LIMIT 1 OFFSET ?)"
                " AND state IN ('arrived', 'lost', 'failed')",  # what is awaited is not forgotten silently
                (_KEEP_MAILS,),
            )
            self._base.execute("DELETE FROM copy WHERE id NOT IN (SELECT id FROM mail)")
            self._base.execute("DELETE FROM whereabouts WHERE id NOT IN (SELECT id FROM mail)")
            self._base.execute("DELETE FROM request WHERE time < ?", (now - 3600,))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._base)

    def _move(self, mail_id: str, before: str, after: str) -> str | None:
        """The probe of the mail, if it was in that state before."""
        row = self._base.execute(
            "UPDATE mail SET state = ? WHERE id = ? AND state = ? RETURNING probe", (after, mail_id, before)
        ).fetchone()
        return str(row[0]) if row else None

    def _count(self, probe: str, result: str) -> None:
        self._base.execute(
            "INSERT INTO count VALUES (?, ?, 1) ON CONFLICT (probe, result) DO UPDATE SET mails = mails + 1",
            (probe, result),
        )


def _opened(path: Path | None) -> sqlite3.Connection:
    if path:
        made(path)
    base = sqlite3.connect(path or ":memory:", isolation_level=None)
    try:
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        base.executescript(_SCHEMA)
        (found,) = base.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(str(found).splitlines()[-1])
    except sqlite3.Error:
        base.close()
        raise
    return base


class _Transaction:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def __enter__(self) -> None:
        self._base.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._base.execute("COMMIT")
        finally:
            if self._base.in_transaction:  # a full disk may have ended it already
                with suppress(sqlite3.Error):
                    self._base.execute("ROLLBACK")


def _results(state: str, *, is_late: bool, is_junk: bool) -> Iterator[str]:
    """What the first arrival of a mail in this state counts as."""
    if state in ("sending", "unknown"):
        yield "sent"  # its arrival tells
    yield "arrived"
    if is_late:
        yield "late"
    if state == "lost":
        yield "found"
    if is_junk:
        yield "spam_folder"
