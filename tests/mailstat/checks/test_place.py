"""Where the mail log goes, how it is rotated, and in which zone it is written."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.config import load_config
from mailstat.checks import clock, log, rotation, syslog
from tests.mailstat.checks.conftest import NOW, OURS, Tree

LINE = "2026-11-21T23:59:58+00:00 mail postfix/qmgr[7]: 4T1: removed\n"


# Which file


@pytest.mark.parametrize(
    ("selector", "is_taken"),
    [
        ("mail.*", True),
        ("mail.info", True),
        ("mail.=info", True),
        ("mail.debug", True),
        ("mail.err", False),
        ("mail.warn", False),
        ("mail.none", False),
        ("*.*", True),
        ("*.info;mail.none;authpriv.none", False),
        ("*.*;auth,authpriv.none", True),
        ("auth,mail.*", True),
        ("daemon.*;mail.*;news.err", True),
        ("mail.*;mail.!err", True),
        ("mail.*;mail.!info", False),
        ("kern.*", False),
        ("mail.strange", False),
    ],
)
def test_what_a_selector_takes(selector: str, is_taken: bool) -> None:
    assert syslog.selects(selector) is is_taken


@pytest.mark.parametrize(
    ("text", "files"),
    [
        ("mail.*\t\t\t-/var/log/mail.log\nmail.err /var/log/mail.err\n", ["/var/log/mail.log"]),
        ("*.*;auth,authpriv.none\t-/var/log/syslog\nmail.*\t-/var/log/mail.log", ["/var/log/mail.log"]),
        ("*.info;mail.none /var/log/messages\nmail.* -/var/log/maillog", ["/var/log/maillog"]),
        ("*.*;auth.none -/var/log/syslog", ["/var/log/syslog"]),
        ("mail.info /var/log/mail.log;RSYSLOG_FileFormat", ["/var/log/mail.log"]),
        ("if $syslogfacility-text == 'mail' then /srv/mail.log", ["/srv/mail.log"]),
        ("# mail.* /var/log/old.log\n#if $syslogfacility-text == 'mail' then /srv/mail.log", []),
        ("mail.* @192.0.2.1\nmail.* |/dev/xconsole", []),
    ],
)
def test_the_files_of_rsyslog(text: str, files: list[str]) -> None:
    assert syslog.rsyslog_files(text) == files


def test_hostile_rules_take_no_time() -> None:
    assert syslog.rsyslog_files("a." * 200_000) == []


def test_a_log_that_goes_elsewhere(tree: Tree, found) -> None:
    tree.write("usr/sbin/rsyslogd")
    tree.write("etc/rsyslog.conf", "$IncludeConfig /etc/rsyslog.d/*.conf\n")
    tree.write("etc/rsyslog.d/50-mail.conf", "mail.* -/srv/log/mail.log\n")
    tree.write("var/log/mail.log", LINE)
    tree.write("srv/log/mail.log", LINE)
    first, second = found(syslog.check)
    command = "printf 'sources:\\n  - %s\\n' 'file: /srv/log/mail.log' >> /etc/mailstat.yml"
    assert first == ("error", "/srv/log/mail.log", command)
    assert second[:2] == ("note", "/var/log/mail.log")


def test_the_command_makes_a_configuration_that_follows_it(tree: Tree, found) -> None:
    tree.write("usr/sbin/rsyslogd")
    tree.write("etc/rsyslog.conf", "mail.* -/srv/log/mail.log\n")
    followed = tree.write("var/log/mail.log", LINE)
    config = tree.write("etc/mailstat.yml", f"# ours\nsources:\n  - file: {followed}\n")
    tree.host = replace(tree.host, config=load_config(config), config_file=config)
    (command,) = [mend for severity, _, mend in found(syslog.check) if severity == "error"]
    subprocess.run(command, shell=True, check=True)
    assert [source.file for source in load_config(config).sources] == [Path("/srv/log/mail.log"), followed]


def test_postfix_own_log(tree: Tree, found) -> None:
    tree.write("usr/sbin/postfix")
    tree.write("usr/sbin/rsyslogd")
    tree.write("etc/rsyslog.conf", "mail.* -/var/log/mail.log\n")
    tree.write("etc/postfix/main.cf", "maillog_file = /var/log/postfix.log\n")
    tree.write("var/log/postfix.log", LINE)
    assert found(syslog.check) == [("good", "/var/log/postfix.log", "")]


@pytest.mark.parametrize("value", ["/srv/exim/%slog", "syslog : /srv/exim/%slog"])
def test_exims_own_log(tree: Tree, found, value: str) -> None:
    tree.write("usr/sbin/exim4")
    tree.write("etc/exim4/exim4.conf", f"primary_hostname = a\nlog_file_path = {value}\n")
    ((severity, subject, _),) = found(syslog.check)
    assert (severity, subject) == ("error", "/srv/exim/mainlog")


def test_the_journal_has_it_and_is_followed(tree: Tree, found) -> None:
    tree.write("usr/sbin/exim4")
    tree.write("var/log/journal/1/system.journal", mode=0o640)
    assert found(syslog.check) == [("good", "mail log", "")]
    assert found(log.check) == [("error", "/var/log/journal", "usermod --append --groups adm mailstat")]
    tree.join_group()
    assert found(log.check) == [("good", "/var/log/journal", "")]


def test_the_journal_has_it_and_another_log_is_followed(tree: Tree, found) -> None:
    tree.write("usr/sbin/exim4")
    tree.write("var/log/journal/1/system.journal")
    followed = tree.write("var/log/mail.log", LINE)
    config = tree.write("etc/mailstat.yml", f"sources:\n  - file: {followed}\n")
    tree.host = replace(tree.host, config=load_config(config), config_file=config)
    ((severity, _, command),) = found(syslog.check)
    assert severity == "error"
    subprocess.run(command, shell=True, check=True)
    assert [source.kind for source in load_config(config).sources] == ["journal", "file"]


def test_a_folder_of_logs(tree: Tree, found) -> None:
    config = tree.write("etc/mailstat.yml", f"sources:\n  - directory: {tree.root}/var/log/exchange\n")
    tree.host = replace(tree.host, config=load_config(config))
    assert [it[:2] for it in found(log.check)] == [("error", "/var/log/exchange")]
    tree.write("var/log/exchange/a.log", mode=0o600)
    assert found(log.check) == [
        ("error", "/var/log/exchange", "setfacl --modify user:mailstat:r /var/log/exchange/a.log")
    ]
    tree.write("var/log/exchange/a.log")
    assert found(log.check) == [("good", "/var/log/exchange", "")]


def test_only_the_journal_has_it(tree: Tree, found) -> None:
    tree.write("usr/sbin/exim4")
    tree.write("usr/bin/apt-get")
    assert found(syslog.check) == [("error", "mail log", "apt-get install --yes rsyslog")]
    tree.write("usr/sbin/postfix")
    tree.write("etc/postfix/main.cf")
    command = "postconf -e maillog_file=/var/log/mail.log && postfix reload"
    assert found(syslog.check) == [("error", "mail log", command)]


# Rotation

DEBIAN = """\
/var/log/syslog
/var/log/mail.log
/var/log/auth.log
{
	rotate 4
	weekly
	missingok
	notifempty
	compress
	delaycompress
	sharedscripts
	postrotate
		if [ -d /run ]; then { /usr/lib/rsyslog/rsyslog-rotate; } fi
	endscript
}
"""


def rule(*lines: str) -> str:
    return "/var/log/mail.log {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


@pytest.fixture
def rotated(tree: Tree, found):
    """What is found with this configuration of logrotate."""
    tree.write("var/log/mail.log", LINE)

    def rotated(text: str) -> list[tuple[str, str]]:
        tree.write("etc/logrotate.d/rsyslog", text)
        return [(severity, mend) for severity, _, mend in found(rotation.check)]

    return rotated


def test_how_debian_rotates_it(rotated) -> None:
    assert rotated(DEBIAN) == [("good", "")]


@pytest.mark.parametrize(
    ("lines", "severity"),
    [
        (["copytruncate", "rotate 4"], "warning"),
        (["rotate 0"], "error"),
        (["dateext", "dateformat .%d", "rotate 4"], "error"),
        (["dateext", "dateformat -%j-%V", "rotate 4"], "error"),
        (["olddir /srv/archive", "rotate 4"], "error"),
        (["compress", "delaycompress", "compresscmd /usr/bin/lz4", "compressext .lz4"], "warning"),
        (["compress", "rotate 4"], "note"),
        (["create 0600 root root"], "error"),
    ],
)
def test_what_cannot_be_followed_is_mended_by_its_command(
    tree: Tree, rotated, lines: list[str], severity: str, tmp_path: Path
) -> None:
    ((told, command),) = rotated(rule(*lines))
    assert told == severity
    path = tree.root / "etc/logrotate.d/rsyslog"
    subprocess.run(command.replace("/etc/logrotate.d/rsyslog", str(path)), shell=True, check=True)
    after = rotated(path.read_text())
    if "create" in lines[0]:
        assert after == [("error", "usermod --append --groups adm mailstat")]  # who may read it is adm now
    elif lines[0] == "compress" and severity == "warning":
        assert [it for it, _ in after] == ["good"]
    else:
        assert [it for it, _ in after] == ["good"]


@pytest.mark.parametrize(
    "lines",
    [
        ["dateext", "rotate 4"],
        ["dateext", "dateformat .%Y-%m-%d", "rotate 4"],
        ["olddir old", "rotate 4"],
        ["olddir /var/log/old", "rotate 4"],
        ["compress", "delaycompress", "compresscmd /usr/bin/zstd", "compressext .zst"],
        ["create 0644 root root"],
        ["create 0640 mailstat root"],
        ["create", "rotate 4"],
        ["# copytruncate", "rotate 4"],
    ],
)
def test_what_can_be_followed(rotated, lines: list[str]) -> None:
    assert rotated(rule(*lines)) == [("good", "")]


@pytest.mark.skipif(not shutil.which("logrotate"), reason="no logrotate")
def test_logrotate_understands_what_the_command_makes(tree: Tree, rotated, tmp_path: Path) -> None:
    ((_, command),) = rotated(rule("copytruncate", "rotate 4", "weekly"))
    path = tree.root / "etc/logrotate.d/rsyslog"
    subprocess.run(command.replace("/etc/logrotate.d/rsyslog", str(path)), shell=True, check=True)
    text = path.read_text().replace("/var/log", f"{tree.root}/var/log")
    path.write_text(text)
    done = subprocess.run(
        ["logrotate", "--debug", "--state", tmp_path / "state", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "error" not in done.stderr.lower()


def test_what_the_main_file_says_holds_for_all(tree: Tree, rotated) -> None:
    tree.write("etc/logrotate.conf", "weekly\nrotate 4\ncompress\ncreate 0600\ninclude /etc/logrotate.d\n")
    assert [it for it, _ in rotated(rule("missingok"))] == ["note", "error"]
    assert rotated(rule("delaycompress", "create 0644")) == [("good", "")]
    assert rotated(rule("nocompress", "create 0644")) == [("good", "")]


def test_a_group_that_the_account_is_in(tree: Tree, rotated) -> None:
    text = rule("create 0640 root adm")
    assert rotated(text) == [("error", "usermod --append --groups adm mailstat")]
    tree.join_group()
    assert OURS in tree.host.account.gids
    assert rotated(text) == [("good", "")]


def test_files_that_logrotate_leaves_alone_are_left_alone(tree: Tree, found) -> None:
    tree.write("var/log/mail.log", LINE)
    tree.write("etc/logrotate.d/rsyslog.dpkg-old", rule("rotate 0"))
    assert [it[0] for it in found(rotation.check)] == ["note"]


# Clocks


def times(tree: Tree, found, text: str) -> list[tuple[str, str]]:
    tree.write("var/log/mail.log", text)
    return [(severity, mend) for severity, subject, mend in found(clock.check) if subject != "clock"]


def test_a_log_with_times_of_the_host(tree: Tree, found) -> None:
    assert times(tree, found, LINE) == [("good", "")]


def test_a_log_in_another_zone(tree: Tree, found) -> None:
    config = tree.write("etc/mailstat.yml", "timezone: UTC")
    tree.host = replace(tree.host, config=load_config(config), config_file=tree.write("etc/empty.yml"))
    told = times(tree, found, "Nov 22 01:59:59 mail postfix/qmgr[7]: 4T1: removed\n")
    assert told == [("error", f"printf 'timezone: Etc/GMT-2\\n' >> {tree.root}/etc/empty.yml")]
    subprocess.run(told[0][1], shell=True, check=True)
    tree.host = replace(tree.host, config=load_config(tree.root / "etc/empty.yml"))
    assert times(tree, found, "Nov 22 01:59:59 mail postfix/qmgr[7]: 4T1: removed\n") == [("good", "")]


def test_a_log_from_the_future(tree: Tree, found) -> None:
    assert [it for it, _ in times(tree, found, LINE.replace("21T23:59:58", "22T00:06:40"))] == ["warning"]


def test_who_keeps_the_clock(tree: Tree, found) -> None:
    assert found(clock.check)[0][0] == "warning"
    tree.write("usr/lib/systemd/systemd-timesyncd")
    assert found(clock.check) == [("warning", "clock", "timedatectl set-ntp true")]
    tree.write("run/systemd/timesync/synchronized")
    assert found(clock.check) == [("good", "clock", "")]
    assert tree.host.now == NOW
