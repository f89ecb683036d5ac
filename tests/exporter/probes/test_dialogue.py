"""What a dialogue shows of what is said, and what it does not."""

from __future__ import annotations

from base64 import b64encode

import pytest

from exporter.probes.dialogue import MASK, Dialogue


def a_dialogue(*secrets: str) -> Dialogue:
    made = Dialogue(lambda: 0.0)
    made.hide(*(secret.encode() for secret in secrets))
    return made


@pytest.mark.parametrize(
    ("secrets", "text", "shown"),
    [
        (("hunter2",), "is hunter2 it", f"is {MASK} it"),
        (("hunter2",), "HUNTER2hunter2Hunter2", MASK * 3),
        (("Stra\u00dfe\u0130x",), "a stra\u00dfe\u0130X b \u0130", f"a {MASK} b \u0130"),
        (("\u212aelvin",), "kelvin", MASK),
        (("one", "one more"), "one more one", f"{MASK} {MASK}"),
        (("aa",), "aaaaa", f"{MASK}{MASK}a"),
        (("*", "**"), "a*b", f"a{MASK}b"),
        (("",), "nothing to hide", "nothing to hide"),
        ((), "nothing", "nothing"),
    ],
)
def test_a_secret_in_whatever_case(secrets, text, shown):
    assert a_dialogue(*secrets).mask(text) == shown


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "\0", "\0x", "\0xy"])
def test_a_secret_within_what_is_coded(before, after):
    coded = b64encode(f"{before}hunter2-and-more{after}".encode()).decode()
    masked = a_dialogue("hunter2-and-more").mask(f"C: AUTH PLAIN {coded}")
    assert MASK in masked
    shown = masked.removeprefix("C: AUTH PLAIN ").split(MASK)
    assert sum(map(len, shown)) <= len(coded) - len(b64encode(b"hunter2-and-more")) + 8


def test_what_was_hidden_stays_so_when_more_is():
    made = a_dialogue("hunter2")
    made.hide(b"second")
    assert made.mask("hunter2 second") == f"{MASK} {MASK}"
