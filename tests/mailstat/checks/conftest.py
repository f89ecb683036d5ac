"""A host below a temporary folder, and an account of its that is not ours."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mailstat.account import Account
from mailstat.host import Host

NOW = 1_795_305_600.0  # 2026-11-22
OURS = os.getegid()  # the group of the files that a test makes
UID = 64_000


class Tree:
    """Files of a host."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.host = Host(
            account=Account("mailstat", UID, frozenset({UID}), {OURS: "adm"}, root),
            now=NOW,
            root=root,
            name="mail.example.com",
            addresses_of=lambda _: [],
            names_of=lambda _: [],
        )

    def write(self, path: str, text: str = "", mode: int = 0o644, changed: float = NOW) -> Path:
        at = self.root / path
        for folder in reversed([it for it in at.parents if it.is_relative_to(self.root)]):
            folder.mkdir(exist_ok=True, mode=0o755)
        at.write_text(text)
        at.chmod(mode)
        os.utime(at, (changed, changed))
        return at

    def join_group(self) -> None:
        """As `usermod --append --groups adm mailstat` does."""
        account = self.host.account
        self.host = replace(self.host, account=replace(account, gids=account.gids | {OURS}))


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "root"
    root.mkdir(mode=0o755)
    return Tree(root)


@pytest.fixture
def found(tree: Tree) -> Callable[..., list[tuple[str, str, str]]]:
    """Severity, subject and command of what a check finds."""

    def found(check) -> list[tuple[str, str, str]]:
        return [(it.severity, it.subject, it.mend) for it in check(tree.host)]

    return found
