"""Whom the exporter runs as, and what that account may do with a file: owner, group, others, and POSIX ACLs."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote

READ, WRITE, SEARCH = 4, 2, 1
_LETTERS = {READ: "r", WRITE: "w", SEARCH: "x"}
_ACL = "system.posix_acl_access"
# acl(5), and include/uapi/linux/posix_acl.h: what an entry is about.
_USER, _GROUP_OBJ, _GROUP, _MASK = 0x02, 0x04, 0x08, 0x10
_LIMIT = 1 << 20  # bytes of /etc/passwd and /etc/group
_DYNAMIC = range(61184, 65520)  # systemd.exec(5): the ids of a DynamicUser
_DROP_IN = "/etc/systemd/system/mailstat_exporter.service.d"
_STAYS = "{ id --user mailstat || useradd --system mailstat; } && systemctl restart mailstat_exporter"


@dataclass(frozen=True)
class Account:
    """A user with the groups that it has; `group_names` are those of the host."""

    name: str
    uid: int
    gids: frozenset[int]
    group_names: dict[int, str] = field(default_factory=dict)
    root: Path = Path("/")  # of the host: what lies above is not its business
    is_dynamic: bool = False  # it is there as long as our unit runs, and is of no file of the host

    def may(self, path: Path, bits: int) -> bool:
        """Whether the last part of a path lets this account do all of that. Raises OSError."""
        if self.uid == 0:
            return True
        status = path.stat()
        mode = status.st_mode
        if status.st_uid == self.uid:
            return (mode >> 6) & bits == bits
        by_acl = self._by_acl(path, status.st_gid, bits)
        if by_acl is not None:
            return by_acl
        shift = 3 if status.st_gid in self.gids else 0
        return (mode >> shift) & bits == bits

    def obstacles(self, path: Path, bits: int) -> Iterator[tuple[Path, int]]:
        """What stands between this account and a path: each folder that it may not search, and the path itself where
        it may not do that; with the bits that are wanted there. Raises OSError where we cannot look ourselves."""
        real = path.resolve()
        for folder in reversed(real.parents):
            if folder.is_relative_to(self.root) and not self.may(folder, SEARCH):
                yield folder, SEARCH
        if not self.may(real, bits):
            yield real, bits

    def mend(self, path: Path, bits: int) -> str:
        """The command that gives this account the right: membership in the group that has it, else an entry in the
        ACL of each obstacle."""
        commands = dict.fromkeys(self._way(obstacle, wanted) for obstacle, wanted in self.obstacles(path, bits))
        return " && ".join(commands)

    def _way(self, obstacle: Path, bits: int) -> str:
        status = obstacle.stat()
        group = self.group_names.get(status.st_gid, "")
        if (status.st_mode >> 3) & bits == bits and group not in ("", "root"):
            return self.join(group)
        letters = "".join(letter for bit, letter in _LETTERS.items() if bits & bit)
        shown = f"/{obstacle.relative_to(self.root)}" if obstacle.is_relative_to(self.root) else str(obstacle)
        if self.is_dynamic:
            return f"{_STAYS} && setfacl --modify user:mailstat:{letters} {quoted(Path(shown))}"
        return f"setfacl --modify user:{self.name}:{letters} {quoted(Path(shown))}"

    def join(self, group: str) -> str:
        """The command that makes this account a member of a group."""
        if not self.is_dynamic:
            return f"usermod --append --groups {group} {self.name}"
        lines = f"'[Service]\\nSupplementaryGroups={group}\\n'"
        written = f"mkdir --parents {_DROP_IN} && printf {lines} > {_DROP_IN}/{group}.conf"
        return f"{written} && systemctl daemon-reload && systemctl restart mailstat_exporter"

    def _by_acl(self, path: Path, gid: int, bits: int) -> bool | None:
        """What an access control list says of it; None where there is none, or where it speaks of others."""
        try:
            content = os.getxattr(path, _ACL)
        except OSError:
            return None
        entries: list[tuple[int, int, int]] = [*struct.iter_unpack("<HHI", content[4:])]
        mask = next((rights for tag, rights, _ in entries if tag == _MASK), 7)
        for tag, rights, who in entries:
            if tag == _USER and who == self.uid:
                return (rights & mask & bits) == bits
        own = [
            rights & mask
            for tag, rights, who in entries
            if (tag == _GROUP and who in self.gids) or (tag == _GROUP_OBJ and gid in self.gids)
        ]
        return any(rights & bits == bits for rights in own) if own else None


def quoted(path: Path) -> str:
    """A path as a word of the shell."""
    return quote(str(path))


def account_of(name: str, root: Path = Path("/")) -> Account | None:
    """The account of this name on the host below `root`; None where there is none."""
    groups = _groups(root)
    for row in _rows(root / "etc/passwd"):
        if len(row) >= 4 and row[0] == name and row[2].isdecimal() and row[3].isdecimal():
            more = {gid for gid, (_, members) in groups.items() if name in members}
            return Account(name, int(row[2]), frozenset({int(row[3]), *more}), _names(groups), root)
    return None


def own_account(root: Path = Path("/")) -> Account:
    """That of this process."""
    uid, groups = os.geteuid(), _groups(root)
    name = next((row[0] for row in _rows(root / "etc/passwd") if len(row) > 2 and row[2] == str(uid)), str(uid))
    return Account(name, uid, frozenset({os.getegid(), *os.getgroups()}), _names(groups), root)


def running_account(root: Path = Path("/")) -> Account | None:
    """That of the exporter that runs on this host, with the groups that it really has; None where none runs."""
    for folder in (root / "proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if not any(Path(os.fsdecode(word)).name == "mailstat_exporter" for word in words[:3]):
                continue
            rows = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
            return _of_process(rows, root)
        except (OSError, ValueError, LookupError):  # it has ended since
            continue
    return None


def _of_process(rows: dict[str, str], root: Path) -> Account:
    uid = int(rows["Uid"].split()[1])
    gids = {int(rows["Gid"].split()[1]), *map(int, rows["Groups"].split())}
    name = next((row[0] for row in _rows(root / "etc/passwd") if len(row) > 2 and row[2] == str(uid)), str(uid))
    is_dynamic = name == str(uid) and uid in _DYNAMIC
    return Account(name, uid, frozenset(gids), _names(_groups(root)), root, is_dynamic)


def _groups(root: Path) -> dict[int, tuple[str, list[str]]]:
    rows = (row for row in _rows(root / "etc/group") if len(row) >= 4 and row[2].isdecimal())
    return {int(row[2]): (row[0], row[3].split(",")) for row in rows}


def _names(groups: dict[int, tuple[str, list[str]]]) -> dict[int, str]:
    return {gid: name for gid, (name, _) in groups.items()}


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.split(":") for line in file.read(_LIMIT).splitlines()]
    except OSError:
        return []
