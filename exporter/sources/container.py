"""What a container runtime makes of the lines that a container prints: Docker's json-file, CRI as kubelet keeps it.

A line that is longer than the runtime's buffer (16 kB) comes in parts, and those of the two streams may be mixed.
The lines come out as they were printed, but that the runtime's time, which has a year, a zone and a fraction, is put
in the place of syslog's.
"""

from __future__ import annotations

import re

import msgspec

from exporter.sources.lines import LINE_BYTES

# Kubernetes' CRI log format: time, stream, F(ull) or P(artial) with other tags behind a colon, text.
_CRI = re.compile(
    rb"(?P<stamp>\d{4}-\d\d-\d\dT\S{8,30}) (?P<stream>stdout|stderr) (?P<tag>[FP])\S* ?(?P<text>.*)", re.DOTALL
)
_STAMP = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_SYSLOG = re.compile(
    rb"(?:<\d{1,3}>)?[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?:\.\d{1,9})? "
    rb"(?=[^\s:]{1,255} [^\s\[\]:()]{1,128}(?:\[\d{1,10}\])?:)"
)


class Record(msgspec.Struct):
    """A line of Docker's json-file."""

    log: str
    stream: str = "stdout"
    time: str = ""


_decode = msgspec.json.Decoder(Record).decode


class Wrapping:
    """Takes off what the runtime put around the lines of one file. `halves` are lines whose ends have not come yet,
    by stream. `skipped_bytes` were of lines too long."""

    def __init__(self, halves: dict[str, bytes] | None = None) -> None:
        self.halves = dict(halves or {})
        self.skipped_bytes = 0

    def unwrap(self, block: bytes) -> bytes:
        """The lines inside of some lines; what is not wrapped stays as it is."""
        return b"".join(map(self._line, block.split(b"\n")[:-1]))

    def _line(self, line: bytes) -> bytes:
        found = _CRI.fullmatch(line)
        if found:
            is_whole = found["tag"] == b"F"
            return self._joined(found["stream"].decode(), found["stamp"], found["text"], is_whole=is_whole)
        try:
            record = _decode(line) if line.startswith(b"{") else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            record = None
        if record is None or record.stream not in ("stdout", "stderr"):
            return line + b"\n"
        text = record.log.encode("utf-8", "surrogateescape")
        stamp = record.time.encode("utf-8", "replace")
        return self._joined(record.stream, stamp, text, is_whole=text.endswith(b"\n"))

    def _joined(self, stream: str, stamp: bytes, text: bytes, *, is_whole: bool) -> bytes:
        whole = self.halves.pop(stream, b"") + text
        if len(whole) > LINE_BYTES:
            self.skipped_bytes += len(whole) - LINE_BYTES
            whole = whole[:LINE_BYTES]
        if not is_whole:
            self.halves[stream] = whole
            return b""
        return stamped(stamp, whole.rstrip(b"\r\n").replace(b"\n", b" "))


def stamped(stamp: bytes, line: bytes) -> bytes:
    """A line of syslog's with the runtime's time, always of the same width; others have a time of their own."""
    syslog, time = _SYSLOG.match(line), _STAMP.fullmatch(stamp)
    if not syslog or not time:
        return line + b"\n"
    seconds, fraction, zone = time.groups()
    return b"%s.%s%s %s\n" % (seconds, (fraction or b"")[:6].ljust(6, b"0"), zone, line[syslog.end() :])
