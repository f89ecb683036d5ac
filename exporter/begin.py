"""The source that a part of the configuration asks for."""

from __future__ import annotations

from glob import has_magic
from hashlib import sha256
from pathlib import Path

from exporter.config import LogSource, SyslogSource, address_of, network_of
from exporter.group import BLOCK_BYTES, Group, position_of
from exporter.source import Reading, Source, SourceMemory
from exporter.sources.feed import Feed
from exporter.sources.file import FileTail
from exporter.sources.journal import Journal
from exporter.sources.position import forget
from exporter.sources.stdin import Stdin
from exporter.sources.syslog import Certificate, Syslog, Terms

AnySource = Source | Group


def begin(
    config: LogSource, reading: Reading, memory: SourceMemory | None = None, state_dir: Path | None = None
) -> AnySource:
    """A source that goes on from what one of its name knew; a file, where none did, from the offset file that an
    earlier release or pygtail left."""
    pattern = pattern_of(config)
    if pattern:
        is_wrapped = config.container is not None
        return Group(config.name, pattern, reading, memory, most=config.files, is_wrapped=is_wrapped)
    if config.file and memory and state_dir:
        forget(offset_file(state_dir, config.file))  # what it said is in the state
    return Source(config.name, _feed(config, reading, memory, state_dir), reading, memory)


def is_other(old: LogSource, new: LogSource) -> bool:
    """Whether a source has to be begun anew, for more has changed than how its lines are read."""
    return (old.syslog, old.files, old.kind) != (new.syslog, new.files, new.kind)


def pattern_of(config: LogSource) -> Path | None:
    """What the names of a source's files match, where it may have several."""
    if config.directory:
        return config.directory / "*"
    if config.file and has_magic(str(config.file)):
        return config.file
    return config.container


def offset_file(state_dir: Path, file: Path) -> Path:
    """Where releases without a state kept the position in a log."""
    return state_dir / f"{file.name}-{sha256(bytes(file.absolute())).hexdigest()[:12]}.offset"


def _feed(config: LogSource, reading: Reading, memory: SourceMemory | None, state_dir: Path | None) -> Feed:
    place = memory.position if memory else None
    if config.journal:
        return Journal(config.journal.unit, config.journal.directory, place)
    if config.syslog:
        return _syslog(config.syslog, reading)
    if config.file:
        offsets = state_dir and offset_file(state_dir, config.file)
        return FileTail(config.file, offsets, position=position_of(memory), block_bytes=BLOCK_BYTES)
    return Stdin()


def _syslog(config: SyslogSource, reading: Reading) -> Syslog:
    certificate = None
    if config.cert_file and config.key_file:
        certificate = Certificate(config.cert_file, config.key_file, config.client_ca_file)
    networks = tuple(map(network_of, config.allow))
    terms = Terms(networks, config.clients, config.frame_bytes, config.idle)
    return Syslog(address_of(config.listen), reading.now, terms, certificate)
