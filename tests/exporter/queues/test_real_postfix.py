"""A real Postfix, with a queue of its own that nothing delivers: asked by postqueue and read from its directories."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.queues import postfix_json, postfix_spool
from exporter.queues.entry import QueueError

POSTQUEUE = shutil.which("postqueue")
pytestmark = pytest.mark.skipif(not POSTQUEUE or os.geteuid() != 0, reason="needs Postfix, and root to use it")
OTHERS = ("bounce", "defer", "flush", "private", "public", "saved", "trace", "pid")


@pytest.fixture
def instance() -> Iterator[Path]:
    """A folder that all may enter, with `etc` and `spool` of an instance that does not run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for queue in (*postfix_spool.QUEUES, *OTHERS):
            (folder / "spool" / queue).mkdir(parents=True)
            shutil.chown(folder / "spool" / queue, "postfix")
        (folder / "etc").mkdir()
        (folder / "etc/master.cf").touch()
        (folder / "etc/main.cf").write_text(
            f"compatibility_level = 3.6\nqueue_directory = {folder}/spool\nmyhostname = mail.example.com\n"
            "mydestination =\nalias_maps =\n"
        )
        yield folder


def submit(instance: Path) -> None:
    command = ["/usr/sbin/sendmail", "-C", str(instance / "etc"), "-f", "ann@example.com", "bo@example.org"]
    subprocess.run(command, input=b"Subject: x\n\ntext\n", check=True, capture_output=True)


def test_a_message_is_found_both_ways(instance: Path) -> None:
    submit(instance)
    (asked,) = postfix_json.entries(instance / "etc")
    (read,) = postfix_spool.entries(instance / "spool")
    assert (asked.queue, asked.sender) == ("maildrop", "ann@example.com")
    assert [to.address for to in asked.recipients] == ["bo@example.org"]
    assert (asked.queue_id, asked.queue) == (read.queue_id, read.queue)
    assert abs(asked.arrival - read.arrival) < 2


def test_an_empty_queue_has_nothing(instance: Path) -> None:
    assert list(postfix_json.entries(instance / "etc")) == []


def test_why_postqueue_cannot_tell_is_said(instance: Path) -> None:
    with pytest.raises(QueueError, match="postqueue"):
        list(postfix_json.entries(instance / "nowhere"))
