"""What the receiver saw of a mail that arrived: read from its header section alone, never more than so much of it.

Pure: bytes in, facts out. The mail is as hostile as any, so everything is bounded and cut, nothing is decoded that is
in the body, and the words that may become labels are of closed sets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from itertools import accumulate
from typing import NamedTuple

from exporter.probes.arrival import RAW_LIMIT

HEADER_LIMIT = 1 << 16  # bytes of the header section that are looked at
_FIELD_LIMIT = 8192  # characters of one field
_FIELDS = 500
_AUTHENTICATIONS = 20  # fields of one kind that are looked at
_HOPS = 30
_SIGNATURES = 8
_RUN_LIMIT = 256  # of white space in a mail whose signature is verified
_SECOND = 1.0  # what two clocks of whole seconds may differ by
_EPOCHS = (1e9, 4.2e9)  # times that a mail may have: 2001 to 2103

CHECKS = ("spf", "dkim", "dmarc", "arc")
RESULTS = frozenset(
    "pass fail softfail neutral none temperror permerror policy bestguesspass".split()
)  # RFC 8601 2.7
OTHER = "other"

_NAME = re.compile(r"[!-9;-~]{1,100}")
_RESULT = re.compile(r"\s{0,9}([A-Za-z][A-Za-z0-9-]{0,30})(?:/[0-9]{1,3})?\s{0,9}=\s{0,9}([A-Za-z]{1,20})")
_IDENTITY = re.compile(r"\bheader\.(?:d|i)\s{0,9}=\s{0,9}(?:[^\s@;]{0,64}@)?([A-Za-z0-9_.-]{1,253})", re.ASCII)
_TLS = re.compile(r"\b(?:TLS ?v?(1)(?:[._]([0-3]))?|SSLv(3))(?![\w.-])", re.IGNORECASE)
_PROTOCOL = re.compile(r"\swith\s{1,9}([A-Za-z0-9-]{1,20})")
_TAG = {tag: re.compile(rf"(?:^|;)\s{{0,9}}{tag}\s{{0,9}}=\s{{0,9}}([A-Za-z0-9_.-]{{1,253}})") for tag in "ds"}
_WHITE = bytes.maketrans(b"\t\r\n", b"   ")

Field = tuple[str, str]
"""Name in small letters, and value unfolded."""

Txt = Callable[[str], str | None]
"""The TXT record of a name, None where there is none."""


class Hop(NamedTuple):
    """A server on the way. `seconds` since the one before by clocks set right as far as can be told; `skew` is by how
    much its clock is ahead (behind: less than 0), in seconds. `tls` is the version it was handed over with, `unknown`
    where only that there was TLS is told, and empty where there was none."""

    seconds: float | None
    skew: float
    tls: str


class Spam(NamedTuple):
    """What the receiver's filter said: a score of its own scale, and whether it called the mail spam."""

    score: float | None
    is_flagged: bool | None


class Signature(NamedTuple):
    """Who says to have signed the mail (RFC 6376): domain and selector."""

    domain: str
    selector: str


class Placement(NamedTuple):
    """What is known of a mail that arrived. `results` by check, as in RFC 8601; the first of `hops` is the first."""

    results: dict[str, str]
    spam: Spam
    hops: tuple[Hop, ...]
    signatures: tuple[Signature, ...]


def look(raw: bytes, authserv_id: str | None = None, arrived: float | None = None, domain: str = "") -> Placement:
    """What the receiver saw. `authserv_id` is who is believed; without it, whoever wrote the topmost results.
    `arrived` is in seconds since the epoch; of several DKIM results that of `domain` is the one."""
    known = fields(raw)
    return Placement(
        authentication(known, authserv_id, domain),
        spam(known),
        tuple(hops(known, arrived)),
        tuple(dict.fromkeys(signatures(known)))[:_SIGNATURES],
    )


def fields(raw: bytes) -> list[Field]:
    """The fields of the header section, from the top; what is no field is passed over."""
    found: list[tuple[str, list[str]]] = []
    for line in raw[:HEADER_LIMIT].split(b"\n"):
        text = line.removesuffix(b"\r").decode("utf-8", "replace")
        if not text:
            break
        name, colon, value = text.partition(":")
        if text[0] in " \t":
            if found:
                found[-1][1].append(text)
        elif colon and _NAME.fullmatch(name.rstrip()):
            if len(found) == _FIELDS:
                break
            found.append((name.rstrip().lower(), [value]))
    return [(name, "".join(parts)[:_FIELD_LIMIT]) for name, parts in found]


def named(known: Iterable[Field], name: str) -> Iterator[str]:
    """The values of the fields of this name, from the top."""
    return (value for field, value in known if field == name)


# --- Authentication-Results (RFC 8601) ---


class _Result(NamedTuple):
    check: str
    result: str
    domain: str


def authentication(known: Iterable[Field], authserv_id: str | None, domain: str = "") -> dict[str, str]:
    """The result of each check, of the trusted server alone."""
    read = [_results(value) for value in [*named(known, "authentication-results")][:_AUTHENTICATIONS]]
    trusted = authserv_id.lower() if authserv_id is not None else (read[0][0] if read else "")
    own = [result for server, results in read if server == trusted for result in results]
    return {check: best.result for check in CHECKS if (best := _best(own, check, domain.lower()))}


def _best(results: Iterable[_Result], check: str, domain: str) -> _Result | None:
    """Of several, that of our domain, else the one that passed."""
    mine = [result for result in results if result.check == check]
    mine.sort(key=lambda it: (not (domain and it.domain == domain), it.result != "pass"))
    return mine[0] if mine else None


def _results(value: str) -> tuple[str, list[_Result]]:
    """Who says it, in small letters, and what. Exchange Online names nobody."""
    first, *rest = _parts(value)
    words = first.split()
    if _RESULT.match(first):
        words, rest = [], [first, *rest]
    results = [_result(match, part) for part in rest if (match := _RESULT.match(part))]
    return (words[0].strip('"').lower() if words else ""), results


def _result(match: re.Match[str], part: str) -> _Result:
    result = match[2].lower()
    identity = _IDENTITY.search(part)
    return _Result(match[1].lower(), result if result in RESULTS else OTHER, identity[1].lower() if identity else "")


def _parts(value: str) -> list[str]:
    """What stands between semicolons, comments left out: they may nest, and hold semicolons."""
    parts = [""]
    depth, is_quoted, is_escaped = 0, False, False
    for char in value:
        if is_escaped:
            is_escaped = False
            char = "_"  # noqa: PLW2901 - whatever it is, it means nothing
        elif char == "\\":
            is_escaped = True
            continue
        elif char == '"' and not depth:
            is_quoted = not is_quoted
        elif not is_quoted and char in "()":
            depth = max(depth + (1 if char == "(" else -1), 0)
            char = " "  # noqa: PLW2901 - a comment is white space
        elif char == ";" and not depth and not is_quoted:
            parts.append("")
            continue
        if not depth:
            parts[-1] += char
    return parts


# --- spam filters ---

# Field, the pattern of its score, and the one that says that the mail is spam. The filters' own documentation:
# SpamAssassin, rspamd, Exchange ("Anti-spam message headers"), SES, Proofpoint.
_NUMBER = r"(?<![0-9.])(-?[0-9]{1,5}(?:\.[0-9]{1,6})?)(?![0-9])"
_FILTERS: tuple[tuple[str, str | None, str | None], ...] = (
    ("x-spam-status", rf"\bscore={_NUMBER}", r"\s{0,9}yes\b"),
    ("x-spamd-result", rf"\[{_NUMBER} /", r"[^;]{0,40}: true\b"),
    ("x-rspamd-score", rf"\s{{0,9}}{_NUMBER}", None),
    ("x-spam-score", rf"\s{{0,9}}{_NUMBER}", None),
    ("x-ms-exchange-organization-scl", rf"\s{{0,9}}{_NUMBER}", r"\s{0,9}[5-9]\s{0,9}$"),
    ("x-forefront-antispam-report", rf"\bSCL:{_NUMBER}", r".{0,4000}\b(?:SFV:SPM|SCL:[5-9])\b"),
    ("x-proofpoint-spam-details", rf"\bscore={_NUMBER}", r".{0,4000}\bclassifier=spam\b"),
    ("x-spam-flag", None, r"\s{0,9}yes\b"),
    ("x-spam", None, r"\s{0,9}yes\b"),
    ("x-ses-spam-verdict", None, r"\s{0,9}fail\b"),
)
_PATTERNS = [
    (field, re.compile(score or r"(?!)", re.IGNORECASE), re.compile(flag or r"(?!)", re.IGNORECASE), flag is not None)
    for field, score, flag in _FILTERS
]


def spam(known: Sequence[Field]) -> Spam:
    """What the filter said: the topmost field of each kind, the first score of the table."""
    score: float | None = None
    flags: list[bool] = []
    for field, scored, flagged, is_telling in _PATTERNS:
        value = next(named(known, field), None)
        if value is None:
            continue
        if is_telling:
            flags.append(bool(flagged.match(value)))
        if score is None and (match := scored.search(value)):
            score = float(match[1])
    return Spam(score, any(flags) if flags else None)


# --- Received (RFC 5321 4.4, RFC 3848) ---


def hops(known: Sequence[Field], arrived: float | None = None) -> Iterator[Hop]:
    """The servers that the mail came by, the first first."""
    values = [*named(known, "received")][:_HOPS][::-1]
    told = [_time(value) for value in values]
    sent = _time(";" + next(named(known, "date"), ""))
    right = _set_right([time for time in told if time is not None], sent, arrived)
    times = [next(right) if time is not None else None for time in told]
    before = sent
    for value, time, true in zip(values, told, times, strict=True):
        seconds = max(true - before, 0.0) if true is not None and before is not None else None
        skew = time - true if time is not None and true is not None else 0.0
        yield Hop(seconds, skew if abs(skew) > _SECOND else 0.0, _tls(value))
        before = true if true is not None else before


def _set_right(times: list[float], sent: float | None, arrived: float | None) -> Iterator[float]:
    """Times that never go back: none before the mail was sent, none after it was with a later server."""
    after_sending = [max(time, sent) if sent is not None else time for time in times]
    limits = accumulate([arrived or float("inf"), *reversed(after_sending)], min)
    yield from reversed([*limits][1:])


def _time(value: str) -> float | None:
    """The time that a field ends with, in seconds since the epoch."""
    try:
        time = parsedate_to_datetime(value.rpartition(";")[2][:100].strip()).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return time if _EPOCHS[0] < time < _EPOCHS[1] else None


def _tls(value: str) -> str:
    if match := _TLS.search(value):
        return "SSLv3" if match[3] else f"TLSv1{'.' + match[2] if match[2] and match[2] != '0' else ''}"
    # RFC 3848: an S after ESMTP or LMTP is for TLS, an A after it for authentication.
    protocol = _PROTOCOL.search(value)
    is_secure = protocol and re.fullmatch(r"(?:UTF8)?(?:ESMTP|LMTP|SMTP)SA?", protocol[1].upper())
    return "unknown" if is_secure else ""


# --- DKIM-Signature (RFC 6376) ---


def signatures(known: Iterable[Field]) -> Iterator[Signature]:
    """Who says to have signed."""
    for value in named(known, "dkim-signature"):
        domain, selector = _TAG["d"].search(value), _TAG["s"].search(value)
        if domain and selector:
            yield Signature(domain[1].lower(), selector[1].lower())


def verify(raw: bytes, domain: str, txt: Txt) -> str:
    """Whether the signature of this domain is good: `pass`, `fail`, `none` where there is none, `temperror` where
    `txt` raises OSError, and `unknown` where the mail is none that a library should be given. Needs the extra
    `mailstat[dkim]`."""
    import dkim  # noqa: PLC0415 - an extra

    kept, own = _with_one_signature(raw, domain.lower())
    if not own:
        return "none"
    if len(raw) >= RAW_LIMIT or _is_stuffed(kept):
        return "unknown"

    def answer(name: bytes, timeout: float = 5) -> bytes | None:  # noqa: ARG001 - as the library calls it
        record = txt(name.decode("ascii", "replace").rstrip("."))
        return record.encode("ascii", "replace") if record is not None else None

    try:
        return "pass" if dkim.DKIM(kept).verify(dnsfunc=answer) else "fail"
    except OSError:
        return "temperror"
    except (dkim.DKIMException, ValueError, LookupError, TypeError):
        return "fail"


def _with_one_signature(raw: bytes, domain: str) -> tuple[bytes, bool]:
    """The mail with only the topmost signature of this domain, and whether it has one."""
    parts = re.split(rb"(?m)^(?=[!-9;-~])", raw[:HEADER_LIMIT])
    kept, has_own, size = [], False, 0
    for part in parts:
        size += len(part)
        is_signature = part[:15].lower() == b"dkim-signature:"
        is_own = is_signature and not has_own and any(it.domain == domain for it in signatures(fields(part)))
        has_own |= is_own
        if not is_signature or is_own:
            kept.append(part)
        if re.search(rb"\n\r?\n", part):
            break
    return b"".join(kept) + raw[size:], has_own


def _is_stuffed(raw: bytes) -> bool:
    """Whether there is so much white space in a row that expressions of the library would take long over it."""
    return b" " * _RUN_LIMIT in raw.translate(_WHITE)
