"""The web configuration in force, and what it means for a request.

The file, and those that it names, are looked at with each connection and each request, and read again where one has
changed. What is wrong then is logged once, and what was in force stays so.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import BasicAuth, hdrs, web

from exporter.door import tls
from exporter.door.password import BusyError, Passwords
from exporter.door.section import WebConfig, load_web_config
from exporter.schema import InvalidError

if TYPE_CHECKING:
    from asyncio import BaseTransport
    from collections.abc import Callable
    from pathlib import Path
    from ssl import SSLContext

    from aiohttp.typedefs import Handler

    from exporter.door.section import RateLimit

logger = logging.getLogger(__name__)

Stamps = list[tuple[int, ...] | None]  # what changes when one of the files does

_CHALLENGE = 'Basic realm="mailstat", charset="UTF-8"'
_LONGEST_LOGIN = 2048  # characters of the header


class _Rules(NamedTuple):
    """What follows from the files as they were; `stamps` are from before they were read."""

    config: WebConfig
    tls: SSLContext | None
    stamps: Stamps


class Door:
    """Who may come in. `now` gives seconds that never go back. Raises InvalidError where the file is refused.

    Without a file everyone may, over HTTP.
    """

    def __init__(self, path: Path | None, now: Callable[[], float]) -> None:
        self._path = path
        self._passwords = Passwords()
        self._limiter = _Limiter(now)
        self._is_current = True
        self._rules = _read(path) if path else _Rules(WebConfig(), None, [])
        self._seen = self._rules.stamps

    def close(self) -> None:
        """Check no more passwords."""
        self._passwords.close()

    @property
    def tls(self) -> SSLContext | None:
        """What the next handshake follows; None where there is none."""
        return self._current().tls

    def is_current(self) -> bool:
        """Whether the files, as they are now, are what is in force."""
        self._current()
        return self._is_current

    def lets_in(self, transport: BaseTransport) -> bool:
        """Whether the certificate of a client, which was verified, has one of the names that are allowed."""
        section = self._rules.config.tls
        if section is None or not section.client_allowed_sans:
            return True
        return tls.has_name(transport.get_extra_info("peercert"), section.client_allowed_sans)

    @web.middleware
    async def dress(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Give an answer the headers that are configured."""
        headers = self._current().config.headers
        response = await handler(request)
        response.headers.update(headers)
        return response

    @web.middleware
    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer those who may ask, and not too much. Raises the answer to the others."""
        config = self._current().config
        if not self._limiter.allows(config.limit):
            raise web.HTTPTooManyRequests
        if config.users and not await self._is_known(config, request):
            raise web.HTTPUnauthorized(headers={hdrs.WWW_AUTHENTICATE: _CHALLENGE})
        return await handler(request)

    async def _is_known(self, config: WebConfig, request: web.Request) -> bool:
        login = _login(request.headers.get(hdrs.AUTHORIZATION, ""))
        if login is None:
            return False
        try:
            return await self._passwords.is_right(config.users, login.login, login.password, request.remote or "")
        except BusyError:
            raise web.HTTPTooManyRequests(headers={hdrs.RETRY_AFTER: "5"}) from None

    def _current(self) -> _Rules:
        if self._path is None:
            return self._rules
        stamps = _stamps(self._path, self._rules.config)
        if stamps != self._seen:
            self._seen = stamps
            self._read_again(self._path)
        return self._rules

    def _read_again(self, path: Path) -> None:
        try:
            self._rules = _read(path, may_be_empty=self._rules.config == WebConfig())
        except InvalidError as invalid:
            self._is_current = False
            for error in invalid.errors:
                logger.error("the web configuration is refused", extra={"error": error})
        else:
            self._is_current = True
            self._seen = self._rules.stamps  # other files may be named than before
            logger.info("web configuration reloaded", extra={"path": path})


def _read(path: Path, *, may_be_empty: bool = True) -> _Rules:
    before = _stamp(path)
    config = load_web_config(path, may_be_empty=may_be_empty)
    stamps = [before, *_stamps(path, config)[1:]]
    try:
        return _Rules(config, tls.context(config.tls) if config.tls else None, stamps)
    except InvalidError as invalid:
        raise InvalidError(f"{path}: {error}" for error in invalid.errors) from None


def _stamps(path: Path, config: WebConfig) -> Stamps:
    return [_stamp(it) for it in (path, *config.files())]


def _stamp(path: Path) -> tuple[int, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _login(header: str) -> BasicAuth | None:
    """Name and password; None where there are none, or in no form that is known."""
    if len(header) > _LONGEST_LOGIN:
        return None
    try:
        return BasicAuth.decode(header, encoding="utf-8")
    except ValueError:
        return None


class _Limiter:
    """A bucket of tokens, which fills while nobody asks."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._limit: RateLimit | None = None
        self._tokens = 0.0
        self._at = 0.0

    def allows(self, limit: RateLimit) -> bool:
        """Whether one more request may be answered."""
        if not limit.interval:
            return True
        now = self._now()
        if limit != self._limit:
            self._limit, self._tokens, self._at = limit, float(limit.burst), now
        self._tokens = min(self._tokens + (now - self._at) / limit.interval, float(limit.burst))
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
