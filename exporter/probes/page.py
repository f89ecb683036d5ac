"""`/probe?module=NAME&target=HOST[:PORT]`, in the way of the blackbox exporter: a run of a probe for each scrape.

Only a probe of the configuration is a module, and only its own server and its `targets` are targets. With
`debug=true` the answer is the dialogue for people.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aiohttp import web
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from exporter.probes.smtp import Result
from exporter.schema import Text

if TYPE_CHECKING:
    from exporter.probes.prober import Prober
    from exporter.probes.section import Probe, Send

_OFFSET = 0.5  # seconds that the answer needs to get to Prometheus before it gives up
_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"


class ProbePage:
    """Answers `/probe`."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober

    async def answer(self, request: web.Request) -> web.Response:
        """Run the probe that is asked for. Its failure is a sample, not an error of HTTP."""
        probe, send = self._asked(request)
        outcome = await self._prober.send(probe, send, _seconds(request.headers.get(_HEADER)))
        samples = exposition(outcome.result)
        if request.query.get("debug") != "true":
            return web.Response(body=samples, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
        head = f"Dialogue of {probe.name} with {send.server} port {send.port_number}:\n{outcome.dialogue.text()}"
        return web.Response(text=f"{head}\nMetrics that would have been returned:\n{samples.decode()}")

    def _asked(self, request: web.Request) -> tuple[Probe, Send]:
        probe = self._prober.probes.get(request.query.get("module", ""))
        if probe is None:
            names = ", ".join(self._prober.probes) or "none"
            raise web.HTTPBadRequest(text=f"400 Bad Request: no such module; there are: {names}\n")
        target = request.query.get("target", "")
        send = targeted(probe, target)
        if send is None:
            raise web.HTTPBadRequest(text="400 Bad Request: no target of this module, see its `targets`\n")
        return probe, send


def targeted(probe: Probe, target: str) -> Send | None:
    """How to send to a target of a probe, its own server where none is named; None where it is none of them."""
    send = probe.send
    if target in ("", send.server, f"{send.server}:{send.port_number}"):
        return send
    if target not in probe.targets:
        return None
    host, colon, port = target.rpartition(":")
    if not colon or not port.isdigit() or (":" in host.strip("[]")) != host.startswith("["):
        return replace(send, server=Text(target.strip("[]")))
    return replace(send, server=Text(host.strip("[]")), port=int(port))


def _seconds(header: str | None) -> float | None:
    """The time that Prometheus gives, less what the way back needs."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return max(seconds - _OFFSET, seconds / 2) if math.isfinite(seconds) and seconds > 0 else None


def exposition(result: Result) -> bytes:
    """The metrics of one run, in a registry of their own."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Run(result))
    return generate_latest(registry)


class _Run(Collector):
    def __init__(self, result: Result) -> None:
        self._result = result

    def collect(self) -> Iterator[Metric]:
        result = self._result
        yield _gauge("probe_success", "Whether the probe succeeded.", {(): float(result.failure is None)})
        yield _gauge("probe_duration_seconds", "How long the probe took.", {(): result.seconds})
        lookup = result.phases.get("dns", 0.0)
        yield _gauge(
            "probe_dns_lookup_time_seconds", "How long the name of the server took to resolve.", {(): lookup}
        )
        yield from self._dialogue(result)
        if result.failure:
            labels = (result.failure.phase, result.failure.reason)
            help_text = "Why the probe failed: the phase of the dialogue, and the reason."
            yield _gauge("probe_smtp_failure_info", help_text, {labels: 1.0}, "phase", "reason")
            code = {(): float(result.failure.reply_code)} if result.failure.reply_code else {}
            yield _gauge("probe_smtp_reply_code", "The reply that it failed with.", code)

    def _dialogue(self, result: Result) -> Iterator[Metric]:
        phases = {(phase,): seconds for phase, seconds in result.phases.items()}
        yield _gauge("probe_smtp_phase_seconds", "How long each phase of the dialogue took.", phases, "phase")
        if result.address:
            version = {(): 6.0 if ":" in result.address else 4.0}
            yield _gauge("probe_ip_protocol", "Whether the server was spoken to over IPv4 or IPv6.", version)
        extensions = {(name,): 1.0 for name in result.extensions}
        yield _gauge("probe_smtp_extension_info", "An extension that EHLO offered.", extensions, "extension")
        if result.tls_version:
            versions = {(result.tls_version,): 1.0}
            yield _gauge("probe_tls_version_info", "The version of TLS.", versions, "version")
        if result.certificate:
            expiry = {(): result.certificate.expiry}
            yield _gauge("probe_ssl_earliest_cert_expiry", "When the first certificate expires, or did.", expiry)
            names = {(name,): 1.0 for name in result.certificate.names[:10]}
            yield _gauge("probe_ssl_certificate_name_info", "A name that the certificate is for.", names, "name")


def _gauge(name: str, text: str, values: Mapping[Any, float], *labels: str) -> Metric:
    made = GaugeMetricFamily(name, text, labels=labels)
    for of, value in values.items():
        made.add_metric(of, value)
    return made
