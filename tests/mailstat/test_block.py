"""Words found in a block of bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstat import block
from mailstat.block import Block

SIZE = 64
TEXT = st.text("ab\0", max_size=SIZE).map(str.encode)
PLACE = st.integers(0, SIZE)


def filled(text: bytes) -> Block:
    found = Block(SIZE)
    found.bytes[: len(text)] = text
    return found


@given(TEXT, st.text("ab\0", min_size=1, max_size=4).map(str.encode), PLACE, PLACE)
def test_a_word_is_found_where_bytes_find_it(text: bytes, word: bytes, start: int, end: int) -> None:
    found = filled(text)
    assert found.find(word, start, end) == found.bytes.find(word, start, end)


def test_it_is_found_by_the_library_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    if block._memmem is None:
        pytest.skip("the C library has no memmem(3)")
    found = filled(b"aab")
    found.bytes = bytearray()  # which is not asked
    assert found.find(b"b", 0, 3) == 2
    monkeypatch.setattr(block, "_memmem", None)
    assert found.find(b"b", 0, 3) == -1
