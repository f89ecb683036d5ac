"""Where an unpacked package lies over the host's own files: what runs there sees it installed, and nobody else does.

For servers that know their paths by heart and log to syslog alone. There is an rsyslog in each room for that.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import NamedTuple

from stack.ground import PACKAGES, absent, run
from tests.mta.client import STRANGER
from tests.mta.ground import HOST
from tests.service import environment, wait_for

PACKAGE = "rsyslog"
SYSLOG = """\
module(load="imuxsock" SysSock.Name="{socket}" SysSock.RateLimit.Interval="0")
module(load="builtin:omfile" Template="RSYSLOG_TraditionalFileFormat")
*.* action(type="omfile" file="{log}")
"""
HOSTS = """\
127.0.0.1 localhost
{host} mx.here.example {name}
{stranger} stranger.example.net
"""
FIRST_ID = 61_100  # of the users that a room has beyond the host's (and of their groups): Debian leaves it free


class Room(NamedTuple):
    """A folder and the mounts that make it a room; each command gets mounts of its own."""

    folder: Path
    mounts: tuple[tuple[str | Path, ...], ...]

    def command(self, *command: str | Path) -> list[str]:
        """A command as it is run in the room."""
        mounts = " && ".join(shlex.join(map(str, ("mount", *mount))) for mount in self.mounts)
        script = f'{mounts} && exec "$@"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "room", *map(str, command)]

    def run(self, *command: str | Path, stdin: str = "") -> str:
        """Run a command that must succeed, and return what it said."""
        return run(*self.command(*command), stdin=stdin)

    @property
    def log(self) -> Path:
        return self.folder / "mail.log"


def missing(*packages: str) -> list[str]:
    """What a room with these packages needs and is not here."""
    missed = [package for package in (*packages, PACKAGE) if not (PACKAGES / package).exists()]
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        missed.append("the right to mount")
    return missed + absent("openssl")


@contextmanager
def room_in(folder: Path, packages: list[str], users: list[str], writable: tuple[str, ...] = ()) -> Iterator[Room]:
    """A room with these packages and users, where syslog runs; what is written below `writable` stays in it."""
    layers = [PACKAGES / package for package in (*packages, PACKAGE)]
    (folder / "dev").mkdir()
    (folder / "dev/log").symlink_to(folder / "log.socket")
    (folder / "usr").mkdir()
    _write_users(folder / "etc", users)
    (folder / "etc/hosts").write_text(HOSTS.format(host=HOST, stranger=STRANGER, name=gethostname()))
    (folder / "etc/resolv.conf").write_text("nameserver 127.0.0.1\n")  # says no, and says it at once
    mounts: list[tuple[str | Path, ...]] = [
        _overlay("/usr", [folder / "usr", *(layer / "usr" for layer in layers)]),
        _overlay("/etc", [folder / "etc", *(layer / "etc" for layer in layers)]),
        _overlay("/dev", [folder / "dev"]),
    ]
    for path in writable:
        own = folder / path.strip("/").replace("/", "-")
        own.mkdir()
        mounts.append(("--bind", own, path))
    room = Room(folder, tuple(mounts))
    config = folder / "rsyslog.conf"
    config.write_text(SYSLOG.format(socket=folder / "log.socket", log=room.log))
    syslog = subprocess.Popen(room.command("rsyslogd", "-n", "-iNONE", "-f", config), env=environment())
    try:
        wait_for((folder / "log.socket").exists)
        yield room
    finally:
        syslog.terminate()
        syslog.wait()


def _overlay(target: str, layers: list[Path]) -> tuple[str, ...]:
    lower = ":".join(str(layer) for layer in layers if layer.exists())
    return "-t", "overlay", "overlay", "-o", f"lowerdir={lower}:{target}", target


def _write_users(folder: Path, users: list[str]) -> None:
    folder.mkdir()
    known, groups = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
    for number, user in enumerate(users, start=FIRST_ID):
        known += f"{user}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
        groups += f"{user}:x:{number}:\n"
    (folder / "passwd").write_text(known)
    (folder / "group").write_text(groups)
