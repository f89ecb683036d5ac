"""Real configurations of Debian's packages, and a real Postfix that runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailstat.checks import rotation, syslog
from tests.mailstat.checks.conftest import Tree

ROOT = Path(__file__).parents[3]
RSYSLOG = ROOT / ".ci-packages" / "rsyslog"
EXIM = ROOT / ".ci-packages" / "exim4-daemon-light"
LINE = "2026-11-21T23:59:58+00:00 mail postfix/qmgr[7]: 4T1: removed\n"


@pytest.mark.skipif(
    not (RSYSLOG / "etc/rsyslog.conf").exists(), reason="tools/mail_servers.sh has not fetched rsyslog"
)
def test_how_debian_writes_and_rotates_the_mail_log(tree: Tree, found) -> None:
    tree.write("usr/sbin/rsyslogd")
    tree.write("etc/rsyslog.conf", (RSYSLOG / "etc/rsyslog.conf").read_text())
    tree.write("etc/logrotate.d/rsyslog", (RSYSLOG / "etc/logrotate.d/rsyslog").read_text())
    tree.write("var/log/mail.log", LINE)
    assert found(syslog.check) == [("good", "/var/log/mail.log", "")]
    assert found(rotation.check) == [("good", "/var/log/mail.log", "")]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that Postfix' accounts can pass, which those of pytest are not."""
    with tempfile.TemporaryDirectory(prefix="mailstat-doctor-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


SCRIPT = """
set -e
mkdir etc spool log
cp -a /etc/postfix/. etc; cp -a /var/spool/postfix/. spool
cat > etc/main.cf <<END
compatibility_level = 3.6
myhostname = mail.example.com
inet_interfaces = loopback-only
maillog_file = /var/log/postfix.log
END
postconf -c etc -MX smtp/inet
mount --bind etc /etc/postfix; mount --bind spool /var/spool/postfix; mount --bind log /var/log
postfix start >start.txt 2>&1
trap 'postfix stop >stop.txt 2>&1' EXIT
for name in nobody postfix; do
    "$PYTHON" -m mailstat doctor --user $name --format json >$name.json || test $? -gt 2
done
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("postfix"),
    reason="needs root, unshare and Postfix",
)
def test_a_postfix_that_runs(open_folder: Path) -> None:
    """Set up and started over the host's own folders, in a mount namespace that ends with it."""
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(ROOT)}
    command = ["unshare", "--mount", "--propagation=private", "sh", "-c", SCRIPT]
    done = subprocess.run(
        command, cwd=open_folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    if "Operation not permitted" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0, done.stderr

    def rows(name: str) -> set[tuple[str, str, str, str]]:
        found = json.loads((open_folder / f"{name}.json").read_text())["rows"]
        return {(row["severity"], row["check"], row["subject"], row["mend"]) for row in found}

    queue = "postfix /var/spool/postfix"
    assert ("good", "syslog", "/var/log/postfix.log", "") in rows("nobody")
    assert ("good", "version", "Postfix", "") in rows("nobody")
    assert ("warning", "queue", queue, "usermod --append --groups postdrop nobody") in rows("nobody")
    assert ("good", "queue", queue, "") in rows("postfix")
