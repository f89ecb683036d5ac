"""What begins and ends on this host: pickup(8). (local, virtual and pipe write status lines only.)"""

from __future__ import annotations

from parsers.events import Received
from parsers.shape import shape

SHAPES = (
    # `orig_id` where an operator requeued a message (`postsuper -r`): the same message goes on under a new id.
    shape(
        "{queue_id}: uid={_} from=<{sender}> orig_id={original_queue_id}",
        "4dHvRq1ZTPz9sWk: uid=1000 from=<kim> orig_id=4dHvRp6bQWz9sWh",
        Received,
    ),
    shape("{queue_id}: uid={_} from=<{sender}>", "4dHvRq1ZTPz9sWk: uid=1000 from=<kim>", Received, general=True),
)
