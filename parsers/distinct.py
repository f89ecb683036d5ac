"""How many different texts there were, in a few bytes and without keeping any: linear counting (Whang, Vander-Zanden
and Taylor, A Linear-Time Probabilistic Counting Algorithm, 1990).

A set of texts is a whole number, of which each text sets one bit; the union of two is their bitwise or. What a text
sets depends on nothing else, so the same texts give the same number in each process.
"""

from __future__ import annotations

from math import log
from zlib import crc32

SCATTER = 0x9E3779B97F4A7C15  # odd, without a pattern of its own


def bit_of(text: str, size: int) -> int:
    """The bit that a text sets in a number of `size` bits, which is a power of two."""
    # The checksums of neighbours lie apart in a pattern, which the product scatters.
    return 1 << (crc32(text.encode("utf-8", "surrogatepass")) * SCATTER >> 16 & size - 1)


def pack(bits: int) -> bytes:
    """Such a number as it is stored."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def unpack(packed: bytes, size: int) -> int:
    """The number that was stored; of a larger one, what fits."""
    return int.from_bytes(packed, "little") & (1 << size) - 1


def count(bits: int, size: int) -> int:
    """About how many texts set these bits: exact as long as no two set the same, within some percent up to `size`
    texts; never more than about six times the `size`."""
    empty = size - bits.bit_count()
    return round(size * log(size / max(empty, 0.5)))
