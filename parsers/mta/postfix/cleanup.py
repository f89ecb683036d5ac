"""cleanup(8): message-ids, and what header and body checks do with a message (src/cleanup).

What a Milter says of a message is logged in the words of smtpd(8), and stands there.
"""

from __future__ import annotations

from parsers.events import Origin, Problem, QueueAction, Queued, Reject
from parsers.reason import reason_of
from parsers.reply import read_reply
from parsers.shape import shape

ENDS = {"canceled": "cancel", "discarded": "discard"}
PHASE = "end_of_data"  # what we say of a message's content, the client hears after its last line


def message_id(time: float, origin: Origin, queue_id: str, text: str) -> Queued:
    """The Message-ID header as the sender wrote it: it may be empty, hold blanks, or lack brackets."""
    return Queued(time, origin, queue_id, text.strip().removeprefix("<").removesuffix(">"))


def rejection(
    time: float,
    origin: Origin,
    queue_id: str,
    client: str,
    sender: str,
    recipient: str | None,
    protocol: str | None,
    helo: str | None,
    sasl_method: str | None,
    sasl_user: str | None,
    reply: str | None,
) -> Reject:
    """A header or body check or a MIME rule refused the message."""
    name, ip = read_client(client)
    answer = read_reply(reply or "")
    return Reject(
        time,
        origin,
        queue_id,
        PHASE,
        name,
        ip,
        sender,
        recipient,
        protocol,
        helo,
        answer.code,
        answer.dsn,
        reply,
        reason_of(reply or "", answer.code, answer.dsn, PHASE),
        sasl_method,
        sasl_user,
    )


def malformed(
    time: float, origin: Origin, queue_id: str, reply: str, client: str, sender: str, recipient: str | None
) -> Reject:
    """The message breaks a rule of MIME (src/global/mime_state.c); we answer 554."""
    name, ip = read_client(client)
    to = None if recipient == "unknown" else recipient
    event = Reject(time, origin, queue_id, PHASE, name, ip, sender, to)
    event.reply_code, event.dsn, event.reply = 554, "5.6.0", reply
    event.reason = reason_of(reply, 554, "5.6.0", PHASE)
    return event


def not_accepted(time: float, origin: Origin, queue_id: str, words: str, text: str) -> Problem:
    """A table that does not answer: the client has to come again."""
    return Problem(time, origin, "warning", words + text, queue_id)


def check_action(
    time: float,
    origin: Origin,
    queue_id: str,
    action: str,
    client: str,
    sender: str,
    recipient: str | None,
    reply: str | None,
) -> QueueAction:
    """A check had the message held, discarded, or sent elsewhere."""
    name, ip = read_client(client)
    return QueueAction(time, origin, queue_id, action, None, name, ip, sender, recipient, reply)


def never_queued(time: float, origin: Origin, queue_id: str, end: str) -> QueueAction:
    """A message that went no further than cleanup: what 3.10 calls removed, though the queue never had it."""
    return QueueAction(time, origin, queue_id, ENDS[end])


def read_client(text: str) -> tuple[str | None, str | None]:
    """Name and address of `H[I]`; neither for `local`. What stands before belongs to the header that was found."""
    name, _, rest = text.rpartition(" from ")[2].partition("[")
    ip, bracket, _ = rest.partition("]")
    return (name, ip) if bracket else (None, None)


_CHECKED = " {_:header|body|content} {_} from {client}; from=<{sender}>[ to=<{recipient}>]"
_SESSION = (
    "[ proto={protocol}][ helo=<{helo}>]"
    # Postfix 3.10
    "[ sasl_method={sasl_method}][ sasl_username={sasl_user}][ sasl_sender={_}]"
)
_ANY_SESSION = "[ proto={_}][ helo=<{_}>][ sasl_{_}]"

SHAPES = (
    shape(
        "{queue_id}: message-id=<{message_id}>",
        "4dHvRq1ZTPz9sWk: message-id=<20250318.0912@mail.example.com>",
        Queued,
    ),
    shape(
        "{queue_id}: [resent-]message-id={text}",
        "4dHvRq1ZTPz9sWk: resent-message-id=<20250318.0912@mail.example.com>",
        message_id,
        general=True,
    ),
    shape(
        "{queue_id}: {_:reject|milter-header-reject}:" + _CHECKED + _SESSION + "[: {reply}]",
        "4dHvRq1ZTPz9sWk: reject: header Subject: cheap watches from client.example.net[198.51.100.7];"
        " from=<spam@example.net> to=<kim@example.org> proto=ESMTP helo=<client.example.net>: 5.7.1 No adverts",
        rejection,
    ),
    shape(
        "{queue_id}: reject: mime-error {reply}: {_} from {client}; from=<{sender}>[ to=<{recipient}>]",
        "4dHvRq1ZTPz9sWk: reject: mime-error improper use of 8-bit data in message header: Subject: ? from"
        " client.example.net[198.51.100.7]; from=<kim@example.net> to=<lee@example.org>",
        malformed,
        general=True,  # to be tried after the rejects of smtpd, which are many
    ),
    shape(
        "{queue_id}: [milter-header-]{action:hold|discard|filter|redirect}:"
        + _CHECKED
        + _ANY_SESSION
        + "[: {reply}]",
        "4dHvRq1ZTPz9sWk: hold: body password reset from local; from=<kim@example.com> to=<lee@example.org>: look",
        check_action,
    ),
    # The client went away too early or was refused, or a rule had the message discarded (Postfix 3.10).
    shape(
        "{queue_id}: [removed (]{end:" + "|".join(ENDS) + "}[)]",
        "4dHvRq1ZTPz9sWk: removed (canceled)",
        never_queued,
    ),
    # Rules that change or remark on a message, and let it pass.
    shape(
        "{queue_id}: [milter-header-]{_:warning|warn|info|prepend|replace|bcc|strip|pass|delay|ignore|dunno}:"
        " {_:header|body|content} {_}",
        "4dHvRq1ZTPz9sWk: replace: header MIME-Version: 1 from client.example.net[198.51.100.7];"
        " from=<kim@example.com> to=<lee@example.org> proto=ESMTP helo=<[192.0.2.9]>: MIME-Version: 1.0",
    ),
    # The same of other tables is a warning.
    shape(
        "{queue_id}: {words:masquerade_exceptions map lookup problem}{text}",
        "4dHvRq1ZTPz9sWk: masquerade_exceptions map lookup problem -- message not accepted, try again later",
        not_accepted,
    ),
)
