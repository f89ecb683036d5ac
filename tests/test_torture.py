"""The torture of `make torture`, on a small scale."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench import torture


@pytest.mark.parametrize("scene", [torture.rotation, torture.copytruncate], ids=lambda it: it.__name__)
def test_it_endures(tmp_path: Path, scene: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(scene)
    assert scene(tmp_path, is_short=True, rng=random.Random(7)) == []
    assert "WRONG" not in capsys.readouterr().out


def test_what_is_written_adds_up() -> None:
    """The sums that the scenes look at, from the text itself."""
    text = b"".join(torture.message(number, torture.START) for number in range(1, 200)).decode()
    wanted = torture.expected(range(1, 200))
    sizes = [int(part.partition(",")[0]) for part in text.split("size=")[1:]]
    delays = [int(part.partition(",")[0]) for part in text.split(" delay=")[1:]]
    recipients = [int(part.partition(" ")[0]) for part in text.split("nrcpt=")[1:]]
    assert (len(sizes), sum(sizes)) == (
        wanted["mail_messages_received_total"],
        wanted["mail_message_size_bytes_sum"],
    )
    assert sum(delays) == wanted["mail_delivery_seconds_sum"]
    assert sum(recipients) == wanted["mail_message_recipients_sum"]
    assert len(text.splitlines()) == 199 * torture.MESSAGE_LINES


def test_a_counter_that_falls_is_seen() -> None:
    assert torture.is_counter('mail_deliveries_total{mta="postfix"}')
    assert not torture.is_counter('mail_messages_in_flight{mta="postfix"}')
    assert not torture.is_counter("process_cpu_seconds_total")
    assert torture.skipped({'mailstat_log_skipped_bytes_total{source="a"}': 3.0}, 4)
