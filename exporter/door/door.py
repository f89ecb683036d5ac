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

_CHALLENGE = 'Basic realm="mailstat", charset="UTF-8"'
_LONGEST_LOGIN = 2048  # characters of the header


class _Rules(NamedTuple):
    """What follows from the files as they were."""

    config: WebConfig
    tls: SSLContext | None


class Door:
    """Who may come in. `now` gives seconds that never go back. Raises InvalidError where the file is refused.

    Without a file everyone may, over HTTP.
    """

    def __init__(self, path: Path | None, now: Callable[[], float]) -> None:
        self._path = path
        self._passwords = Passwords()
        self._limiter = _Limiter(now)
        self._seen: object = None
        self._is_current = True
        self._rules = _Rules(WebConfig(), None)
        if path:
            self._rules = _read(path)
            self._seen = self._stamps()

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
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            self._read_again(self._path)
        return self._rules

    def _read_again(self, path: Path) -> None:
        try:
            self._rules = _read(path)
        except InvalidError as invalid:
            self._is_current = False
            for error in invalid.errors:
                logger.error("the web configuration is refused", extra={"error": error})
        else:
            self._is_current = True
            self._seen = self._stamps()  # other files may be named than before
            logger.info("web configuration reloaded", extra={"path": path})

    def _stamps(self) -> object:
        """What changes when one of the files does."""
        assert self._path
        return [_stamp(path) for path in (self._path, *self._rules.config.files())]


def _read(path: Path) -> _Rules:
    config = load_web_config(path)
    try:
        return _Rules(config, tls.context(config.tls) if config.tls else None)
    except InvalidError as invalid:
        raise InvalidError(f"{path}: {error}" for error in invalid.errors) from None


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
