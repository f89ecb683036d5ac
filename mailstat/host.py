"""A host that is looked at: the tree of its files, what its programs say, its names in the DNS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from exporter.config import Config
from exporter.finder import find_logs, parameter
from exporter.queues.place import find_queues, places
from exporter.zone import host_zone
from parsers.clock import Clock
from parsers.reader import LogReader
from parsers.signature import Signatures

if TYPE_CHECKING:
    from exporter.queues.entry import Place
    from mailstat.account import Account

Severity = Literal["error", "warning", "note", "good"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note", "good")

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SECONDS = 20  # for a program
_LIMIT = 1 << 20  # bytes of a configuration file, and of a program's answer
_JOURNALS = ("var/log/journal", "run/log/journal")
_MOST_FILES = 100  # of one source
_TAIL = 1 << 16  # bytes at the end of a log


class Finding(NamedTuple):
    """What a check found. `mend` is a command for a shell, "" where nothing is to be mended."""

    severity: Severity
    subject: str
    text: str
    mend: str = ""


@dataclass(frozen=True)
class Look:
    """The end of a log, as a reader understands it."""

    lines: int
    is_of_nobody: bool
    last_time: float  # seconds since the epoch, 0 where no line tells


def _files(name: Path) -> list[Path]:
    """The files of a source, whose name may have wildcards; the name where there is none yet."""
    return [Path(path) for path in sorted(glob(str(name)))[:_MOST_FILES]] or [name]  # noqa: PTH207 - absolute


def addresses_of(name: str) -> list[str]:
    """What the resolver says of a name; nothing where it says nothing."""
    try:
        return sorted({str(it[4][0]) for it in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)})
    except (OSError, UnicodeError):
        return []


def names_of(address: str) -> list[str]:
    """What the resolver says of an address."""
    try:
        name, others, _ = socket.gethostbyaddr(address)
    except (OSError, UnicodeError):
        return []
    return [name, *others]


def tool(*command: str) -> str:
    """What a program of our own host says, "" where it is not there, or fails."""
    program = shutil.which(command[0], path=_PATH)
    if program is None:
        return ""
    environment = {"PATH": _PATH, "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, and paths that a configuration names
            [program, *command[1:]], capture_output=True, timeout=_SECONDS, env=environment, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout[:_LIMIT].decode("utf-8", "replace").strip()


@dataclass(frozen=True)
class Host:
    """Where to look. `now` is in seconds since the epoch; programs are asked only below the root that we run in."""

    account: Account
    now: float
    config: Config = field(default_factory=Config)
    config_file: Path | None = None
    web_config_file: Path | None = None
    state_dir: Path = Path("/var/lib/mailstat")
    root: Path = Path("/")
    name: str = field(default_factory=socket.getfqdn)
    addresses_of: Callable[[str], list[str]] = addresses_of
    names_of: Callable[[str], list[str]] = names_of

    @property
    def logs(self) -> list[Path]:
        """The logs that the exporter follows."""
        if not self.config.sources:
            return find_logs(self.root)
        return [path for source in self.config.sources if source.file for path in _files(source.file)]

    @property
    def journals(self) -> list[Path]:
        """The journals that it reads: those of the configuration; without one, the host's, where it has no log."""
        usual = [path for name in _JOURNALS if os.path.isdir(path := self.root / name)]  # noqa: PTH112 - quiet
        if not self.config.sources:
            return [] if self.logs else usual
        wanted = [source.journal for source in self.config.sources if source.journal]
        return [path for it in wanted for path in ([it.directory] if it.directory else usual)]

    @property
    def folders(self) -> list[Path]:
        """The folders whose files it follows."""
        return [source.directory for source in self.config.sources if source.directory]

    @property
    def queues(self) -> Sequence[Place]:
        """The queues that it scans."""
        return places(self.config.queues) or find_queues(self.root)

    def zone_of(self, log: Path) -> tzinfo:
        """The zone that the exporter takes the times of a log to be in."""
        own = next((source.timezone for source in self.config.sources if source.file == log), None)
        return own or self.config.timezone or host_zone(file=self.root / "etc/localtime")

    def at(self, path: str | Path) -> Path:
        """A path of the host, as we have to write it."""
        return self.root / str(path).lstrip("/")

    def shown(self, path: Path) -> str:
        """A path as the host writes it."""
        return f"/{path.relative_to(self.root)}" if path.is_relative_to(self.root) else str(path)

    def text(self, path: Path) -> str:
        """What stands in a file, "" where it cannot be read."""
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                return file.read(_LIMIT)
        except OSError:
            return ""

    def run(self, *command: str) -> str:
        """What a program of the host says, "" where it is not there, or fails."""
        return tool(*command) if self.root == Path("/") else ""

    def has(self, *paths: str) -> bool:
        """Whether one of these is there."""
        return any(os.path.lexists(self.at(path)) for path in paths)

    def postfix(self, name: str) -> str:
        """A parameter of Postfix; "" where it is not set, or where there is no Postfix that is set up."""
        main_cf = self.at("/etc/postfix/main.cf")
        if not os.path.exists(main_cf):  # noqa: PTH110 - which is quiet where we may not look
            return ""
        return self.run("postconf", "-xh", name) or parameter(main_cf, name)

    def look(self, log: Path) -> Look:
        """Read the end of a log. Raises OSError."""
        changed = log.stat().st_mtime
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - _TAIL, 0))
            content = file.read(_TAIL)
        if size > _TAIL:
            content = content.partition(b"\n")[2]
        reader = LogReader(Clock(self.zone_of(log), lambda: changed), signatures=Signatures())
        reader.read(content.decode("utf-8", "surrogateescape"))
        lines = sum(tally.lines for tally in reader.tallies.values())
        return Look(lines, not (reader.knows_writer or reader.knows_signer), reader.last_time)
