"""Versions, names in the DNS, certificates; and the whole command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from mailstat import checks
from mailstat.checks import certificate, name, version
from tests.mailstat.checks.conftest import NOW, Tree

LINE = "2026-11-21T23:59:58+00:00 mail postfix/qmgr[7]: 4T1: removed\n"


@pytest.mark.parametrize(
    ("package", "number", "severity"),
    [
        ("postfix", "3.7.11-0+deb12u1", "good"),
        ("postfix", "2.9.6-2", "warning"),
        ("postfix", "4.0.0-1", "note"),
        ("exim4-base", "4.96-15+deb12u7", "good"),
        ("sendmail-bin", "8.17.1.9-2+deb12u2", "good"),
        ("opensmtpd", "7.6.0p1-2", "good"),
        ("dovecot-core", "1:2.3.19.1+dfsg1-2.1+deb12u7", "good"),
    ],
)
def test_the_version_of_a_package(tree: Tree, found, package: str, number: str, severity: str) -> None:
    status = "Package: other\nStatus: install ok installed\nVersion: 1.0\n\n"
    status += f"Package: {package}\nStatus: install ok installed\nPriority: optional\nVersion: {number}\n\n"
    tree.write("var/lib/dpkg/status", status)
    assert [it[0] for it in found(version.check)] == [severity]


def test_a_package_that_was_removed_is_none(tree: Tree, found) -> None:
    tree.write("var/lib/dpkg/status", "Package: postfix\nStatus: deinstall ok config-files\nVersion: 2.1\n")
    assert [it[:2] for it in found(version.check)] == [("note", "mail server")]


# Names


@pytest.mark.parametrize(
    ("own", "addresses", "names", "severities"),
    [
        ("mail.example.com", ["9.9.9.9"], ["mail.example.com"], ["good"]),
        ("mail.example.com", ["9.9.9.9"], ["MAIL.example.com."], ["good"]),
        ("mail.example.com", ["9.9.9.9"], ["host-9.example.net"], ["warning"]),
        ("mail.example.com", ["9.9.9.9", "2620:fe::fe"], [], ["error", "error"]),
        ("mail.example.com", ["10.0.0.1", "fd00::1"], [], ["note"]),
        ("mail.example.com", [], [], ["warning"]),
        ("mail", [], [], ["warning"]),
        ("mail.example.com; rm -rf /", ["9.9.9.9"], [], ["warning"]),
        ("$(reboot).example.com", ["9.9.9.9"], [], ["warning"]),
    ],
)
def test_a_name_and_back(
    tree: Tree, found, own: str, addresses: list[str], names: list[str], severities: list[str]
) -> None:
    tree.host = replace(tree.host, name=own, addresses_of=lambda _: addresses, names_of=lambda _: names)
    told = found(name.check)
    assert [it[0] for it in told] == severities
    assert not any("rm -rf" in it[2] or "$(" in it[2] for it in told)


# Certificates


@pytest.fixture
def issued(tree: Tree):
    """A certificate of Postfix that ends after so many days."""

    def issue(days: float, own: str = "mail.example.com", mode: int = 0o600) -> None:
        end = datetime.fromtimestamp(NOW, UTC) + timedelta(days=days)
        made = trustme.CA().issue_cert(own, not_after=end)
        tree.write("etc/ssl/mail.pem", made.cert_chain_pems[0].bytes().decode())
        tree.write("etc/ssl/mail.key", made.private_key_pem.bytes().decode(), mode)
        tree.write(
            "etc/postfix/main.cf",
            "myhostname = mail.example.com\nsmtpd_tls_cert_file = /etc/ssl/mail.pem\n"
            "smtpd_tls_key_file = /etc/ssl/mail.key\n",
        )

    return issue


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")
@pytest.mark.parametrize(
    ("days", "own", "severities"),
    [
        (90, "mail.example.com", ["good"]),
        (90, "*.example.com", ["good"]),
        (90, "www.example.com", ["note"]),
        (5, "mail.example.com", ["warning", "good"]),
        (-5, "mail.example.com", ["error", "good"]),
    ],
)
def test_the_certificate_of_postfix(tree: Tree, found, issued, days: float, own: str, severities: list[str]) -> None:
    issued(days, own)
    assert [it[0] for it in found(certificate.check)] == severities


def test_a_key_that_everybody_may_read(tree: Tree, found, issued) -> None:
    issued(90, mode=0o644)
    assert found(certificate.check)[-1] == ("error", "/etc/ssl/mail.key", "chmod o= /etc/ssl/mail.key")


def test_a_certificate_that_is_not_there(tree: Tree, found) -> None:
    tree.write("etc/exim4/exim4.conf.template", "tls_certificate = /etc/exim4/exim.crt\n")
    assert found(certificate.check) == [("error", "/etc/exim4/exim.crt", "ls -lL /etc/exim4/exim.crt")]


def test_what_is_no_certificate(tree: Tree, found) -> None:
    tree.write("etc/dovecot/conf.d/10-ssl.conf", "ssl_cert = </etc/dovecot/cert.pem\n")
    tree.write("etc/dovecot/cert.pem", "nothing")
    assert [it[:2] for it in found(certificate.check)] == [("note", "/etc/dovecot/cert.pem")]


# The whole


def doctor(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mailstat", "doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def a_host(tree: Tree) -> None:
    uid = os.geteuid()
    tree.write("etc/passwd", f"mailstat:x:{uid}:{os.getegid()}::/:/bin/false\n")
    tree.write("etc/group", f"adm:x:{os.getegid()}:\n")
    tree.write("run/systemd/timesync/synchronized")
    tree.write("var/log/mail.log", LINE)
    now = datetime.now(UTC).timestamp()
    os.utime(tree.root / "var/log/mail.log", (now, now))
    tree.write("etc/logrotate.d/rsyslog", "/var/log/mail.log {\n  rotate 4\n}\n")


def test_all_checks_are_found_and_each_says_something(tree: Tree) -> None:
    a_host(tree)
    tree.write("var/lib/dpkg/status", "Package: postfix\nStatus: install ok installed\nVersion: 3.10.1-1\n")
    said = {it.check for it in checks.run(tree.host)}
    assert set(checks.names()) - said <= {"certificate", "queue", "syslog"}


def test_the_exit_status_and_the_worst_first(tree: Tree) -> None:
    a_host(tree)
    done = doctor("--root", tree.root, "--user", "mailstat", "--format", "json", "--state-dir", "/")
    found = json.loads(done.stdout)
    assert found["report"] == "doctor"
    assert found["columns"] == ["severity", "check", "subject", "finding", "mend"]
    severities = [row["severity"] for row in found["rows"]]
    order = ["error", "warning", "note", "good"]
    assert severities == sorted(severities, key=order.index)
    assert done.returncode == (4 if "error" in severities else 3 if "warning" in severities else 0)
    tree.write("etc/logrotate.d/rsyslog", "/var/log/mail.log {\n  rotate 0\n}\n")
    assert doctor("--root", tree.root, "--user", "mailstat").returncode == 4


def test_a_user_that_there_is_not(tree: Tree) -> None:
    done = doctor("--root", tree.root, "--user", "nobody-of-that-name")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"mailstat: {tree.root}/etc/passwd has no user nobody-of-that-name\n"


def test_a_root_that_there_is_not(tmp_path: Path) -> None:
    done = doctor("--root", tmp_path / "absent")
    assert (done.returncode, done.stderr) == (1, f"mailstat: {tmp_path}/absent is no folder\n")


def test_what_is_no_text_anywhere_ends_no_check(tree: Tree) -> None:
    """Every file that a check reads, as somebody who wants it to fail would write it."""
    a_host(tree)
    noise = bytes(range(256)) * 50
    for path in (
        *("etc/rsyslog.conf", "etc/rsyslog.d/a.conf", "etc/syslog-ng/syslog-ng.conf", "etc/logrotate.conf"),
        *("etc/logrotate.d/x", "etc/postfix/main.cf", "etc/exim4/exim4.conf", "var/lib/dpkg/status", "etc/mailname"),
        *("etc/dovecot/dovecot.conf", "var/log/mail.log", "etc/group", "proc/1/cmdline", "proc/1/status"),
        *("usr/sbin/rsyslogd", "usr/sbin/exim4"),
    ):
        for content in (noise, b"{" * 9000, b"/var/log/mail.log {\n" * 500, b"=" * 9000, b"a" * 100_000):
            tree.write(path).write_bytes(content)
            checks.run(tree.host)


def test_this_very_host_can_be_looked_at() -> None:
    done = doctor("--format", "json")
    assert done.returncode in (0, 3, 4), done.stderr
    assert {row["severity"] for row in json.loads(done.stdout)["rows"]} <= {"error", "warning", "note", "good"}
