"""The queue managers, qmgr(8) and oqmgr(8): a message becomes active, expires, leaves the queue (src/qmgr)."""

from __future__ import annotations

from parsers.events import Delivery, Queued, Removed
from parsers.mta.postfix.delivery import cut
from parsers.shape import shape

SHAPES = (
    shape(
        "{queue_id}: from=<{sender}>, size={size}, nrcpt={recipients} (queue active)",
        "4dHvRq1ZTPz9sWk: from=<news@example.com>, size=4711, nrcpt=2 (queue active)",
        Queued,
    ),
    # The null sender and others without brackets: before Postfix 2.0, or through a program that rewrites logs.
    shape(
        "{queue_id}: from={sender}, size={size}[, nrcpt={recipients}] (queue active)",
        "1A2B3C4D5E: from=news@example.com, size=4711, nrcpt=1 (queue active)",
        Queued,
        general=True,
    ),
    # The recipients that were still waiting are not on the line: they were logged as deferred before.
    shape(
        "{queue_id}: from=<{sender}>, status={reply:expired|force-expired}, returned to sender",
        "4dHvRq1ZTPz9sWk: from=<news@example.com>, status=expired, returned to sender",
        Delivery,
        recipient=None,
        status="expired",
        direction="outbound",
    ),
    shape("{queue_id}: removed", "4dHvRq1ZTPz9sWk: removed", Removed, repeats=True),
    shape("{queue_id}: skipped, still being delivered", "4dHvRq1ZTPz9sWk: skipped, still being delivered"),
    shape("{queue_id}: from={text}", "4dHvRq1ZTPz9sWk: from=<news@example.com>, si", cut, general=True),
)
