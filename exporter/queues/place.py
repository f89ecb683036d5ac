"""Which queues there are: those that the operator names, or those that this host has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from exporter.config import PostfixSpool, QueueSource, Spool
from exporter.queues.entry import Place
from exporter.schema import Text

# A directory of the spool that no other server has, below the directory itself.
_SIGNS = {"postfix": "public"}
_MANY = ("postfix", "sendmail")  # a host has several queues of these
_SPOOLS = "var/spool"
_MOST = 100  # instances of a server on one host


def places(queues: Sequence[QueueSource]) -> list[Place]:
    """The queues that the configuration names."""
    return [
        _place(key.name, spool) for queue in queues for key in fields(queue) if (spool := getattr(queue, key.name))
    ]


def _place(mta: str, spool: Spool) -> Place:
    showq = spool.showq if isinstance(spool, PostfixSpool) else None
    return Place(mta, spool.spool, spool.service or service_of(mta, spool.spool), showq)


def find_queues(root: Path = Path("/")) -> list[Place]:
    """The queues below this root, whether we may read them or not."""
    try:
        spools = sorted((root / _SPOOLS).glob("postfix*"))[:_MOST]
        return [_found("postfix", path) for path in spools if (path / _SIGNS["postfix"]).is_dir()]
    except OSError:
        return []


def _found(mta: str, spool: Path) -> Place:
    return Place(mta, spool, service_of(mta, spool))


def service_of(mta: str, spool: Path) -> str:
    """The label of a queue that has no other: what the log calls an instance of Postfix is the name of its spool."""
    return spool.name if mta in _MANY else mta


def sources(found: Sequence[Place]) -> tuple[QueueSource, ...]:
    """The configuration that names these queues."""
    return tuple(QueueSource(postfix=PostfixSpool(spool=it.spool, service=Text(it.service))) for it in found)
