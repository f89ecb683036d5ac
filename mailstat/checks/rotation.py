"""Whether logrotate leaves what the exporter can follow: names, rights, compression, and nothing lost in between."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from exporter.sources.rotation import is_generation
from mailstat.account import quoted
from mailstat.host import Finding, Host

_LARGE = 1 << 30  # bytes of a log that nobody rotates
_OURS = {"gz", "bz2", "xz", "zst"}
_LEFT = re.compile(
    r".*(\.(bak|old|orig|rpmsave|rpmnew|disabled|cfsaved|ucf-\w+|dpkg-\w+)|~|,v)"
)  # `taboo` of logrotate
_CREATE = re.compile(r"create(\s+(?P<mode>[0-7]{3,4})(\s+(?P<user>\S+)(\s+(?P<group>\S+))?)?)?\s*$")
_SCRIPTS = ("prerotate", "postrotate", "firstaction", "lastaction", "preremove")
_REOPEN = "/usr/bin/systemctl kill --signal=HUP rsyslog.service"


class Rule(NamedTuple):
    """What logrotate does with some files; `words` are the directives with what follows them."""

    file: Path
    paths: tuple[str, ...]
    words: dict[str, str]

    def fits(self, path: str) -> bool:
        """Whether it is for this log."""
        return any(fnmatchcase(path, pattern) for pattern in self.paths)


def check(host: Host) -> Iterator[Finding]:
    """Each log that is followed."""
    rules = list(_rules(host))
    for log in host.logs:
        name = host.shown(log)
        rule = next((it for it in rules if it.fits(name)), None)
        if rule:
            found = list(_problems(host, log, rule))
            yield from found or [
                Finding("good", name, f"{host.shown(rule.file)} rotates it in a way that is followed")
            ]
        else:
            yield from _unrotated(log, name)


def _unrotated(log: Path, name: str) -> Iterator[Finding]:
    try:
        size = log.stat().st_size
    except OSError:
        return
    if size > _LARGE:
        rule = f"{name} {{\\n  weekly\\n  rotate 8\\n  compress\\n  delaycompress\\n  create\\n}}\\n"
        command = f"printf '{rule}' > /etc/logrotate.d/mailstat-{log.name}"
        yield Finding("warning", name, f"logrotate has no rule for it, and it has {size >> 20} MiB", command)
    else:
        yield Finding("note", name, "logrotate has no rule for it", "ls /etc/logrotate.d")


def _problems(host: Host, log: Path, rule: Rule) -> Iterator[Finding]:
    name, file = host.shown(log), quoted(Path(host.shown(rule.file)))
    words = rule.words
    if "copytruncate" in words:
        script = "" if "postrotate" in words else f"\\n    postrotate\\n        {_REOPEN}\\n    endscript"
        text = "copytruncate loses what is written between the copy and the truncation"
        yield Finding("warning", name, text, f"sed --in-place 's|\\bcopytruncate\\b|create{script}|' {file}")
    if words.get("rotate") == "0":
        text = "rotate 0 removes the log as it is rotated: what was not read yet is lost"
        yield Finding("error", name, text, f"sed --in-place 's/\\brotate 0\\b/rotate 2/' {file}")
    yield from _names(name, file, words)
    yield from _compression(name, file, words)
    yield from _rights(host, name, file, words)


def _names(name: str, file: str, words: dict[str, str]) -> Iterator[Finding]:
    log = Path(name)
    form = words.get("dateformat", "-%Y%m%d")
    # 2026-11-22, whatever the form makes of it.
    tail = time.strftime(form, time.gmtime(1795305600)) if "dateext" in words else ".1"
    if not is_generation(f"{log.name}{tail}", log.name) or ("dateext" in words and "%Y" not in form):
        text = f"a rotated log named {log.name}{tail} is not recognized: what was not read before is lost"
        yield Finding(
            "error", name, text, f"sed --in-place 's|^\\(\\s*\\)dateformat .*|\\1dateformat -%Y%m%d|' {file}"
        )
    olddir = words.get("olddir", "")
    if olddir and (log.parent / olddir).parent != log.parent:
        text = f"rotated logs go to {olddir}, which is not directly below {log.parent}: they are not found there"
        yield Finding(
            "error", name, text, f"sed --in-place 's|^\\(\\s*\\)olddir .*|\\1olddir {log.parent}/old|' {file}"
        )


def _compression(name: str, file: str, words: dict[str, str]) -> Iterator[Finding]:
    if "compress" not in words:
        return
    program = Path(words.get("compresscmd", "gzip")).name
    kind = words.get("compressext", "").lstrip(".") or {"bzip2": "bz2", "xz": "xz", "zstd": "zst"}.get(program, "gz")
    if kind not in _OURS or program not in ("gzip", "pigz", "bzip2", "pbzip2", "lbzip2", "xz", "pixz", "zstd"):
        text = f"logs packed by {program} as .{kind} cannot be read"
        yield Finding("warning", name, text, f"sed --in-place '/^\\s*compress\\(cmd\\|ext\\|options\\)\\b/d' {file}")
    elif "delaycompress" not in words:
        text = "a log is packed as it is rotated: a server that still writes to it loses lines"
        command = f"sed --in-place 's/^\\(\\s*\\)compress\\s*$/&\\n\\1delaycompress/' {file}"
        yield Finding("note", name, text, command)


def _rights(host: Host, name: str, file: str, words: dict[str, str]) -> Iterator[Finding]:
    found = _CREATE.match(f"create {words['create']}".strip()) if "create" in words else None
    if not found or not found["mode"] or host.account.uid == 0:
        return
    mode, group = int(found["mode"], 8), found["group"] or ""
    gids = {gid for gid, it in host.account.group_names.items() if it == group}
    is_of_group = not group or bool(gids & host.account.gids)
    by_owner = found["user"] == host.account.name and mode & 0o400
    if by_owner or mode & 0o004 or (mode & 0o040 and is_of_group):
        return
    text = f"the next log is created as {words['create']}, which {host.account.name} may not read"
    if mode & 0o040 and group not in ("", "root"):
        yield Finding("error", name, text, host.account.join(group))
    else:
        user = found["user"] or "root"
        yield Finding("error", name, text, f"sed --in-place 's/\\bcreate [0-7].*/create 0640 {user} adm/' {file}")


# --- the configuration of logrotate ---


def _rules(host: Host) -> Iterator[Rule]:
    main = host.at("/etc/logrotate.conf")
    defaults = directives("\n".join(line for head, _ in _blocks(host.text(main)) for line in _others(head)))
    for path in (main, *sorted(host.root.glob("etc/logrotate.d/*"))[:500]):
        if not _LEFT.fullmatch(path.name):
            yield from parse(path, host.text(path), defaults)


def parse(file: Path, text: str, defaults: dict[str, str]) -> Iterator[Rule]:
    """The rules of a file (logrotate.conf(5)); a rule has the defaults where it says nothing else."""
    for head, body in _blocks(text):
        if body is None:
            continue
        words = [word for line in head.splitlines() if _is_path(line) for word in line.split()]
        own = directives(body)
        kept = {word: value for word, value in defaults.items() if f"no{word}" not in own}
        yield Rule(file, tuple(word.strip("\"'") for word in words), kept | own)


def _blocks(text: str) -> Iterator[tuple[str, str | None]]:
    """What stands before each pair of braces, and in it; None at the end."""
    for part in _plain(text).split("}"):
        head, brace, body = part.partition("{")
        yield head, body if brace else None


def _others(head: str) -> list[str]:
    return [line for line in head.splitlines() if not _is_path(line)]


def _is_path(line: str) -> bool:
    return line.lstrip().startswith(("/", '"', "'"))


def directives(text: str) -> dict[str, str]:
    """Each directive with what follows it; scripts are left out but for their names."""
    found: dict[str, str] = {}
    is_script = False
    for line in text.splitlines():
        word, _, value = line.strip().partition(" ")
        if is_script:
            is_script = word != "endscript"
            continue
        is_script = word in _SCRIPTS
        if word:
            found[word] = value.strip()
    return found


def _plain(text: str) -> str:
    """Without comments, and with the braces of scripts out of the way."""
    lines: list[str] = []
    is_script = False
    for line in text.expandtabs(1).splitlines():
        word = line.split("#")[0].strip() if line.lstrip().startswith("#") else line.strip()
        if word.split(" ")[0] == "endscript":
            is_script = False
        lines.append(re.sub("[{}]", " ", word) if is_script else word)
        is_script |= word.split(" ")[0] in _SCRIPTS
    return "\n".join(lines)
