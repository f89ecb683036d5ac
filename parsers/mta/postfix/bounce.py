"""Notifications about messages: bounce(8), and as services of their own defer(8) and trace(8) (src/bounce)."""

from __future__ import annotations

from parsers.events import Notification, Origin, Problem
from parsers.shape import shape

TYPES = {"non-delivery": "bounce", "delay": "delay", "delivery status": "success"}


def notification(time: float, origin: Origin, queue_id: str, about: str, new_queue_id: str) -> Notification:
    """A notification to the sender or to postmaster, which enters the queue as `new_queue_id`."""
    return Notification(time, origin, queue_id, TYPES[about], new_queue_id)


def failure(time: float, origin: Origin, queue_id: str, receiver: str, text: str) -> Problem:
    """A notification that could not be made (Postfix 3.11)."""
    return Problem(time, origin, "warning", f"{receiver} notification failed{text}", queue_id)


def kept(time: float, origin: Origin, queue_id: str, what: str) -> Problem:
    """A message that stays in the queue, since the notification about it could not be made (src/global/bounce.c)."""
    return Problem(time, origin, "warning", f"{what} failed", queue_id)


SHAPES = (
    # Postfix 3.11 writes it before the notification's own lines, earlier releases after them.
    shape(
        "{queue_id}: {_:sender|postmaster} {about:non-delivery|delay|delivery status} notification: {new_queue_id}",
        "4dHvRq1ZTPz9sWk: sender non-delivery notification: 4dHvS02LQnz9sWm",
        notification,
    ),
    shape(
        "{queue_id}: {receiver:sender|postmaster} notification failed{text}",
        "4dHvRq1ZTPz9sWk: sender notification failed to news@example.com: queue file write error",
        failure,
    ),
    # Whoever asked for the notification (qmgr, cleanup) keeps the message for want of it.
    shape(
        "{queue_id}: status=deferred ({what:bounce|delay warning|verp|trace|whatever} failed)",
        "4dHvRq1ZTPz9sWk: status=deferred (bounce failed)",
        kept,
    ),
    shape(
        "{queue_id}: not sending trace/success notification {_}",
        "4dHvRq1ZTPz9sWk: not sending trace/success notification for double-bounce message",
    ),
)
