"""The fields that Exim's lines share: hosts, TLS, addresses, times (add_host_info_for_log() in src/smtp_in.c and
d_hostlog(), d_tlslog(), string_log_address() in src/deliver.c).

A line goes on, after its flag and its address, with ` KEY=value` in an order that depends on the release and on
`log_selector`. What a client or a server said stands in double quotes, with a backslash before quotes of its own.
"""

from __future__ import annotations

import re
from math import inf
from typing import NamedTuple

from parsers.memo import Memo
from parsers.provider import provider_of_relay
from parsers.reply import valid_dsn

NULL_SENDER = "<>"
# Of 6-6-2 characters, and of 6-11-4 since 4.97.
is_id = re.compile(r"[0-9A-Za-z]{6}-(?:[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9A-Za-z]{8,11}-[0-9A-Za-z]{4})").fullmatch
QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\Z)'
_BARE = r"[^ :]*+(?::(?! |\Z)[^ :]*+)*"
_HOST = rf"(?<= H=)[^ \[(]*+(?: DS)? ?(?:\(.{{0,300}}?\) )?\[[^\]]*+\]{_BARE}"
_USER = r"(?<= U=).{1,64}?(?= P=)"
# A shadow transport says behind its name why it failed.
_SHADOW = rf"(?<= ST=){_BARE} \(.{{0,300}}?\)(?= |\Z)"
_PAIR = rf" ([A-Za-z]\w{{0,7}}\*?)=({_HOST}|{_USER}|{_SHADOW}|{QUOTED}|<[^>]*+>|{_BARE})"
# What stands there without a key: pipelining, chunking, PRDR, … (`log_selector` and the release decide).
_FLAG = r" [A-Z][A-Z0-9_]{0,15}[*.-]{0,2}(?=[ :]|\Z)"
REGION = re.compile(rf"(?:{_PAIR}|{_FLAG})*").match
PAIRS = re.compile(_PAIR).findall
_ESCAPE = re.compile(r"\\(.)")


def read_fields(text: str, start: int) -> tuple[dict[str, str], int]:
    """The fields from a place in a line on, the first of each name, and where they end."""
    end = REGION(text, start).end()  # type: ignore[union-attr]  # it matches nothing as well
    found = PAIRS(text, start, end)
    found.reverse()
    return dict(found), end


def unquote(text: str) -> str:
    """A value without the quotes that hold it, where they do."""
    return unescape(text[1:].removesuffix('"')) if text[:1] == '"' else text


def unescape(text: str) -> str:
    """What stood in quotes, without the backslashes that it was written with."""
    return _ESCAPE.sub(r"\1", text) if "\\" in text else text


# --- who is at the other end ---


class Client(NamedTuple):
    """Who gives us a message: name (where the address has one that leads back to it), address, and HELO."""

    name: str | None
    ip: str | None
    helo: str | None


# HELO may hold brackets of its own, where `helo_accept_junk_hosts` lets it: the address is behind the last.
_CLIENT = re.compile(
    r"(?:H=)?(?P<name>[^ \[(]++)?(?: ?\((?P<helo>.*)\))?(?: ?\[(?P<ip>[^\]]*+)\]|\Z)", re.DOTALL
).match
LONGEST = 700  # characters of what stands for a client


def read_client(text: str | None) -> Client:
    """`name (helo) [address]:port`, where each may be missing."""
    found = _CLIENT(text[:LONGEST]) if text else None
    return Client(found["name"], found["ip"] or None, found["helo"]) if found else NOBODY


NOBODY = Client(None, None, None)
CLIENTS: Memo[str | None, Client] = Memo(read_client)


class Relay(NamedTuple):
    """Where a message was given or offered. `is_reused` where the connection was open from another message."""

    host: str | None
    ip: str | None
    port: int | None
    provider: str | None
    is_reused: bool


_RELAY = re.compile(
    r"(?:H=)?(?P<host>[^ \[]*+)(?: DS)?(?: \([^)]*+\))? ?"
    r"(?:\[(?P<ip>[^\]:]*+[^\]]*+)(?:\](?::(?P<port>\d{1,5})(?!\d))?)?)?(?P<rest>[^ ]*+)"
).match


def read_relay(text: str | None) -> Relay:
    """`name [address]:port`; a port is there with `log_selector = +outgoing_port`, and where it is not 25, a ` DS`
    behind the name with `+dnssec`."""
    found = _RELAY(text or "")
    if not text or not found:
        return NOWHERE
    host, ip, port = found["host"] or None, found["ip"] or None, found["port"]
    provider = provider_of_relay(host) if host else None
    return Relay(host, ip, int(port) if port else None, provider, found["rest"][:1] == "*")


NOWHERE = Relay(None, None, None, None, is_reused=False)
RELAYS: Memo[str | None, Relay] = Memo(read_relay)


# --- TLS ---


class Tls(NamedTuple):
    """`protocol` is as the event record has it, `is_verified` what the field CV says, `has_peer` whether DN does."""

    protocol: str | None
    cipher: str | None
    is_verified: bool


_TLS = re.compile(r"(?:X=)?(?:TLS|SSL)v?(?P<version>[\w.]{1,8})(?::(?P<cipher>[^ :]++))?(?P<rest>.*)").match


def read_tls(text: str | None) -> Tls:
    """`TLS1.3:CIPHER:256 CV=yes`, in the words of GnuTLS or of OpenSSL (`TLSv1.2`)."""
    found = _TLS(text or "")
    if not found:
        return NO_TLS
    version = found["version"]
    verified = " CV=yes" in found["rest"] or " CV=dane" in found["rest"]
    return Tls("TLSv1" if version == "1.0" else f"TLSv{version}", found["cipher"], verified)


NO_TLS = Tls(None, None, is_verified=False)
TLS: Memo[str | None, Tls] = Memo(read_tls)


def joined_tls(fields: dict[str, str]) -> Tls:
    """The same of fields that were taken apart."""
    return TLS[f"{fields['X']} CV={fields.get('CV', '')}"] if "X" in fields else NO_TLS


# --- numbers ---

_TIME = re.compile(
    r"(?:(?P<weeks>\d{1,4})w)?(?:(?P<days>\d{1,5})d)?(?:(?P<hours>\d{1,6})h)?(?:(?P<minutes>\d{1,7})m)?"
    r"(?:(?P<seconds>\d{1,9}(?:\.\d{1,9})?)s)?"
).fullmatch
_UNITS = (604800.0, 86400.0, 3600.0, 60.0, 1.0)


def read_seconds(text: str | None) -> float | None:
    """`3d2h5m`, `0.056s` (readconf_printtime() in src/readconf.c). Raises ValueError."""
    if text is None:
        return None
    found = _TIME(text)
    if not found or not text:
        raise ValueError(f"no time: {text[:40]}")
    seconds = sum(float(number) * unit for number, unit in zip(found.groups(), _UNITS, strict=True) if number)
    return seconds if seconds < inf else None


SECONDS: Memo[str | None, float | None] = Memo(read_seconds)


def read_number(text: str) -> int:
    """Raises ValueError for what is no number, or one that `int` would take and Exim never writes (`1_0`, `-1`)."""
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise ValueError(f"no number: {text[:40]}")
    return int(text)


# --- addresses ---

# An address, a path, a pipe with its arguments; the address it was made from (`all_parents`); the first of them.
HEAD = re.compile(
    r'(?P<first>:blackhole:|"[^"\\]*+(?:\\.[^"\\]*+)*"(?:@[^ :]*+)?|.{0,600}?)(?: \(.{0,300}?\))?(?:'
    r" <(?P<top>.{0,300}?)>)?"
    r"(?= (?:DS )?[A-Za-z]\w{0,7}=| routing | defer[ :]| defer\Z| ?: | ?:?\Z)"
).match


class Recipient(NamedTuple):
    """`address` is where it went in the end, `original` (if that is another) whom the message was for."""

    address: str
    original: str | None


def read_recipient(first: str, top: str | None) -> Recipient:
    """The two addresses of a line: for a local part, a pipe, a file or an autoreply the one in brackets is the
    recipient."""
    if top is None or first == top:
        return Recipient(first, None)
    return Recipient(first, top) if "@" in first and first[0] not in "|/>" else Recipient(top, None)


# --- replies ---

CODES_LENGTH = 14  # characters of "550 5.123.123 "
CODES = {f"{code}{mark}": code for code in range(200, 600) for mark in " -"} | {
    str(code): code for code in range(200, 600)
}


def _read_codes(text: str) -> tuple[int | None, str | None]:
    code = CODES.get(text[:4])
    return (None, None) if code is None else (code, valid_dsn(text[4:].partition(" ")[0]))


_CODES: Memo[str, tuple[int | None, str | None]] = Memo(_read_codes)


def read_codes(reply: str) -> tuple[int | None, str | None]:
    """The reply code and the enhanced status code that begin a reply."""
    return _CODES[reply[:CODES_LENGTH]]
