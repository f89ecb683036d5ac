"""Whether the exporter's configuration is accepted, what it leaves open, and whether its state can be kept."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.config import load_config
from exporter.door.section import WebConfig, load_web_config
from exporter.door.tls import context
from exporter.schema import InvalidError
from exporter.state import FILE as STATE
from mailstat.account import READ, SEARCH, WRITE, Account, quoted
from mailstat.host import Finding, Host

STATE_BYTES = 1 << 20  # of a state of some hundred messages, with what is written before it is


def check(host: Host) -> Iterator[Finding]:
    """Both files, the secrets that they name, and the folder of the state."""
    account = host.account
    if host.config_file:
        yield from _file(account, host.config_file, "--config.file", load_config)
    if host.web_config_file:
        yield from _file(account, host.web_config_file, "--web.config.file", _checked_web)
        yield from _web(account, host.web_config_file)
    yield from _secrets(host)
    yield _state(host)


def _file(account: Account, path: Path, option: str, load: Callable[[Path], object]) -> Iterator[Finding]:
    try:
        load(path)
    except InvalidError as invalid:
        command = f"mailstat_exporter --config.check {option}={quoted(path)}"
        yield from (Finding("error", str(path), error, command) for error in invalid.errors)
        return
    yield _readable(account, path) or Finding("good", str(path), "it is accepted")


def _readable(account: Account, path: Path) -> Finding | None:
    try:
        if list(account.obstacles(path, READ)):
            return Finding("error", str(path), f"{account.name} may not read it", account.mend(path, READ))
    except OSError as error:
        return Finding("error", str(path), str(error.strerror), f"ls -l {quoted(path)}")
    return None


def _checked_web(path: Path) -> WebConfig:
    config = load_web_config(path)
    if config.tls:
        context(config.tls)
    return config


def _web(account: Account, path: Path) -> Iterator[Finding]:
    try:
        config = load_web_config(path)
    except InvalidError:
        return
    for file in config.files():
        if found := _readable(account, file):
            yield found
    if config.tls and config.tls.key_file:
        yield from _private(config.tls.key_file)
    if config.users:
        yield from _private(path)
        if not config.tls:
            text = "passwords go over the network in the clear: there is no tls_server_config"
            yield Finding("warning", str(path), text, "mailstat_exporter --web.listen-address=127.0.0.1:9587")


def _private(path: Path) -> Iterator[Finding]:
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if mode & 0o004:
        yield Finding("error", str(path), "everybody may read it, and it holds a secret", f"chmod o= {quoted(path)}")


def _secrets(host: Host) -> Iterator[Finding]:
    """The files that hold the probes' passwords."""
    for probe in host.config.probes:
        parts = (probe.send, *(vars(probe.arrive).values() if probe.arrive else ()))
        files = {value for part in parts if part for value in _paths(part)}
        for path in sorted(files):
            found = _readable(host.account, path)
            yield from [found] if found else _private(path)


def _paths(part: object) -> Iterator[Path]:
    names = getattr(part, "__dict__", {})
    yield from (value for name, value in names.items() if name == "password_file" and isinstance(value, Path))


def _state(host: Host) -> Finding:
    folder, account = host.at(host.state_dir), host.account
    private = host.at("/var/lib/private").resolve()  # systemd leads an account of a DynamicUser around it
    name = str(host.state_dir)
    text = f"{account.name} may not write there: after a restart the logs are read from their start"
    install = f"install --directory --owner={account.name} --mode=0750 {quoted(host.state_dir)}"
    try:
        folder.stat()  # of root's rights, nothing is asked of it
        rights = [path for path, _ in account.obstacles(folder, WRITE | SEARCH) if path != private]
    except FileNotFoundError:
        parent = folder.parent
        may_make = parent.is_dir() and not list(account.obstacles(parent, WRITE | SEARCH))
        return Finding("note", name, "it is not there yet") if may_make else Finding("error", name, text, install)
    except OSError as error:
        return Finding("note", name, f"we cannot look ourselves: {error.strerror}", "sudo mailstat doctor")
    if rights or not _may_write(account, folder / STATE):
        return Finding("error", name, text, f"chown --recursive {account.name} {quoted(host.state_dir)}")
    if _is_full(folder):
        words = "there is no room for the state: after a restart logs are read again from where it was saved last"
        at = quoted(host.state_dir)
        return Finding("error", name, words, f"df --human-readable {at}; df --inodes {at}")
    return Finding("good", name, f"{account.name} may keep the state there")


def _may_write(account: Account, file: Path) -> bool:
    """Whether it may write a file that is there."""
    try:
        return account.may(file, READ | WRITE)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _is_full(folder: Path) -> bool:
    """Whether a disk that has an end has no room for a state, or for one file more."""
    disk = os.statvfs(folder)
    is_short = disk.f_blocks > 0 and disk.f_bavail * disk.f_frsize < STATE_BYTES
    return is_short or (disk.f_files > 0 and not disk.f_favail)
