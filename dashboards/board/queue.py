"""What waits, how long, for whom, and when it will be gone."""

from __future__ import annotations

from dashboards.layout import Board, Row
from dashboards.panel import BAD, PLAIN, THIRD, WARN, About, bars, lines, number, rows
from dashboards.query import select, total

_WAITING = 'queue!~"hold|frozen|corrupt"'
_MOVING = 'queue=~"maildrop|incoming|active"'
_NO_SCAN = "no queue is scanned: name one under queues: in the configuration"

BOARD = Board(
    "queue",
    "Queue",
    "What waits, how long, for whom, and when it will be gone.",
    ("mta", "service", "provider"),
    (
        Row(
            "Now",
            (
                number(
                    About(
                        "Waiting",
                        "Messages that are to be delivered.",
                        runbooks=("MailQueueGrowing",),
                        span=6,
                        base=PLAIN,
                    ),
                    total("", select("mail_queue_messages", _WAITING)),
                ),
                number(
                    About(
                        "Held back or broken",
                        "Messages on hold, frozen or corrupt: they do not leave by themselves.",
                        span=6,
                        steps=((1, WARN),),
                    ),
                    total("", select("mail_queue_messages", 'queue=~"hold|frozen|corrupt"')) + " or vector(0)",
                ),
                number(
                    About(
                        "Oldest in active",
                        "Age of the oldest message on its way. More than seconds is slow, an hour is stuck.",
                        "s",
                        runbooks=("MailQueueOldestMessage",),
                        span=6,
                        steps=((600, WARN), (3600, BAD)),
                    ),
                    f"max({select('mail_queue_oldest_age_seconds', _MOVING)}) or vector(0)",
                ),
                number(
                    About(
                        "Empty in",
                        "At the rate of the last hour.",
                        "s",
                        "the queue does not shrink: never, or it is empty",
                        ("MailQueueNeverDrains",),
                        6,
                        base=PLAIN,
                    ),
                    f"max({select('service:mail_queue_drain_seconds:forecast')})",
                ),
            ),
        ),
        Row(
            "Depth and age",
            (
                lines(
                    About("Messages", "By queue.", runbooks=("MailQueueGrowing",)),
                    {"{{service}} {{queue}}": total("service, queue", select("mail_queue_messages"))},
                    is_stacked=True,
                ),
                lines(
                    About("Size", "By queue.", "bytes"),
                    {"{{service}} {{queue}}": total("service, queue", select("mail_queue_bytes"))},
                    is_stacked=True,
                ),
                lines(
                    About(
                        "Oldest message",
                        "By queue. A few old messages in deferred are usual: they wait for hosts that do not exist.",
                        "s",
                        runbooks=("MailQueueOldestMessage", "MailQueueNearExpiry"),
                    ),
                    {"{{service}} {{queue}}": f"max by (service, queue) ({select('mail_queue_oldest_age_seconds')})"},
                ),
                bars(
                    About("Age", "Messages at most so many seconds old.", base=PLAIN),
                    total("le", select("mail_queue_age_seconds", _WAITING)),
                    "{{le}}",
                ),
                lines(
                    About(
                        "Shrinks by",
                        "Messages a second by which the queue shrinks; below zero it grows.",
                        "short",
                        runbooks=("MailQueueGrowing", "MailQueueNeverDrains"),
                    ),
                    {"{{service}}": total("service", select("service:mail_queue_drain:rate1h"))},
                ),
            ),
        ),
        Row(
            "Why it waits",
            (
                lines(
                    About(
                        "By provider",
                        "Messages that wait for another attempt.",
                        empty="no message was deferred",
                        runbooks=("MailQueueNeverDrains",),
                    ),
                    {"{{provider}}": total("provider", select("mail_queue_deferred_messages"))},
                    is_stacked=True,
                ),
                lines(
                    About(
                        "By reason",
                        "Messages that wait for another attempt, by the reason of the last one.",
                        empty="no message was deferred",
                    ),
                    {"{{reason}}": total("reason", select("mail_queue_deferred_messages"))},
                    is_stacked=True,
                ),
                rows(
                    About(
                        "By provider and reason",
                        "Messages that wait for another attempt, now.",
                        empty="no message was deferred",
                        span=THIRD,
                    ),
                    f"sort_desc({total('provider, reason', select('mail_queue_deferred_messages'))} > 0)",
                ),
                lines(
                    About("Time of a scan", "How long reading the queue took.", "s", _NO_SCAN, span=THIRD),
                    {"{{instance}} {{service}}": select("mail_queue_scan_duration_seconds")},
                ),
                lines(
                    About(
                        "Scan complete",
                        "1: the figures are current. 0: the queue could not be read, or not all of it in time.",
                        "short",
                        _NO_SCAN,
                        ("MailQueueScanFailing",),
                        THIRD,
                    ),
                    {"{{instance}} {{service}}": select("mail_queue_scan_success")},
                ),
            ),
        ),
    ),
)
