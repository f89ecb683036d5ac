"""The service over HTTP: metrics for Prometheus, health for whatever restarts it, a page for people."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder

from exporter import page
from exporter.compat import Compatible
from exporter.door.address import ListenError
from exporter.door.door import Door
from exporter.door.reception import MOST, Reception, opened
from exporter.door.visitor import Patience, attend

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from aiohttp.typedefs import Handler
    from prometheus_client.registry import Collector

    from exporter.view import ProbeView, View

__all__ = ["DOOR", "ListenError", "Reload", "application", "serve"]

logger = logging.getLogger(__name__)

Reload = Callable[[], Awaitable[list[str]]]
"""Reads the configuration again, and says what is wrong with it: nothing where it is now in force."""

_LINE_LIMIT = 4096  # bytes of the request line, and of one header
_HEADER_LIMIT = 64  # headers
_BODY_LIMIT = 4096  # bytes; no request needs any
_IDLE_SECONDS = 130  # an idle connection's life: longer than two scrapes a minute apart
_SHUTDOWN_SECONDS = 5

_TOLD = ("Allow", "Retry-After", "WWW-Authenticate")  # of an error

_HEADERS = {
    "Server": "mailstat",
    "Content-Security-Policy": f"default-src 'none'; style-src {page.STYLE_SOURCE}; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


DOOR = web.AppKey("door", Door)
"""Who may come in to an application."""


def application(
    view: View,
    telemetry_path: str,
    reload: Reload,
    now: Callable[[], float] = time.time,
    probe: Handler | None = None,
    compat: Sequence[str] = (),
    probes: Callable[[], Sequence[ProbeView]] = tuple,
    door: Door | None = None,
) -> web.Application:
    """All routes of the service. `now` gives seconds since the epoch, `probe` answers `/probe`, `compat` names
    exporters to be like as well, `probes` tells of the probes that are run, `door` says who may come in: without one,
    everybody.

    Raises ValueError for a telemetry path that is none, or that is one of the other routes.
    """
    _check_path(telemetry_path)
    door = door or Door(None, time.monotonic)
    app = web.Application(middlewares=[attend, door.dress, _answer, door.check], client_max_size=_BODY_LIMIT)
    app[DOOR] = door
    service = _Service(view, telemetry_path, reload, now, compat, probes)
    app.router.add_get(telemetry_path, service.metrics)
    app.router.add_get("/-/healthy", service.healthy)
    app.router.add_get("/-/ready", service.ready)
    app.router.add_post("/-/reload", service.reload)
    app.router.add_put("/-/reload", service.reload)
    if probe:
        app.router.add_get("/probe", probe)
    if telemetry_path != "/":
        app.router.add_get("/", service.page)
    return app


async def serve(
    app: web.Application, addresses: Iterable[str], most: int = MOST, patience: Patience | None = None
) -> Reception:
    """Listen on each `host:port`, `[::1]:port`, `:port` (all of the host) or `unix:/path`, until its cleanup; for no
    more than `most` connections.

    Raises ListenError where one of them is no address, or is taken; then none is listened on.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_server_logger(),
        auto_decompress=False,  # a body is thrown away, so a packed one is not worth unpacking
        keepalive_timeout=_IDLE_SECONDS,
        max_line_size=_LINE_LIMIT,
        max_field_size=_LINE_LIMIT,
        max_headers=_HEADER_LIMIT,
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        sockets = await asyncio.get_running_loop().run_in_executor(None, opened, [*addresses])
    except ListenError:
        await runner.cleanup()
        raise
    reception = Reception(runner, app[DOOR], most, patience)
    reception.open(sockets)
    return reception


def _server_logger() -> logging.Logger:
    """Where the HTTP server reports: all but bad requests, with which anyone could fill the log."""
    server_logger = logging.getLogger(f"{__name__}.server")
    server_logger.addFilter(_is_our_fault)
    return server_logger


def _is_our_fault(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


class _Form(NamedTuple):
    """What a scrape is asked for."""

    names: frozenset[str] | None
    accept: str
    is_packed: bool


class _Scrapes:
    """Answers of /metrics. What one shows is saved before it is given, so that no later one shows less.

    Those that are asked for while others are being saved are made together, and saved at once.
    """

    def __init__(self, view: View, compat: Sequence[str]) -> None:
        self._view = view
        self._compat = compat
        self._saving = asyncio.Lock()
        self._wanted: set[_Form] = set()
        self._next: asyncio.Task[dict[_Form, web.Response]] | None = None

    async def answer(self, form: _Form) -> web.Response:
        self._wanted.add(form)
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._make())
        # One client that goes away must not end what others wait for.
        made = (await asyncio.shield(self._next))[form]
        return web.Response(body=made.body, headers=made.headers)

    async def _make(self) -> dict[_Form, web.Response]:
        async with self._saving:
            wanted, self._wanted, self._next = self._wanted, set(), None
            families = _Families(list(Compatible(self._view.registry, self._compat).collect()))
            made = {form: _exposition(families, form) for form in wanted}
            await self._view.save()
        return made


class _Families(NamedTuple):
    """What a registry had when it was asked."""

    families: list[Metric]

    def collect(self) -> list[Metric]:
        return self.families


def _exposition(registry: Collector, form: _Form) -> web.Response:
    encode, content_type = _encoder(form.accept)
    body = encode(registry if form.names is None else _Selection(registry, form.names))
    return _compressed(web.Response(body=body, headers={"Content-Type": content_type}), is_packed=form.is_packed)


class _Service:
    def __init__(
        self,
        view: View,
        telemetry_path: str,
        reload: Reload,
        now: Callable[[], float],
        compat: Sequence[str],
        probes: Callable[[], Sequence[ProbeView]],
    ) -> None:
        self._view = view
        self._probes = probes
        self._telemetry_path = telemetry_path
        self._reload = reload
        self._now = now
        self._scrapes = _Scrapes(view, compat)

    async def metrics(self, request: web.Request) -> web.Response:
        names = frozenset(request.query.getall("name[]")) if "name[]" in request.query else None
        accept = request.headers.get("Accept", "")
        return await self._scrapes.answer(_Form(names, accept, is_packed=_may_be_packed(request)))

    async def healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="mailstat is healthy.\n")

    async def ready(self, _: web.Request) -> web.Response:
        if self._view.is_ready():
            return web.Response(text="mailstat is ready.\n")
        return web.Response(status=503, text="mailstat is reading the existing logs.\n")

    async def reload(self, request: web.Request) -> web.Response:
        if "Origin" in request.headers:
            # Only a browser sends it: some page that a visitor of ours has open wants this, not the visitor.
            raise web.HTTPForbidden(text="403 Forbidden: not from a web page\n")
        errors = await self._reload()
        if errors:
            return web.Response(status=500, text="".join(f"{error}\n" for error in errors))
        return web.Response(text="The configuration is reloaded.\n")

    async def page(self, request: web.Request) -> web.Response:
        content = page.render(self._view, self._telemetry_path, self._now(), self._probes())
        response = web.Response(text=content, content_type="text/html")
        return _compressed(response, is_packed=_may_be_packed(request))


class _Selection:
    """The metrics of a registry that have one of these names, or the samples that do."""

    def __init__(self, registry: Collector, names: Collection[str]) -> None:
        self._registry = registry
        self._names = names

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            if metric.name in self._names:
                yield metric
            elif samples := [sample for sample in metric.samples if sample.name in self._names]:
                part = Metric(metric.name, metric.documentation, metric.type, metric.unit)
                part.samples = samples
                yield part


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    try:
        return choose_encoder(accept if accept.isascii() else "")
    except TypeError:  # what the library makes of `version=x`
        return choose_encoder("")


def _may_be_packed(request: web.Request) -> bool:
    """Whether it takes gzip (RFC 9110, 12.5.3): a weight of zero refuses it."""
    offers = (offer.partition(";") for offer in request.headers.get("Accept-Encoding", "").lower().split(","))
    weights = {name.strip(): weight.replace(" ", "") for name, _, weight in offers}
    return weights.get("gzip", "q=0").rstrip("0") not in ("q=", "q=0.")


def _compressed(response: web.Response, *, is_packed: bool) -> web.Response:
    response.headers["Vary"] = "Accept, Accept-Encoding"
    if is_packed and isinstance(response.body, bytes):
        # The lowest level: the highest takes ten times as long, and the service reads logs in the same loop.
        response.body = gzip.compress(response.body, compresslevel=1)
        response.headers["Content-Encoding"] = "gzip"
    return response


@web.middleware
async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What every answer has: headers that keep a browser careful, and a short text where it is an error."""
    try:
        response = await handler(request)
    except web.HTTPException as error:
        response = _refusal(error)
    except Exception:
        logger.exception("request failed", extra={"method": request.method, "route": _route(request)})
        response = web.Response(status=500, text="500 Internal Server Error\n")
    response.headers.update(_HEADERS)
    return response


def _refusal(error: web.HTTPException) -> web.Response:
    text = error.text if error.text and error.text.endswith("\n") else f"{error.status} {error.reason}\n"
    response = web.Response(status=error.status, text=text)
    response.headers.update({name: error.headers[name] for name in _TOLD if name in error.headers})
    return response


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""


def _check_path(path: str) -> None:
    if not path.startswith("/") or path.startswith("/-/") or set(path) & set("{}?#% ") or not path.isprintable():
        raise ValueError(f'telemetry path: expected a path such as /metrics, got "{path}"')
