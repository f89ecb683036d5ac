"""What operators, configurations and timers do to messages in the queue (src/deliver.c, src/queue.c, src/exim.c)."""

from __future__ import annotations

from parsers.events import Origin, QueueAction
from parsers.mta.exim.field import is_id
from parsers.shape import shape

ACTIONS = {
    "frozen": "hold",
    "Frozen": "hold",
    "unfrozen": "release",
    "Unfrozen": "release",
    "removed": "delete",
    "Message removed": "delete",
    "rescind the above message-accept": "cancel",
    "cancelled": "give_up",
    "Cancelled": "give_up",
}


def queue_action(time: float, origin: Origin, queue_id: str, done: str, reply: str | None) -> QueueAction | None:
    """A frozen message is held until somebody, or a timer, lets it go; one that is cancelled is returned. None for
    what a configuration says of something else in these words."""
    if not is_id(queue_id):
        return None
    return QueueAction(time, origin, queue_id, ACTIONS[done], reply=reply)


SHAPES = (
    shape(
        "{queue_id} {done:frozen|Frozen|unfrozen|Unfrozen|removed|Message removed|cancelled|Cancelled"
        "|rescind the above message-accept}[ {reply}]",
        "1tXk2a-00000000ABc-0dEf frozen by root",
        queue_action,
    ),
    shape(
        "{queue_id} address <{recipient}> marked delivered by {reply}",
        "1tXk2a-00000000ABc-0dEf address <kim@example.org> marked delivered by root",
        QueueAction,
        action="mark_delivered",
    ),
    shape(
        "{queue_id} all address{_:es|} marked delivered by {reply}",
        "1tXk2a-00000000ABc-0dEf all addresses marked delivered by root",
        QueueAction,
        action="mark_delivered",
    ),
    shape(
        "{queue_id} {_:address|recipient} <{recipient}> added by {reply}",
        "1tXk2a-00000000ABc-0dEf address <kim@example.org> added by root",
        QueueAction,
        action="add_recipient",
    ),
    # Each run of the queue says so of each message that it leaves alone.
    shape("{queue_id} Message is frozen", "1tXk2a-00000000ABc-0dEf Message is frozen"),
    shape(
        "{queue_id} Spool file {_}",
        "1tXk2a-00000000ABc-0dEf Spool file for 1tXk2a-00000000ABc-0dEf is locked (another process is handling this"
        " message)",
        general=True,
    ),
    shape(
        "{queue_id} no immediate delivery: {_}",
        "1tXk2a-00000000ABc-0dEf no immediate delivery: load average 9.20",
    ),
    shape(
        "{queue_id} {_:original recipients ignored|no recipients found in headers|moved from |sender address changed"
        "|Retry time not |retry time not |re-forked |renamed |Delivery attempt |Completed |message delivered|peer"
        " close after all rcpt responses}{_}",
        "1tXk2a-00000000ABc-0dEf original recipients ignored (system filter)",
        general=True,
    ),
    # Nobody is told of a failure: the message itself is such a notice, and its time is over.
    shape(
        "{queue_id} {_}: error ignored",
        "1tXk2a-00000000ABc-0dEf kim@example.org: error ignored",
        unkeyed=True,
    ),
)
