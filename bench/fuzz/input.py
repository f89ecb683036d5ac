"""Hostile inputs: good ones that were mutated, and noise."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

LONGEST = 1 << 15  # bytes of an input: the shortest lines take some five microseconds each, without end
# What parsers stumble over, whatever they parse.
WORDS = (
    *(
        b"\0",
        b"\n",
        b"\r\n",
        b"\r",
        b"\t",
        b" ",
        b"\x1b[2J",
        b"\x7f",
        b"\xff",
        b"\xc3",
        b"\xe2\x80\xae",
        b"\xed\xa0\x80",
    ),
    *(b"\xf0\x9f\x92\xa9", b"\xc2\x85", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"%s", b"%n", b"../../../etc/passwd"),
    *(b"-1", b"0", b"nan", b"inf", b"1e999", b"0x7f", b"9" * 30, b"4294967296", b"-9223372036854775809", b"1.5"),
    *(
        b'"',
        b"'",
        b"\\",
        b"<",
        b">",
        b"(",
        b")",
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b";",
        b",",
        b"=",
        b"&",
        b"*",
        b"#",
        b"@",
    ),
    *(
        b"{{",
        b"${jndi:ldap://x}",
        b"$(reboot)",
        b"`id`",
        b"' OR 1=1 --",
        b"<script>",
        b"A" * 300,
        b"(" * 300,
        b"[" * 300,
    ),
    *(
        b"to=<a@example.com>",
        b"status=sent",
        b"Jan  5 10:00:00",
        b"2026-01-05T10:00:00Z",
        b"9999-12-31",
        b"0000-00-00",
    ),
)


def hostile(seeds: Sequence[bytes], words: Sequence[bytes]) -> SearchStrategy[bytes]:
    """Inputs that begin as one of the seeds; `words` are what this entrance knows."""
    known = (*words, *WORDS)
    mutated = st.builds(_mutated, st.sampled_from(seeds), st.lists(_steps(seeds, known), min_size=1, max_size=8))
    return st.one_of(mutated, mutated, mutated, st.sampled_from(seeds), st.binary(max_size=400))


Step = tuple[str, int, int, bytes]


def _steps(seeds: Sequence[bytes], words: Sequence[bytes]) -> SearchStrategy[Step]:
    place = st.integers(0, LONGEST)
    piece = st.one_of(st.sampled_from(words), st.binary(max_size=8), st.sampled_from(seeds))
    kinds = st.sampled_from(("insert", "replace", "cut", "repeat", "swap", "flip", "end"))
    return st.tuples(kinds, place, st.integers(0, 300), piece)


def _mutated(seed: bytes, steps: list[Step]) -> bytes:
    found = seed
    for kind, place, count, piece in steps:
        found = _step(found, kind, place % (len(found) + 1), count, piece)[:LONGEST]
    return found


def _step(text: bytes, kind: str, at: int, count: int, piece: bytes) -> bytes:  # noqa: PLR0911 - one line each
    before, after = text[:at], text[at:]
    match kind:
        case "insert":
            return before + piece + after
        case "replace":
            return before + piece + after[len(piece) :]
        case "cut":
            return before + after[count:]
        case "repeat":
            return before + after[: count or 1] * (count + 1) + after
        case "swap":
            return after[:count] + before + after[count:]
        case "flip":
            return before + bytes(byte ^ (1 << count % 8) for byte in after[:1]) + after[1:]
        case _:
            return before
