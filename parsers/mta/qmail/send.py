"""qmail-send: messages enter the queue and leave it, attempts begin, bounces are made (qmail-send.c, qmail-log(5)).

A message's number is the inode of its file: it is another message's as soon as this one has ended. IndiMail has
several queues, and ends each line with the name of its queue.
"""

from __future__ import annotations

from parsers.events import Event, Notification, Origin, Problem, Received, Removed
from parsers.memo import Memo
from parsers.mta.qmail.delivery import cut
from parsers.shape import shape

LONGEST = 15  # digits of a number that can be
DOUBLE_BOUNCE = "#@[]"  # the sender of what qmail-send writes when a bounce cannot be delivered
# Where people's user ids are (UID_MIN of login.defs and below Debian's and nobody's), but for those that `Life with
# qmail` gives to qmail's own users.
FIRST_USER, LAST_USER = 1000, 59_999
OWN_USERS = range(7790, 7797)


class Started(Event, gc=False):
    """An attempt begins: what its last line, which has its `number` alone, will need."""

    kind = "started"
    number: str
    queue_id: str
    transport: str
    recipient: str


def number(text: str) -> str:
    """The digits of a number. Raises ValueError for anything else, and for what no message and no size can be."""
    if not text.isdecimal() or len(text) > LONGEST:
        raise ValueError(f"no number: {text}")
    return text


def read_via(text: str) -> str:
    """How a message came, by who ran qmail-queue: root and people do it by themselves, a system user for a client.
    Raises ValueError where that is no user's id.

    Which user id qmail-smtpd has differs from host to host, and other daemons have theirs (www-data), so this is a
    guess, and it cannot tell a submission from other SMTP.
    """
    uid = int(number(text))
    return "local" if uid == 0 or (FIRST_USER <= uid <= LAST_USER and uid not in OWN_USERS) else "smtp"


VIAS: Memo[str, str] = Memo(read_via, most=100)


def received(time: float, origin: Origin, queue_id: str, size: str, sender: str, qp: str, uid: str) -> Received:
    """A message is in the queue. Raises ValueError where a number is none.

    One with no sender may be a bounce of ours, by the process that queued it: until `join.Attempts` tells which
    message it is about, `original_queue_id` is that process.
    """
    # By position: keywords cost more than the rest.
    event = Received(
        time,
        origin,
        number(queue_id),
        None,
        None,
        None,
        None,
        sender,
        None,
        None,
        None,
        None,
        int(number(size)),
        None,
        VIAS[uid],
    )
    if not sender or sender == DOUBLE_BOUNCE:
        event.original_queue_id = number(qp)
    return event


def bounced(time: float, origin: Origin, queue_id: str, qp: str) -> Notification:
    """A bounce was queued: until `join.Attempts` has read it, `new_queue_id` is the process that queued it.

    Raises ValueError where a number is none.
    """
    return Notification(time, origin, number(queue_id), "bounce", number(qp))


def ended(time: float, origin: Origin, queue_id: str) -> Removed:
    """Raises ValueError where the number is none."""
    return Removed(time, origin, number(queue_id))


def discarded(time: float, origin: Origin, words: str, queue_id: str) -> Problem:
    """Not even the postmaster could be told that a bounce was not delivered."""
    return Problem(time, origin, "warning", f"{words}: discarding bounce/{queue_id}", queue_id)


def alert(time: float, origin: Origin, text: str) -> Problem:
    """qmail-send cannot start or has to end, or cannot go on for a while."""
    is_fatal = text.startswith(("cannot start", "oh no!"))
    return Problem(time, origin, "fatal" if is_fatal else "error", text)


SHAPES = (
    shape("new msg {_}", "new msg 270182"),
    shape(
        "info msg {queue_id}: bytes {size} from <{sender}> qp {qp} uid {uid}[ {_}]",
        "info msg 270182: bytes 10712 from <news@example.com> qp 54945 uid 82",
        received,
    ),
    shape("info msg {text}", "info msg 270182: bytes 107", cut, general=True),
    shape(
        "starting delivery {number}: msg {queue_id} to {transport:local|remote} {recipient}[ {_}]",
        "starting delivery 251: msg 270182 to remote kim@example.org",
        Started,
    ),
    shape("starting delivery {text}", "starting delivery 251: msg 27", cut, general=True),
    # The numbers of attempts under way at once, locally and remotely; before and after `exiting`, too.
    shape("status: {_}", "status: local 1/10 remote 0/20"),
    shape("bounce msg {queue_id} qp {qp}[ {_}]", "bounce msg 270182 qp 54951", bounced),
    shape("bounce msg {text}", "bounce msg 270182", cut, general=True),
    shape("end msg {queue_id}[ {_}]", "end msg 270182", ended),
    shape(
        "{words:triple bounce|double bounce}: discarding bounce/{queue_id}[ {_}]",
        "triple bounce: discarding bounce/270190",
        discarded,
    ),
    shape("alert: {text}", "alert: cannot start: qmail-send is already running", alert),
    shape(
        "warning: {text}",
        "warning: unable to stat mess/13/270182; will try again later",
        Problem,
        severity="warning",
    ),
    # IndiMail's delivery agents, beside what qmail-send says.
    shape("{_:local|remote}: {_}", "local: news@example.com kim@example.org 10712 queue5"),
    # What is left of a line that is too long for splogger, see `unwrap`.
    shape("continued: {_}", "continued: rest of a long reply/"),
)
