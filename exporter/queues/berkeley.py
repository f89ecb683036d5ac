"""The records of a hash database of Berkeley DB, as its files have been since release 4 (src/dbinc/db_page.h).

Read as they lie there, without the library and without a lock: whoever owns the file may write it at the same time.
What is torn by that is left out, and so are keys and values that are too large for a page.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

LARGEST = 64 << 20  # bytes of a file that are looked at
_MAGIC = 0x061561
_HEAD = 26  # bytes of a page before the places of its items
_HASH_PAGES = (2, 13)  # P_HASH_UNSORTED, P_HASH
_PAGE_SIZES = tuple(1 << power for power in range(9, 17))
_KEYDATA = 1  # an item that is there as it is


def records(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values. Raises OSError; a file of another kind has none."""
    with path.open("rb") as file:
        order, size = _form(file.read(_HEAD))
        for number in range(1, LARGEST // size):
            file.seek(number * size)
            page = file.read(size)
            if len(page) < size:
                return
            yield from _of(page, order)


def _form(head: bytes) -> tuple[str, int]:
    """The order of the bytes of a number, and the size of a page; LARGEST where it is no such file."""
    for order in "<>":
        if len(head) == _HEAD and struct.unpack_from(f"{order}I", head, 12)[0] == _MAGIC:
            size = int(struct.unpack_from(f"{order}I", head, 20)[0])
            return order, size if size in _PAGE_SIZES else LARGEST
    return "", LARGEST


def _of(page: bytes, order: str) -> Iterator[tuple[bytes, bytes]]:
    """Of one page: its items lie one before the other from its end on, a key and a value in turn."""
    count = struct.unpack_from(f"{order}H", page, 20)[0]
    if page[25] not in _HASH_PAGES or _HEAD + 2 * count > len(page):
        return
    places = struct.unpack_from(f"{order}{count}H", page, _HEAD)
    ends = (len(page), *places)
    items = [page[start:end] for start, end in zip(places, ends, strict=False)]
    for key, value in zip(items[::2], items[1::2], strict=False):
        if key[:1] == value[:1] == bytes((_KEYDATA,)):
            yield key[1:], value[1:]
