"""Syslog's messages out of a stream (RFC 6587), and lines of a log out of these messages."""

from __future__ import annotations

import re

FRAME_BYTES = 1 << 16
COUNT_DIGITS = 7  # of an octet count: a longer number is no count

_COUNT = re.compile(rb"([1-9]\d{0,%d}) " % (COUNT_DIGITS - 1))
_MAY_BE_COUNT = re.compile(rb"[1-9]\d{0,%d}" % (COUNT_DIGITS - 1))
_PRI = re.compile(rb"<\d{1,3}>")
_RFC5424 = re.compile(rb"<\d{1,3}>\d{1,2} \S")
_STAMP = re.compile(
    rb"(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})?"
    rb"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?) "
)
_TAG = re.compile(rb"[^\s:\[\]()]{1,128}(?:\[\d{1,10}\])?:(?= |$)")
_BREAKS = bytes.maketrans(b"\0\r\n", b"   ")


class Frames:
    """The messages of one connection: each with its length before it (octet counting) or a newline behind it.

    The two may be mixed, as RFC 6587 has it: digits and a blank are a length. Of a message that is too long the
    first bytes are delivered; `skipped_bytes` counts the rest.
    """

    def __init__(self, limit: int = FRAME_BYTES) -> None:
        self.skipped_bytes = 0
        self._limit = limit
        self._rest = b""
        self._skip = 0  # bytes of a counted message that are still to come, and too many
        self._is_inside_overlong = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The messages that are whole now."""
        text = self._rest + self._skipped(chunk)
        frames: list[bytes] = []
        place = 0
        while place < len(text):
            end = self._next(text, place, frames)
            if end < 0:
                break
            place = end
        self._rest = text[place:]
        return frames

    def give_up(self) -> None:
        """The connection is gone, and with it the end of a message."""
        self.skipped_bytes += len(self._rest)
        self._rest = b""

    def _next(self, text: bytes, place: int, frames: list[bytes]) -> int:
        """Add the message that begins at a place. Returns where it ends, -1 where that has not come yet."""
        count = _COUNT.match(text, place)
        if count:
            return self._counted(text, count.end(), int(count[1]), frames)
        if len(text) - place <= COUNT_DIGITS and _MAY_BE_COUNT.fullmatch(text, place):
            return -1
        end = text.find(b"\n", place)
        if end < 0 and len(text) - place <= self._limit:
            return -1
        whole = end if end >= 0 else len(text)
        self._is_inside_overlong = end < 0
        self._add(text[place : min(whole, place + self._limit)], frames)
        self.skipped_bytes += max(0, whole - place - self._limit)
        return whole + (end >= 0)

    def _counted(self, text: bytes, start: int, length: int, frames: list[bytes]) -> int:
        end = start + min(length, self._limit)
        if len(text) < end:
            return -1
        self._add(text[start:end], frames)
        over = start + length - end
        passed = min(over, len(text) - end)
        self.skipped_bytes += passed
        self._skip = over - passed
        return end + passed

    @staticmethod
    def _add(frame: bytes, frames: list[bytes]) -> None:
        if frame.strip(b"\0\r\n "):
            frames.append(frame)

    def _skipped(self, chunk: bytes) -> bytes:
        """What comes behind the rest of a message that was too long."""
        if self._skip:
            passed = min(self._skip, len(chunk))
            self._skip -= passed
            self.skipped_bytes += passed
            return chunk[passed:]
        if self._is_inside_overlong:
            skipped, newline, chunk = chunk.partition(b"\n")
            self.skipped_bytes += len(skipped)
            self._is_inside_overlong = not newline
        return chunk


def line_of(frame: bytes, host: bytes, stamp: bytes) -> bytes:
    """A message as a line of a log.

    One of RFC 5424 stays as it is. Of the others, which have what their sender likes, the priority is taken off;
    `stamp` and `host` stand where the message has none (RFC 3164, 4.3), as those have none that syslog(3) sends.
    """
    text = frame.translate(_BREAKS).rstrip(b" ")
    if _RFC5424.match(text):
        return text + b"\n"
    priority = _PRI.match(text)
    text = text[priority.end() :] if priority else text
    found = _STAMP.match(text)
    rest = text[found.end() :] if found else text
    before = found[0] if found else stamp + b" "
    return b"".join((before, host + b" " if _TAG.match(rest) else b"", rest, b"\n"))
