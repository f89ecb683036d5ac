"""Rights on logs, spools, sockets and secrets; and that the command gives them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest

from exporter.config import load_config
from mailstat.account import READ, Account, account_of, running_account
from mailstat.checks import configuration, log, queue
from tests.mailstat.checks.conftest import NOW, UID, Tree

LINE = "2026-11-21T23:59:58+00:00 mail postfix/qmgr[7]: 4T1: removed\n"


def test_a_log_that_may_be_read(tree: Tree, found) -> None:
    tree.write("var/log/mail.log", LINE)
    assert found(log.check) == [("good", "/var/log/mail.log", "")]


def test_a_log_of_a_group(tree: Tree, found) -> None:
    tree.write("var/log/mail.log", LINE, 0o640)
    assert found(log.check) == [("error", "/var/log/mail.log", "usermod --append --groups adm mailstat")]
    tree.join_group()
    assert found(log.check) == [("good", "/var/log/mail.log", "")]


def test_a_log_in_a_folder_that_may_not_be_searched(tree: Tree, found) -> None:
    tree.write("var/log/mail.log", LINE, 0o600).parent.chmod(0o750)
    command = "usermod --append --groups adm mailstat && setfacl --modify user:mailstat:r /var/log/mail.log"
    assert found(log.check) == [("error", "/var/log/mail.log", command)]


@pytest.mark.skipif(not shutil.which("setfacl"), reason="no setfacl")
def test_the_command_gives_the_right(tree: Tree, found) -> None:
    path = tree.write("var/log/mail.log", LINE, 0o600)
    path.parent.chmod(0o700)
    ((_, _, command),) = found(log.check)
    done = subprocess.run(
        command.replace("user:mailstat", f"user:{UID}").replace(" /var", f" {tree.root}/var"),
        shell=True,
        check=False,
        capture_output=True,
    )
    if b"not supported" in done.stderr:
        pytest.skip("a file system without ACLs")
    assert found(log.check) == [("good", "/var/log/mail.log", "")]
    other = replace(tree.host.account, uid=UID + 1)
    assert not other.may(path, READ)


@pytest.mark.parametrize(
    ("text", "changed", "severity"),
    [
        ("", NOW, "note"),
        (LINE, NOW - 3 * 86400, "warning"),
        ("2026-11-21T23:59:58+00:00 mail cron[7]: nothing of mail\n" * 50, NOW, "warning"),
    ],
    ids=["empty", "quiet", "of nobody"],
)
def test_a_log_that_tells_nothing(tree: Tree, found, text: str, changed: float, severity: str) -> None:
    tree.write("var/log/mail.log", text, changed=changed)
    ((told, _, command),) = found(log.check)
    assert told == severity
    assert "/var/log/mail.log" in command


def test_no_log_at_all(tree: Tree, found) -> None:
    assert [(severity, subject) for severity, subject, _ in found(log.check)] == [("error", "logs")]


def test_a_log_of_the_configuration_that_is_not_there(tree: Tree, found) -> None:
    config = tree.write("etc/mailstat.yml", f"sources: [{{file: {tree.root}/var/log/absent.log}}]")
    tree.host = replace(tree.host, config=load_config(config))
    ((severity, subject, _),) = found(log.check)
    assert (severity, subject) == ("error", "/var/log/absent.log")


# Queues


def test_showq_is_for_its_group(tree: Tree, found) -> None:
    tree.write("etc/postfix/main.cf")
    public = tree.root / "var/spool/postfix/public"
    public.mkdir(parents=True)
    for name in ("active", "deferred", "hold", "incoming"):
        (public.parent / name).mkdir(mode=0o700)
    for folder in (tree.root / "var", tree.root / "var/spool", public.parent):
        folder.chmod(0o755)
    ((severity, subject, command),) = found(queue.check)
    assert (severity, subject, command) == ("warning", "postfix /var/spool/postfix", "postfix start")
    with socket.socket(socket.AF_UNIX) as showq:
        here = Path.cwd()
        try:
            os.chdir(public)  # a socket's name may not be long
            showq.bind("showq")
        finally:
            os.chdir(here)
        (public / "showq").chmod(0o666)
        public.chmod(0o710)
        assert found(queue.check) == [
            ("warning", "postfix /var/spool/postfix", "usermod --append --groups adm mailstat")
        ]
        tree.join_group()
        assert found(queue.check) == [("good", "postfix /var/spool/postfix", "")]


@pytest.mark.parametrize(
    ("spool", "folder", "name"),
    [
        ("var/spool/exim4", "input", "exim /var/spool/exim4"),
        ("var/spool/smtpd", "queue", "opensmtpd /var/spool/smtpd"),
        ("var/qmail/queue", "mess", "qmail /var/qmail/queue"),
        ("var/spool/mqueue", ".", "sendmail /var/spool/mqueue"),
    ],
)
def test_a_spool_of_a_group_and_one_of_nobody(tree: Tree, found, spool: str, folder: str, name: str) -> None:
    path = tree.root / spool / folder
    path.mkdir(parents=True)
    for parent in (path, *path.parents):
        if parent.is_relative_to(tree.root):
            parent.chmod(0o755)
    path.chmod(0o750)
    assert found(queue.check) == [("error", name, "usermod --append --groups adm mailstat")]
    path.chmod(0o700)
    ((severity, _, command),) = found(queue.check)
    assert (severity, command) == ("error", f"setfacl --modify user:mailstat:rx /{path.relative_to(tree.root)}")
    path.chmod(0o755)
    assert found(queue.check) == [("good", name, "")]


# The configuration


def test_a_configuration_that_is_refused_and_a_state_that_cannot_be_kept(tree: Tree, found) -> None:
    path = tree.write("etc/mailstat.yml", "sorces: []")
    (tree.root / "var/lib").mkdir(parents=True)
    tree.host = replace(tree.host, config_file=path)
    first, second = found(configuration.check)
    assert first == ("error", str(path), f"mailstat_exporter --config.check --config.file={path}")
    assert second == (
        "error",
        "/var/lib/mailstat",
        "install --directory --owner=mailstat --mode=0750 /var/lib/mailstat",
    )


def test_a_dynamic_user_joins_by_a_drop_in(tree: Tree, found, tmp_path: Path) -> None:
    tree.write("var/log/mail.log", LINE, 0o640)
    tree.host = replace(tree.host, account=replace(tree.host.account, name=str(UID), is_dynamic=True))
    ((_, _, command),) = found(log.check)
    assert "usermod" not in command
    folder = "/etc/systemd/system/mailstat_exporter.service.d"
    assert command.endswith(" && systemctl daemon-reload && systemctl restart mailstat_exporter")
    written = command.partition(" && systemctl")[0].replace(folder, str(tmp_path / "drop-in"))
    subprocess.run(["sh", "-c", written], check=True)
    assert (tmp_path / "drop-in/adm.conf").read_text() == "[Service]\nSupplementaryGroups=adm\n"


def test_a_dynamic_user_that_no_group_helps_becomes_one_that_stays(tree: Tree, found) -> None:
    tree.write("var/log/mail.log", LINE, 0o600)
    tree.host = replace(tree.host, account=replace(tree.host.account, name=str(UID), is_dynamic=True))
    ((_, _, command),) = found(log.check)
    assert command.startswith("{ id --user mailstat || useradd --system mailstat; } && ")
    assert command.endswith(" && setfacl --modify user:mailstat:r /var/log/mail.log")


def test_a_state_of_somebody_else(tree: Tree, found) -> None:
    tree.write("var/lib/mailstat/state.db", "", 0o600)
    (tree.root / "var/lib/mailstat").chmod(0o777)
    chown = "chown --recursive mailstat /var/lib/mailstat"
    assert found(configuration.check) == [("error", "/var/lib/mailstat", chown)]
    (tree.root / "var/lib/mailstat/state.db").chmod(0o666)
    assert found(configuration.check) == [("good", "/var/lib/mailstat", "")]


def test_a_state_without_room(tree: Tree, found) -> None:
    folder = tree.root / "var/lib/mailstat"
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0777", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        room = "df --human-readable /var/lib/mailstat; df --inodes /var/lib/mailstat"
        assert found(configuration.check) == [("error", "/var/lib/mailstat", room)]
    finally:
        subprocess.run(["umount", folder], check=True)


def test_the_state_of_a_dynamic_user(tree: Tree, found) -> None:
    """The unit's: systemd keeps it in a folder of root's own, and leads the unit's account around that one."""
    private = tree.root / "var/lib/private"
    state = private / "mailstat"
    state.mkdir(parents=True)
    for folder in (tree.root / "var", tree.root / "var/lib"):
        folder.chmod(0o755)
    (tree.root / "var/lib/mailstat").symlink_to("private/mailstat")
    private.chmod(0o700)
    state.chmod(0o755)
    assert found(configuration.check) == [
        ("error", "/var/lib/mailstat", "chown --recursive mailstat /var/lib/mailstat")
    ]
    state.chmod(0o777)
    assert found(configuration.check) == [("good", "/var/lib/mailstat", "")]


def test_a_secret_that_everybody_may_read(tree: Tree, found) -> None:
    hashed = bcrypt.hashpw(b"x", bcrypt.gensalt(4)).decode()
    web = tree.write("etc/web.yml", f"basic_auth_users: {{a: {hashed}}}")
    tree.host = replace(tree.host, web_config_file=web)
    findings = [it for it in found(configuration.check) if it[0] != "good" and it[1] == str(web)]
    assert ("error", str(web), f"chmod o= {web}") in findings
    assert [it[0] for it in findings] == ["error", "warning"]


def test_a_password_of_a_probe_that_may_not_be_read(tree: Tree, found) -> None:
    secret = tree.write("etc/probe.pw", "x", 0o600)
    probe = (
        "{name: a, every: 5m, send: {server: smtp.example.com, username: a, password_file: probe.pw, "
        "from: a@example.com, to: b@example.com}}"
    )
    config = tree.write("etc/mailstat.yml", f"probes: [{probe}]")
    tree.host = replace(tree.host, config=load_config(config))
    assert ("error", str(secret), "setfacl --modify user:mailstat:r /etc/probe.pw") in found(configuration.check)


# Accounts


def test_an_account_with_its_groups(tree: Tree) -> None:
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\nmailstat:x:990:991::/:/bin/false\nbroken\nodd:x:a:b::\n")
    tree.write("etc/group", "adm:x:4:mailstat,bob\nmailstat:x:991:\npostdrop:x:120:alice\nbroken\n")
    account = account_of("mailstat", tree.root)
    assert account == Account(
        "mailstat", 990, frozenset({991, 4}), {4: "adm", 991: "mailstat", 120: "postdrop"}, tree.root
    )
    assert account_of("nobody", tree.root) is None
    assert account_of("odd", tree.root) is None


def test_the_account_of_the_exporter_that_runs(tree: Tree) -> None:
    tree.write("etc/passwd", "mailstat:x:990:991::/:/bin/false\n")
    tree.write("etc/group", "adm:x:4:\n")
    tree.write("proc/12/cmdline", "/usr/bin/python3\0-c\0mailstat_exporter\0")
    tree.write(
        "proc/12/status", "Name:\tpython3\nUid:\t990\t990\t990\t990\nGid:\t991\t991\t991\t991\nGroups:\t4 991 \n"
    )
    tree.write("proc/13/cmdline", "")
    assert running_account(tree.root) == Account("mailstat", 990, frozenset({991, 4}), {4: "adm"}, tree.root)
