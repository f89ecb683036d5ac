"""Takes from a line everything that could tell who or where: what remains may be shown to strangers.

Not what looks secret is taken, for nobody can list that, but what is not known to be harmless: only words of
`vocabulary.txt` and ASCII punctuation remain. What stands in double quotes, in angle brackets or right after `=` goes
even where it is such a word, for there a name is expected. One pass, linear in the length of the text.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from pathlib import Path

LONGEST = 2000  # characters of a line that are looked at
SUFFIXES = ("s", "es", "ed", "d", "ing", "ly", "'s")

# A quoted text, a text in angle brackets, blanks, a bracket or mark that stands between words, or a word.
_PARTS = re.compile(r"""("[^"]*"?)|(<[^<>]*>?)|(\s+)|([][(){},;=|])|([^][(){},;=|"<\s]+)""")
_NUMBER = re.compile(r"[-+#]?[0-9]+(?:[.,][0-9]+)?%?").fullmatch
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}").fullmatch
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?").fullmatch
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:t[0-9:.]+(?:z|[-+][0-9:]+)?)?").fullmatch
_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:[:/][0-9]{1,5})?").fullmatch
_IPV6 = re.compile(r"(?:ipv6:)?[0-9a-f.]*:[0-9a-f.]*:[0-9a-f:.]*(?:%[0-9a-z]+)?(?:/[0-9]{1,3})?").fullmatch
_MEASURE = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d|b|kb|mb|gb|kib|mib|gib|k)").fullmatch
_NUMBERS = re.compile(r"[0-9.]+(?:/[0-9.]+)+").fullmatch
_REPLY = re.compile(r"[2-5][0-9]{2}[- ]?(?:[245]\.[0-9]{1,3}\.[0-9]{1,3})").fullmatch
_JOINTS = re.compile(r"([-_/:.+*&!~]+)")
_FORMS = (
    (_STATUS, "<status>"),
    (_NUMBER, "<n>"),
    (_MEASURE, "<n>"),
    (_CLOCK, "<time>"),
    (_DATE, "<time>"),
    (_IPV4, "<ip>"),
    (_IPV6, "<ip>"),
    (_REPLY, "<n>-<status>"),
    (_NUMBERS, "<n>/<n>"),
)
STEM = 3  # letters of a word that can have a suffix
_RUNS = re.compile(r"<word>(?:[ -]<word>)+")
_EDGES = "!#$%&'*+-./:>?@\\^_`|~"


def mask(text: str) -> str:
    """The line with placeholders: <address> <host> <id> <ip> <n> <path> <status> <text> <time> <url> <word(s)>."""
    parts = []
    is_value = False
    for quoted, angled, blank, mark, word in _PARTS.findall(text[:LONGEST]):
        if quoted:
            parts.append(quoted if quoted.strip('"') == "" else '"<text>"')
        elif angled:
            parts.append(_angled(angled))
        elif blank:
            parts.append(" ")
        elif mark:
            parts.append(mark)
        else:
            parts.append(_value(word) if is_value else _masked(word))
        is_value = mark == "="
    masked = _RUNS.sub("<words>", "".join(parts).strip())
    return f"<id>{masked.removeprefix('<n>')}" if masked.startswith("<n>: ") else masked  # a queue id of digits alone


@cache
def vocabulary() -> frozenset[str]:
    """The words that may remain, in lower case."""
    lines = Path(__file__).with_name("vocabulary.txt").read_text("utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _angled(text: str) -> str:
    if text in ("<>", "<"):
        return text
    return "<address>" if "@" in text else "<text>"


def _value(word: str) -> str:
    """What stands after `=`: never itself."""
    masked = _masked(word)
    return masked if "<" in masked or not any(map(str.isalnum, word)) else "<word>"


@lru_cache(maxsize=20_000)
def _masked(word: str) -> str:
    """One word, between the punctuation that it begins and ends with."""
    bare = word.strip(_EDGES)
    if "::" in word and _IPV6(word.rstrip(".").lower()):  # one that begins or ends with "::"
        return "<ip>" + ":" * (word[-1] == ":" != word[-2])
    if not bare:
        return _placeholder(word) if "@" in word else word
    before, after = word[: word.index(bare)], word[word.index(bare) + len(bare) :]
    if "@" in before:
        return "<address>"
    if word.startswith(("/", "./", "../", "~/")):
        return "<path>" + ":" * after.endswith(":")
    return before + _placeholder(bare) + ("" if "@" in after else after)


def _placeholder(word: str) -> str:
    lower = word.lower() if word.isascii() else word
    if _is_known(lower):
        return word
    for fits, placeholder in _FORMS:
        if fits(lower):
            return placeholder
    if "@" in word:
        return "<address>"
    if "://" in word:
        return "<url>"
    return _compound(word)


def _compound(word: str) -> str:
    """Words with marks between them: kept where every part may be, else named after what it looks like."""
    parts = _JOINTS.split(word)
    shown = [part if at % 2 else _part(part) for at, part in enumerate(parts)]
    names = shown[::2]
    if "." not in word and all(name == part for name, part in zip(names, parts[::2], strict=True)):
        return word
    if "/" in word:
        return "<path>"
    if ":" in word:
        return "".join(shown) if "." not in word else "<host>"
    if "." in word:
        return "<host>"
    return "<id>" if any(map(str.isdecimal, word)) else "<word>"


def _part(word: str) -> str:
    if not word or _is_known(word.lower() if word.isascii() else word):
        return word
    if word.isdecimal():
        return "<n>"
    return "<id>" if any(map(str.isdecimal, word)) else "<word>"


@lru_cache(maxsize=20_000)
def _is_known(word: str) -> bool:
    known = vocabulary()
    stems = (word.removesuffix(suffix) for suffix in SUFFIXES)
    return word in known or any(stem in known and len(stem) >= STEM for stem in stems)
