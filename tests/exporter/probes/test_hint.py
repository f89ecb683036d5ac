"""What to do is said of each fault that is told, and names what there is to set."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from exporter.probes.failure import Failure
from exporter.probes.hint import BY_PHASE, BY_REASON, hint
from exporter.probes.section import Imap, Probe, Send
from tests.exporter.probes.fault import FAULTS, MISSING

KEYS = {it.name for section in (Send, Imap, Probe) for it in fields(section)}
PLAIN = {"internal", "mailbox_internal"}  # the text of the failure names the file


@pytest.mark.parametrize("fault", FAULTS, ids=lambda it: it.what)
def test_a_fault_of_the_dialogue_has_a_hint(fault):
    assert hint(Failure(fault.phase, fault.reason, "", fault.reply_code)) or fault.reason in PLAIN


@pytest.mark.parametrize("missing", MISSING, ids=lambda it: it.what)
def test_a_mail_that_is_missing_has_a_hint(missing):
    is_told = hint(Failure("arrival", missing.reason, "")) != ""
    assert is_told == (missing.reason.startswith("mailbox_") and missing.reason not in PLAIN)


def test_a_hint_names_keys_that_there_are():
    for text in (*BY_REASON.values(), *BY_PHASE.values()):
        for named in re.findall(r"`([^`]+)`", text):
            key, colon, value = named.partition(": ")
            assert key in KEYS or (named in ("getent ahosts", "none") and not colon), named
            assert not colon or value in ("implicit", "starttls", "opportunistic", "none")
