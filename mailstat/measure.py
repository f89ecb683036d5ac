"""What is counted of a log as a whole, each as a question to the event table."""

from __future__ import annotations

MEASURES = {
    "received": "is_arrival",
    "sent": "status = 'sent'",
    "deferred": "status = 'deferred'",
    "bounced": "status = 'bounced'",
    "expired": "status = 'expired'",
    "rejects": "kind = 'reject'",
    "connections": "kind = 'connect'",
    "logins-failed": "kind = 'auth' AND result = 'failure'",
    "connection-errors": "kind = 'connection_error'",
    "problems": "kind = 'problem'",
}


def amount(measure: str) -> str:
    """How events are added up: one line may tell of several failed logins."""
    return "sum(attempts)" if measure == "logins-failed" else "count(*)"
