from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from exporter.finder import find_logs, has_journal, read_error
from tests.journal import JournalWriter, needs_journal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path):
    def place(name: str, content: str = "") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    return place


def test_a_host_without_mail_logs(tmp_path):
    assert find_logs(tmp_path) == []


def test_all_the_usual_places(tmp_path, place):
    names = ["var/log/mail.log", "var/log/maillog", "var/log/exim4/mainlog", "var/log/exim/mainlog"]
    for name in names:
        place(name)
    assert find_logs(tmp_path) == [tmp_path / name for name in names]


def test_two_names_of_one_log_are_one(tmp_path, place):
    log = place("var/log/mail.log")
    (tmp_path / "var/log/maillog").symlink_to(log)
    assert find_logs(tmp_path) == [log]


def test_what_is_no_file_is_no_log(tmp_path):
    (tmp_path / "var/log/mail.log").mkdir(parents=True)
    os.mkfifo(tmp_path / "var/log/maillog")
    assert find_logs(tmp_path) == []


def test_a_link_to_nothing_and_a_link_in_a_circle_are_no_logs(tmp_path):
    (tmp_path / "var/log").mkdir(parents=True)
    (tmp_path / "var/log/mail.log").symlink_to("absent")
    (tmp_path / "var/log/maillog").symlink_to("maillog")
    assert find_logs(tmp_path) == []


@pytest.mark.parametrize(
    "main_cf",
    [
        "maillog_file = /var/log/postfix.log\n",
        "# maillog_file = /var/log/other.log\nmaillog_file=/var/log/postfix.log",
        "maillog_file = /var/log/other.log\nmaillog_file =\t/var/log/postfix.log \n",
    ],
)
def test_the_log_that_postfix_writes_by_itself(tmp_path, place, main_cf):
    place("etc/postfix/main.cf", main_cf)
    place("var/log/other.log")
    log = place("var/log/postfix.log")
    assert find_logs(tmp_path) == [log]


@pytest.mark.parametrize(
    "main_cf",
    [
        "",
        "maillog_file =\n",
        "maillog_file = /dev/stdout\n",
        "maillog_file = /etc/passwd\n",
        "maillog_file = /var/../etc/passwd\n",
        "maillog_file = ../etc/passwd\n",
        "maillog_file = /var/$name\n",
        "maillog_file = /var/log/\0passwd\n",
        "maillog_file_prefixes = /var/log/postfix.log\n",
        "\udcff\udcfe",
    ],
)
def test_main_cf_leads_to_nothing_but_plain_paths_below_var(tmp_path, place, main_cf):
    for name in ("etc/passwd", "var/log/postfix.log", "var/$name"):
        place(name)
    (tmp_path / "etc/postfix").mkdir()
    (tmp_path / "etc/postfix/main.cf").write_text(main_cf, errors="surrogateescape")
    assert find_logs(tmp_path) == []


def test_the_log_of_postfix_may_be_the_usual_one(tmp_path, place):
    log = place("var/log/mail.log")
    place("etc/postfix/main.cf", "maillog_file = /var/log/mail.log\n")
    assert find_logs(tmp_path) == [log]


def test_a_log_that_we_may_read(place):
    assert read_error(place("var/log/mail.log")) is None


def test_a_log_that_is_gone(tmp_path):
    assert read_error(tmp_path / "mail.log") == "No such file or directory"


@pytest.fixture
def as_nobody():
    """The effective user `nobody`, since root may read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def open_tmp_path(tmp_path):
    """A directory that other users may reach."""
    for directory in [tmp_path, *tmp_path.parents][:3]:
        directory.chmod(0o755)
    return tmp_path


def test_a_log_that_we_may_not_read_is_found_and_told(open_tmp_path, place, request):
    log = place("var/log/mail.log")
    log.chmod(0)
    request.getfixturevalue("as_nobody")
    assert find_logs(open_tmp_path) == [log]
    assert read_error(log) == "Permission denied"


def test_a_log_in_a_closed_directory_is_found_and_told(open_tmp_path, place, request):
    log = place("var/log/exim4/mainlog")
    log.parent.chmod(0)
    request.getfixturevalue("as_nobody")
    assert find_logs(open_tmp_path) == [log]
    assert read_error(log) == "Permission denied"


@needs_journal
def test_mail_in_the_journal(tmp_path):
    folder = tmp_path / "var/log/journal"
    assert not has_journal(tmp_path)
    folder.mkdir(parents=True)
    assert not has_journal(tmp_path)
    writer = JournalWriter(folder)
    writer.write("system.journal", "no mail", SYSLOG_FACILITY="9", _SYSTEMD_UNIT="cron.service")
    assert not has_journal(tmp_path)
    writer.write("system.journal", "connect from client.example.net[203.0.113.7]")
    assert has_journal(tmp_path)


def test_a_host_without_journalctl_has_no_journal(tmp_path, monkeypatch):
    (tmp_path / "var/log/journal").mkdir(parents=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not has_journal(tmp_path)
