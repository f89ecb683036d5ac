"""What the events of mail logs count up to: the `mail_…` metrics that a log can fill."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client.metrics_core import Metric as Family

from exporter.metrics.series import OTHER, Budget, Histogram, Labels, family
from parsers.events import (
    Auth,
    Connect,
    ConnectionFailure,
    Delivery,
    Disconnect,
    Event,
    Notification,
    Origin,
    Problem,
    QueueAction,
    Queued,
    Received,
    Reject,
    Removed,
    Tls,
)
from parsers.reply import valid_dsn

SERVICES = 50
REPLIES = 400  # pairs of reply code and enhanced status code
METHODS = 20
REASONS = 100
PROTOCOLS = 20
VIAS = ("smtp", "submission", "local", "notification")
STATUSES = ("sent", "deferred", "bounced", "expired")
STAGES = ("before_queue", "in_queue", "connect", "transmit")

ReplyKey = tuple[int | None, str | None]
# mta, service, direction, provider, status, reason, reply: one number feeds three metrics.
DeliveryKey = tuple[str, str, str, str, str, str, ReplyKey]


class MailMetrics:
    """Counts events that the tracker has put in context. `providers` of them get a label of their own."""

    def __init__(self, *, providers: int = 32) -> None:
        self.dropped: Counter[str] = Counter()
        self._providers = self._budget("mail_deliveries_total", providers)
        self._services = self._budget("mail_messages_received_total", SERVICES)
        self._methods = self._budget("mail_auth_attempts_total", METHODS)
        self._reasons = self._budget("mail_delivery_failures_total", REASONS)
        self._protocols = self._budget("mail_tls_connections_total", PROTOCOLS)
        self._replies: Budget[ReplyKey] = Budget("mail_delivery_replies_total", REPLIES, self.dropped, (None, None))
        self._deliveries: dict[DeliveryKey, int] = defaultdict(int)
        self._counts: dict[str, dict[Labels, int]] = defaultdict(lambda: defaultdict(int))
        self._connections = self._counts["mail_connections_total"]
        self._removals = self._counts["mail_messages_removed_total"]
        self._sizes = Histogram("mail_message_size_bytes")
        self._recipients = Histogram("mail_message_recipients")
        self._seconds = Histogram("mail_delivery_seconds")
        self._stages = Histogram("mail_delivery_stage_seconds")
        self._attempts = Histogram("mail_delivery_attempts")
        self._steps: dict[type[Event], Callable[[Any], None]] = {
            Auth: self._auth,
            Connect: self._connect,
            ConnectionFailure: self._connection_failure,
            Delivery: self._delivery,
            Disconnect: self._disconnect,
            Notification: self._notification,
            Problem: self._problem,
            Queued: self._queued,
            QueueAction: self._queue_action,
            Received: self._received,
            Reject: self._reject,
            Removed: self._removed,
            Tls: self._tls,
        }

    def observe(self, events: Iterable[Event]) -> None:
        """Count events."""
        steps = self._steps
        for event in events:
            steps[type(event)](event)

    def _budget(self, metric: str, most: int) -> Budget[str]:
        return Budget(metric, most, self.dropped, OTHER)

    def _count(self, metric: str, *labels: str, times: int = 1) -> None:
        self._counts[metric][labels] += times

    # --- a step for each kind of event ---

    def _connect(self, event: Connect) -> None:
        origin = event.origin
        self._connections[origin.mta, self._services[origin.service], origin.program] += 1

    def _disconnect(self, event: Disconnect) -> None:
        if event.logins:
            self._login(event.origin, "unknown", "success", event.logins)

    def _auth(self, event: Auth) -> None:
        self._login(event.origin, event.sasl_method or "unknown", event.result, event.attempts)

    def _login(self, origin: Origin, method: str, result: str, times: int) -> None:
        labels = (origin.mta, self._services[origin.service], self._methods[method.upper()], result)
        self._count("mail_auth_attempts_total", *labels, times=times)

    def _tls(self, event: Tls) -> None:
        direction = "outbound" if event.relay_host else "inbound"
        protocol, trust = self._protocols[event.tls_protocol or ""], self._protocols[event.tls_trust or ""]
        self._count("mail_tls_connections_total", event.origin.mta, direction, protocol, trust)

    def _received(self, event: Received) -> None:
        if event.logins:
            self._login(event.origin, event.sasl_method or "unknown", "success", event.logins)

    def _queued(self, event: Queued) -> None:
        if event.is_arrival:
            self._arrival(event)
            labels = (event.origin.mta, self._services[event.origin.service])
            self._sizes.observe(labels, event.size or 0)
            self._recipients.observe(labels, event.recipients or 0)

    def _arrival(self, event: Queued | QueueAction) -> None:
        via = event.message.via if event.message else ""
        self._count("mail_messages_received_total", event.origin.mta, self._services[event.origin.service], via)

    def _queue_action(self, event: QueueAction) -> None:
        if event.is_arrival:
            self._arrival(event)

    def _delivery(self, event: Delivery) -> None:
        origin, status = event.origin, event.status
        provider = self._providers[event.provider or OTHER] if event.direction == "outbound" else ""
        reason = self._reasons[event.reason] if event.reason else ""
        reply = self._replies[event.reply_code, event.dsn]
        service = self._services[origin.service]
        self._deliveries[origin.mta, service, event.direction, provider, status, reason, reply] += 1
        if status == "sent" and event.delay is not None:
            self._seconds.observe((origin.mta, provider), event.delay)
            if event.delay_transmit is not None:
                self._observe_stages(origin.mta, event)
        if event.attempts:
            self._attempts.observe((origin.mta, status), event.attempts)

    def _observe_stages(self, mta: str, event: Delivery) -> None:
        observe = self._stages.observe
        observe((mta, "before_queue"), event.delay_before_queue or 0.0)
        observe((mta, "in_queue"), event.delay_in_queue or 0.0)
        observe((mta, "connect"), event.delay_connect or 0.0)
        observe((mta, "transmit"), event.delay_transmit or 0.0)

    def _reject(self, event: Reject) -> None:
        origin = event.origin
        labels = (origin.mta, self._services[origin.service], event.phase or "", self._reasons[event.reason or ""])
        self._count("mail_rejects_total", *labels)

    def _notification(self, event: Notification) -> None:
        self._count("mail_notifications_total", event.origin.mta, event.type)

    def _removed(self, event: Removed) -> None:
        self._removals[event.origin.mta, self._services[event.origin.service]] += 1

    def _connection_failure(self, event: ConnectionFailure) -> None:
        provider = self._providers[event.provider or OTHER] if event.relay_host else ""
        self._count("mail_connection_errors_total", event.origin.mta, provider, event.error)

    def _problem(self, event: Problem) -> None:
        self._count("mail_log_problems_total", event.origin.mta, event.origin.program, event.severity)

    # --- for a scrape ---

    def collect(self, in_flight: dict[str, int]) -> Iterator[Family]:
        """The families of all `mail_…` metrics; `in_flight` are the tracker's messages for each MTA."""
        self._fill_in_zeros()
        yield from (family(name, counts) for name, counts in sorted(self._counts.items()))
        yield from self._delivery_families()
        yield family("mail_messages_in_flight", {(mta,): float(count) for mta, count in in_flight.items()})
        for histogram in (self._sizes, self._recipients, self._seconds, self._stages, self._attempts):
            yield histogram.family()

    def _fill_in_zeros(self) -> None:
        """A service that was seen has numbers, be they 0: a rate over a series that appears late misses its start."""
        seen = {(key[0], key[1]) for counts in (self._connections, self._removals) for key in counts}
        seen |= {(key[0], key[1]) for key in self._deliveries}
        for mta, service in seen:
            for via in VIAS:
                self._count("mail_messages_received_total", mta, service, via, times=0)
            self._removals[mta, service] += 0
            for status in STATUSES:
                self._deliveries[mta, service, "outbound", OTHER, status, "", (None, None)] += 0
            for kind in ("bounce", "delay", "success"):
                self._count("mail_notifications_total", mta, kind, times=0)

    def _delivery_families(self) -> Iterator[Family]:
        deliveries: Counter[Labels] = Counter()
        failures: Counter[Labels] = Counter()
        replies: Counter[Labels] = Counter()
        for (mta, service, direction, provider, status, reason, (code, dsn)), count in self._deliveries.items():
            deliveries[mta, service, direction, provider, status] += count
            if status != "sent" and count:
                failures[mta, service, provider, status, reason] += count
            if count and (code or valid_dsn(dsn)):
                replies[mta, status, str(code or ""), valid_dsn(dsn) or ""] += count
        yield family("mail_deliveries_total", deliveries)
        yield family("mail_delivery_failures_total", failures)
        yield family("mail_delivery_replies_total", replies)
