from __future__ import annotations

import os
import sqlite3
from contextlib import suppress

import pytest

from exporter.probes.ledger import Arrival, Ledger
from tests.disk import full_disk

LATE = 120.0


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "probes.db")
    yield made
    made.close()


def counts(ledger) -> dict[str, int]:
    return {result: mails for result, mails in ledger.counts("one").items() if mails}


def sent(ledger, mail_id: str = "a", time: float = 1000.0) -> None:
    ledger.begin(mail_id, "one", "probe@example.net", time)
    ledger.settle(mail_id, is_sent=True)


def test_nobody_else_may_read_it(tmp_path):
    before = os.umask(0)
    try:
        made = Ledger(tmp_path / "probes.db")
        sent(made)
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
        made.close()
    finally:
        os.umask(before)


def test_a_mail_that_arrives(ledger):
    sent(ledger)
    assert ledger.pending("one") == 1
    assert ledger.oldest("one").id == "a"
    assert ledger.arrive("a", "INBOX/1", 1010.0, LATE) is Arrival.FIRST
    assert counts(ledger) == {"sent": 1, "arrived": 1}
    assert ledger.pending("one") == 0


def test_the_same_copy_is_counted_once_and_another_is_a_duplicate(ledger):
    sent(ledger)
    ledger.arrive("a", "INBOX/1", 1010.0, LATE)
    assert ledger.arrive("a", "INBOX/1", 1011.0, LATE) is Arrival.SEEN
    assert ledger.arrive("a", "INBOX/2", 1012.0, LATE) is Arrival.DUPLICATE
    assert counts(ledger) == {"sent": 1, "arrived": 1, "duplicate": 1}


def test_a_mail_that_arrives_before_its_sending_is_over(ledger):
    ledger.begin("a", "one", "probe@example.net", 1000.0)
    ledger.arrive("a", "INBOX/1", 1000.1, LATE)
    ledger.settle("a", is_sent=True)
    assert counts(ledger) == {"sent": 1, "arrived": 1}


def test_a_late_mail(ledger):
    sent(ledger)
    ledger.arrive("a", "INBOX/1", 1121.0, LATE)
    assert counts(ledger) == {"sent": 1, "arrived": 1, "late": 1}


def test_a_lost_mail_that_arrives_is_found(ledger):
    sent(ledger)
    assert ledger.lose("one", 1000.0) == []
    assert ledger.lose("one", 1001.0) == ["a"]
    assert ledger.lose("one", 1001.0) == []
    assert ledger.last_settled("one") == ("a", "lost")
    ledger.arrive("a", "Junk/1", 4000.0, LATE, is_junk=True)
    assert counts(ledger) == {"sent": 1, "arrived": 1, "late": 1, "lost": 1, "found": 1, "spam_folder": 1}


def test_a_mail_of_which_nobody_knows_whether_it_was_sent_is_not_lost(tmp_path):
    ledger = Ledger(tmp_path / "probes.db")
    ledger.begin("a", "one", "probe@example.net", 1000.0)
    ledger.begin("b", "one", "probe@example.net", 1000.0)
    ledger.close()
    again = Ledger(tmp_path / "probes.db")
    again.resume()
    again.arrive("a", "INBOX/1", 1010.0, LATE)
    assert again.lose("one", 2000.0) == []
    assert counts(again) == {"sent": 1, "arrived": 1, "send_failed": 1}
    again.close()


def test_a_mail_nobody_knows(ledger):
    assert ledger.arrive("x", "INBOX/1", 1.0, LATE) is Arrival.UNKNOWN
    assert counts(ledger) == {}


def test_what_is_old_is_forgotten(ledger):
    sent(ledger, "a", 1000.0)
    sent(ledger, "b", 2000.0)
    ledger.prune(1500.0 + 7 * 86400)
    assert ledger.probe_of("a") is None
    assert ledger.probe_of("b") == ("one", 2000.0)
    assert counts(ledger) == {"sent": 2}


def test_a_file_that_is_damaged_is_set_aside(tmp_path, caplog):
    path = tmp_path / "probes.db"
    path.write_bytes(b"no database" * 1000)
    made = Ledger(path)
    sent(made)
    made.close()
    assert (tmp_path / "probes.db.aside").read_bytes().startswith(b"no database")
    assert "set aside" in caplog.text
    again = Ledger(path)
    assert counts(again) == {"sent": 1}
    again.close()
    assert path.stat().st_mode & 0o077 == 0


def test_pages_that_are_damaged_are_set_aside(tmp_path, caplog):
    path = tmp_path / "probes.db"
    made = Ledger(path)
    for number in range(200):
        sent(made, str(number))
    made.close()
    content = bytearray(path.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    path.write_bytes(content)
    Ledger(path).close()
    assert (tmp_path / "probes.db.aside").exists()


def test_what_a_full_disk_refused_keeps_nothing_from_being_written_later(tmp_path):
    made = Ledger(tmp_path / "probes.db")
    for number in range(200):
        made.begin(str(number), "one", "probe@example.net", 1000.0)
    with full_disk(), suppress(sqlite3.Error):
        for number in range(200):
            made.settle(str(number), is_sent=True)
    written = counts(made).get("sent", 0)
    assert written < 200
    sent(made, "last")
    assert counts(made)["sent"] == written + 1
    made.close()
