"""Which queues there are: those that the operator names, or those that this host has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from exporter.config import PostfixSpool, QueueSource, Spool
from exporter.queues.entry import Place
from exporter.schema import Text

# Where the packages put it, and the directory in it that tells it from anything else.
_USUAL = (
    ("postfix", "var/spool/postfix*", "public"),
    ("exim", "var/spool/exim*", "input"),
    ("sendmail", "var/spool/mqueue*", ""),
    ("opensmtpd", "var/spool/smtpd", "queue"),
    ("qmail", "var/qmail/queue", "mess"),
)
_MAIN_CF = "etc/postfix/main.cf"  # a Postfix that was never configured has an empty spool, and no queue
_MANY = ("postfix", "sendmail")  # a host has several queues of these
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
    return [
        Place(mta, spool, service_of(mta, spool))
        for mta, pattern, sign in _USUAL
        for spool in sorted(root.glob(pattern))[:_MOST]
        if _is_there(spool / sign) and (mta != "postfix" or (root / _MAIN_CF).exists())
    ]


def _is_there(directory: Path) -> bool:
    """Whether it is one; where we may not look, it is: missing rights must not look like no mail."""
    try:
        return directory.is_dir()
    except PermissionError:
        return True


def service_of(mta: str, spool: Path) -> str:
    """The label of a queue that has no other: what the log calls an instance of Postfix is the name of its spool."""
    return spool.name if mta in _MANY else mta


def sources(found: Sequence[Place]) -> tuple[QueueSource, ...]:
    """The configuration that names these queues."""
    return tuple(_source(place) for place in found)


def _source(place: Place) -> QueueSource:
    kind = PostfixSpool if place.mta == "postfix" else Spool
    keys: dict[str, Any] = {place.mta: kind(spool=place.spool, service=Text(place.service))}
    return QueueSource(**keys)
