"""What the events of mail logs count up to: the `mail_…` metrics that a log can fill."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from prometheus_client.metrics_core import Metric as Family

from exporter.metrics.catalogue import METRICS
from exporter.metrics.domain import Domains
from exporter.metrics.series import OTHER, Budget, Histogram, HistogramMemory, Labels, family
from exporter.metrics.watch import Watch
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
from parsers.memo import Memo
from parsers.message import Deferral, Message
from parsers.reply import valid_dsn

SERVICES = 50
REPLIES = 400  # pairs of reply code and enhanced status code
METHODS = 20
REASONS = 100
PROTOCOLS = 20
VIAS = ("smtp", "submission", "local", "notification")
BY_DOMAIN = {"mail_deliveries_total": 3, "mail_delivery_failures_total": 2}  # where the provider is among the labels
STAGES = ("before_queue", "in_queue", "connect", "transmit")
STATUSES = ("sent", "deferred", "bounced", "expired")

_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}").fullmatch
RAW = 50_000  # events whose counts and delays are kept as they come before they are folded into labels and buckets

# What deliveries are told apart by (MTA, service, direction, provider, status, reason, reply code, enhanced status
# code, attempts); the delays of those alike feed five metrics.
DeliveryKey = tuple[str, str, str, str | None, str, str | None, int | None, str | None, int | None]
_STAGES: Callable[[Delivery], tuple[float | None, ...]] = attrgetter(*(f"delay_{stage}" for stage in STAGES))


def mechanism_of(method: str) -> str:
    """A SASL mechanism as RFC 4422 writes their names; `other` for what is none, which the client chose."""
    return method.upper() if _MECHANISM(method) else OTHER


MECHANISMS: Memo[str, str] = Memo(mechanism_of)
_PROGRAM: Callable[[Origin], tuple[str, str, str]] = attrgetter("mta", "service", "program")
_SERVICE: Callable[[Origin], tuple[str, str]] = attrgetter("mta", "service")
Raw = TypeVar("Raw")
Key = TypeVar("Key")


def merged(counts: Mapping[Raw, int], key: Callable[[Raw], Key]) -> dict[Key, int]:
    """Counts by what matters of them: a server that forks for each session has as many origins."""
    total: dict[Key, int] = defaultdict(int)
    for each, count in counts.items():
        total[key(each)] += count
    return total


class Memory(msgspec.Struct):
    """All that was counted, by metric and label values. `budgets` are the values that have a label of their own."""

    counts: dict[str, list[tuple[Labels, int]]] = {}
    histograms: dict[str, HistogramMemory] = {}
    budgets: dict[str, list[str]] = {}
    dropped: dict[str, int] = {}


class MailMetrics:
    """Counts events that the tracker has put in context. `providers` of them get a label of their own.

    What comes with nearly every line is counted by what is at hand (the origin itself, raw values) and folded into
    label values, where budgets hold, at a scrape or when there is too much of it.
    """

    def __init__(self, *, providers: int = 32) -> None:
        self.dropped: Counter[str] = Counter()
        self.watch = Watch()
        self._watch_delivery = self.watch.delivery
        self._domains = Domains()
        self._events = 0  # since the last fold
        self._budgets: dict[str, Budget[str]] = {}
        self._providers = self._budget("mail_deliveries_total", providers)
        self._services = self._budget("mail_messages_received_total", SERVICES)
        self._methods = self._budget("mail_auth_attempts_total", METHODS)
        self._reasons = self._budget("mail_delivery_failures_total", REASONS)
        self._protocols = self._budget("mail_tls_connections_total", PROTOCOLS)
        self._replies = self._budget("mail_delivery_replies_total", REPLIES)
        self._deliveries: dict[DeliveryKey, list[float | None]] = defaultdict(list)
        self._connects: dict[Origin, int] = defaultdict(int)
        self._removals: dict[Origin, int] = defaultdict(int)
        self._departures: dict[Labels, int] = defaultdict(int)  # removals of which no line tells
        self._sessions: dict[tuple[str, bool, str | None, str | None], int] = defaultdict(int)
        self._counts: dict[str, dict[Labels, int]] = defaultdict(lambda: defaultdict(int))
        self._logins: dict[tuple[str, str, str | None, str], list[int]] = defaultdict(list)
        # One value after the other: a tuple for each event is a load on the garbage collector.
        self._arrivals: dict[tuple[str, str], list[Any]] = defaultdict(list)  # via, size, recipients, via, …
        self._raw_stages: dict[str, list[float | None]] = defaultdict(list)  # a delay for each of the stages
        self._sizes = Histogram("mail_message_size_bytes")
        self._recipients = Histogram("mail_message_recipients")
        self._seconds = Histogram("mail_delivery_seconds")
        self._stages = Histogram("mail_delivery_stage_seconds")
        self._attempts = Histogram("mail_delivery_attempts")
        self._histograms = (self._sizes, self._recipients, self._seconds, self._stages, self._attempts)
        self._raw: tuple[dict[Any, Any], ...] = (
            self._deliveries,
            self._connects,
            self._removals,
            self._departures,
            self._sessions,
            self._logins,
            self._raw_stages,
            self._arrivals,
        )
        self._steps: dict[type[Event], Callable[[Any], None]] = {
            Auth: self._auth,
            ConnectionFailure: self._connection_failure,
            Delivery: self._delivery,
            Disconnect: self._session,
            Notification: self._notification,
            Problem: self._problem,
            QueueAction: self._queue_action,
            Received: self._received,
            Reject: self._reject,
        }

    def observe(self, events: Sequence[Any]) -> None:
        """Count events."""
        steps, connects, removals, sessions = self._steps, self._connects, self._removals, self._sessions
        for event in events:
            kind = type(event)
            if kind is Tls:
                sessions[event.origin.mta, event.relay_host is None, event.tls_protocol, event.tls_trust] += 1
            elif kind is Connect:
                connects[event.origin] += 1
            elif kind is Removed:
                removals[event.origin] += 1
            elif kind is Queued:
                if event.is_arrival:
                    self._arrival(event, event.message, event.size, event.recipients)
            elif kind is not Disconnect or event.logins:
                steps[kind](event)
        if events:
            self.watch.now = max(self.watch.now, events[-1].time)
        self._events += len(events)
        if self._events > RAW:
            self._fold()

    def limit(self, *, providers: int, domains: int = 0, idle_seconds: float = 86_400.0) -> None:
        """Let so many providers have a label of their own; those that have one keep it. With `domains`, so many of
        them do, until they were idle for so long."""
        self._providers.most = providers
        self._domains.most, self._domains.idle = domains, idle_seconds

    def _budget(self, metric: str, most: int) -> Budget[str]:
        self._budgets[metric] = Budget(metric, most, self.dropped, OTHER)
        return self._budgets[metric]

    def _count(self, metric: str, *labels: str, times: int = 1) -> None:
        self._counts[metric][labels] += times

    # --- a step for each kind of event ---

    def _received(self, event: Received) -> None:
        origin = event.origin
        if event.tls_sessions:
            self._sessions[origin.mta, True, event.tls_protocol, event.tls_trust] += 1
        if event.logins:
            self._logins[origin.mta, origin.service, event.sasl_method, "success"].append(event.logins)
        if event.is_arrival:
            self._arrival(event, event.message, event.size, event.recipients)
        if event.notification:
            self._count("mail_notifications_total", origin.mta, event.notification)

    def _session(self, event: Disconnect) -> None:
        origin = event.origin
        self._logins[origin.mta, origin.service, None, "success"].append(event.logins)

    def _auth(self, event: Auth) -> None:
        origin = event.origin
        self._logins[origin.mta, origin.service, event.sasl_method, event.result].append(event.attempts)
        if event.result == "failure":
            self.watch.failure(event)

    def _began(self, event: Delivery | QueueAction) -> None:
        """The first that is done with a message tells that it was taken."""
        message = event.message
        if message:
            self._arrival(event, message, message.size, message.recipients)

    def _arrival(self, event: Event, message: Message | None, size: int | None, recipients: int | None) -> None:
        origin = event.origin
        self._arrivals[origin.mta, origin.service] += (message.via if message else "", size, recipients)
        if message and message.sasl_user:
            self.watch.arrival(event.time, message)

    def _queue_action(self, event: QueueAction) -> None:
        if event.is_arrival:
            self._began(event)
        if event.is_removal:
            self._removals[event.origin] += 1

    def _delivery(self, event: Delivery) -> None:
        origin, status = event.origin, event.status
        self._deliveries[
            origin.mta,
            origin.service,
            event.direction,
            event.provider,
            status,
            event.reason,
            event.reply_code,
            event.dsn,
            event.attempts,
        ].append(event.delay)
        self._watch_delivery(event)
        if self._domains.most:
            self._domains.observe(event)
        if status == "sent" and event.delay_transmit is not None:
            self._raw_stages[origin.mta] += _STAGES(event)
        if event.greylisted is not None:
            self._greylisted(origin, event.greylisted)
        if event.is_removal:
            self._departures[origin.mta, origin.service] += 1
        if event.tls_sessions:
            self._sessions[origin.mta, False, event.tls_protocol, event.tls_trust] += 1
        if event.is_arrival:
            self._began(event)

    def _greylisted(self, origin: Origin, deferral: Deferral) -> None:
        provider = self._provider(deferral.direction, deferral.provider)
        reason = self._reasons[deferral.reason or "unclassified"]
        labels = (origin.mta, self._services[origin.service], provider, reason)
        self._count("mail_delivery_greylisted_total", *labels)

    def _provider(self, direction: str, provider: str | None) -> str:
        return self._providers[provider or OTHER] if direction == "outbound" else ""

    def _reject(self, event: Reject) -> None:
        origin = event.origin
        labels = (origin.mta, self._services[origin.service], event.phase or "", self._reasons[event.reason or ""])
        self._count("mail_rejects_total", *labels)

    def _notification(self, event: Notification) -> None:
        if event.is_arrival:
            self._arrivals[event.origin.mta, event.origin.service] += ("notification", None, None)
        self._count("mail_notifications_total", event.origin.mta, event.type)

    def _connection_failure(self, event: ConnectionFailure) -> None:
        provider = self._providers[event.provider or OTHER] if event.relay_host else ""
        self._count("mail_connection_errors_total", event.origin.mta, provider, event.error)

    def _problem(self, event: Problem) -> None:
        self._count("mail_log_problems_total", event.origin.mta, event.origin.program, event.severity)

    # --- for the metrics that go on in the place of these ---

    def memory(self) -> Memory:
        """All that was counted until now."""
        self._fold()
        return Memory(
            {name: list(counts.items()) for name, counts in self._counts.items()},
            {histogram.metric: histogram.memory() for histogram in self._histograms},
            {metric: list(budget) for metric, budget in self._budgets.items()},
            dict(self.dropped),
        )

    def restore(self, memory: Memory) -> None:
        """Go on counting from there. What the catalogue has no more, or in another form, begins anew."""
        for name, counts in memory.counts.items():
            if name in METRICS:
                width = len(METRICS[name].labels)
                self._counts[name].update((labels, count) for labels, count in counts if len(labels) == width)
        for histogram in self._histograms:
            histogram.restore(memory.histograms.get(histogram.metric))
        for metric, budget in self._budgets.items():
            budget.update((value, value) for value in memory.budgets.get(metric, ()))
        self.dropped.update(memory.dropped)

    # --- from raw values to labels ---

    def _fold(self) -> None:
        for (mta, raw_service, program), count in merged(self._connects, _PROGRAM).items():
            self._count("mail_connections_total", mta, self._services[raw_service], program, times=count)
        for removals in (merged(self._removals, _SERVICE), self._departures):
            for (mta, raw_service), count in removals.items():
                self._count("mail_messages_removed_total", mta, self._services[raw_service], times=count)
        for (mta, is_inbound, protocol, trust), count in self._sessions.items():
            direction = "inbound" if is_inbound else "outbound"
            kept = (self._protocols[protocol or ""], self._protocols[trust or ""])
            self._count("mail_tls_connections_total", mta, direction, *kept, times=count)
        for key, delays in self._deliveries.items():
            self._fold_deliveries(*key, delays=delays)
        for mta, stages in self._raw_stages.items():
            self._fold_stages(mta, stages)
        for login, attempts in self._logins.items():
            self._fold_logins(*login, attempts=attempts)
        for (mta, raw_service), arrivals in self._arrivals.items():
            self._fold_arrivals(mta, raw_service, arrivals)
        self._fold_domains()
        for raw in self._raw:
            raw.clear()
        self._events = 0

    def _fold_stages(self, mta: str, delays: list[float | None]) -> None:
        for place, stage in enumerate(STAGES):
            told = [delay for delay in delays[place :: len(STAGES)] if delay is not None]
            if told:
                self._stages.observe_all((mta, stage), told)

    def _fold_domains(self) -> None:
        domains = self._domains
        for (mta, raw_service, provider, status, reason), count, seat in domains.fold():
            # All of them were looked up for the same deliveries, and what had no room was counted.
            service, label = self._services.get(raw_service, OTHER), self._providers.get(provider or OTHER, OTHER)
            domains.attribute("mail_deliveries_total", (mta, service, "outbound", label, status), count, seat)
            if status != "sent":
                labels = (mta, service, label, status, self._reasons.get(reason or "unclassified", OTHER))
                domains.attribute("mail_delivery_failures_total", labels, count, seat)
        domains.reseat()
        self.dropped["mail_deliveries_total"] += domains.dropped
        domains.dropped = 0

    def _families(self) -> Iterator[Family]:
        """The counters; two of them by domain, where that is asked for."""
        for name, counts in sorted(self._counts.items()):
            if self._domains.most and name in BY_DOMAIN:
                yield family(name, self._domains.series(name, counts, BY_DOMAIN[name]), ("domain",))
            else:
                yield family(name, counts)

    def _fold_logins(
        self, mta: str, raw_service: str, method: str | None, result: str, *, attempts: list[int]
    ) -> None:
        count = len(attempts)
        service = self._services.of(raw_service, count)
        kept = self._methods.of(MECHANISMS[method or "unknown"], count)
        self._count("mail_auth_attempts_total", mta, service, kept, result, times=sum(attempts))

    def _fold_arrivals(self, mta: str, raw_service: str, arrivals: list[Any]) -> None:
        service = self._services[raw_service]
        for via, count in Counter(arrivals[::3]).items():
            self._count("mail_messages_received_total", mta, service, via, times=count)
        for values, histogram in ((arrivals[1::3], self._sizes), (arrivals[2::3], self._recipients)):
            told = [value for value in values if value is not None]
            if told:
                histogram.observe_all((mta, service), told)

    def _fold_deliveries(
        self,
        mta: str,
        raw_service: str,
        direction: str,
        provider: str | None,
        status: str,
        reason: str | None,
        reply_code: int | None,
        dsn: str | None,
        attempts: int | None,
        *,
        delays: list[float | None],
    ) -> None:
        service, count = self._services[raw_service], len(delays)
        label = self._providers.of(provider or OTHER, count) if direction == "outbound" else ""
        self._count("mail_deliveries_total", mta, service, direction, label, status, times=count)
        if attempts:
            self._attempts.observe((mta, status), attempts, count)
        if status == "sent":
            self._seconds.observe_all((mta, label), [delay for delay in delays if delay is not None])
        else:
            why = self._reasons[reason or "unclassified"]
            self._count("mail_delivery_failures_total", mta, service, label, status, why, times=count)
        if reply_code or valid_dsn(dsn):
            reply = self._replies[f"{reply_code or ''} {valid_dsn(dsn) or ''}"]
            code, _, enhanced = reply.partition(" ") if reply != OTHER else (OTHER, "", OTHER)
            self._count("mail_delivery_replies_total", mta, status, code, enhanced, times=count)

    # --- for a scrape ---

    def collect(self, in_flight: dict[str, int]) -> Iterator[Family]:
        """The families of all `mail_…` metrics; `in_flight` are the tracker's messages for each MTA."""
        self._fold()
        self._fill_in_zeros()
        yield from self._families()
        yield family("mail_messages_in_flight", {(mta,): float(count) for mta, count in in_flight.items()})
        for histogram in self._histograms:
            yield histogram.family()
        yield from self.watch.collect()

    def _fill_in_zeros(self) -> None:
        """A service that was seen has numbers, be they 0: a rate over a series that appears late misses its start."""
        counted = ("mail_connections_total", "mail_messages_removed_total", "mail_deliveries_total")
        for mta, service in {(key[0], key[1]) for name in counted for key in self._counts[name]}:
            self._count("mail_messages_removed_total", mta, service, times=0)
            for via in VIAS:
                self._count("mail_messages_received_total", mta, service, via, times=0)
            for status in STATUSES:
                self._count("mail_deliveries_total", mta, service, "outbound", OTHER, status, times=0)
            for kind in ("bounce", "delay", "success"):
                self._count("mail_notifications_total", mta, kind, times=0)
