"""Arriving at an HTTP server of the exporter's own: a mail service posts each mail that it got for us.

The body is the mail itself (`message/rfc822`), or JSON or a form that holds it or tells its Message-ID in a field
of that name: mail services differ in all else. Only who has the token is heard, and no more than BODY_LIMIT is read.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import re
import time
from base64 import b64decode
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from aiohttp import web

from exporter.door.door import Door
from exporter.door.visitor import attend
from exporter.probes.arrival import RAW_LIMIT, Found
from exporter.probes.certificate import Certificate
from exporter.probes.failure import ProbeError
from exporter.probes.message import HEADER
from exporter.probes.section import SecretError, secret
from exporter.schema import InvalidError
from exporter.web import DOOR, ListenError, serve

if TYPE_CHECKING:
    from exporter.door.reception import Reception
    from exporter.probes.arrival import Take
    from exporter.probes.section import Hook

BODY_LIMIT = 16 << 20  # bytes: a mail of the largest size, and what base64 adds to it
_BODY_SECONDS = 30.0
_VISITORS = 32  # connections at a time
_BODIES = 4  # that are read at a time
_FIELDS = 1000  # of a form or of JSON that are looked at
_HEADERS = 1 << 18  # characters in which the header of a mail has to stand
_ID_FIELD = re.compile(r"message[-_ ]?id", re.IGNORECASE)
_ID_LINE = re.compile(r"^message-id:[ \t]*(\S{1,200})", re.IGNORECASE | re.MULTILINE)


class WebHook:
    """A server that listens from the first look on; each mail is shown when it is posted, and none is kept."""

    certificate: Certificate | None = None  # its own door tells of it

    def __init__(self, how: Hook) -> None:
        self._how = how
        self._take: Take | None = None
        self._reception: Reception | None = None
        self._closing: asyncio.Task[None] | None = None
        self._room = asyncio.Semaphore(_BODIES)

    async def visit(self, take: Take) -> None:
        """Listen. Raises OSError where that cannot be, SecretError where there is no token, ProbeError where there is
        no TLS that should be."""
        secret(self._how.token_file, self._how.token_env)
        self._take = take
        if self._reception is None:
            self._reception = await self._listen()

    async def _listen(self) -> Reception:
        door = self._door()
        app = web.Application(middlewares=[attend], client_max_size=BODY_LIMIT)
        app[DOOR] = door
        app.router.add_post("/{path:.*}", self._answer)
        try:
            return await serve(app, [self._how.listen], _VISITORS)
        except ListenError as error:
            raise OSError(str(error)) from None

    def _door(self) -> Door:
        """A door for TLS alone: who may come in says the token."""
        path = self._how.web_config_file
        try:
            door = Door(path, time.monotonic)
        except InvalidError as invalid:
            raise ProbeError("internal", "; ".join(invalid.errors)) from None
        if path and door.tls is None:
            raise ProbeError("internal", f"{path}: no tls_server_config")
        return door

    async def wait(self, seconds: float) -> bool:
        """A mail is shown when it is posted, and not at a look."""
        await asyncio.sleep(seconds)
        return False

    def close(self) -> None:
        """Listen no more."""
        if self._reception:
            self._closing = asyncio.get_running_loop().create_task(self._reception.cleanup())
            self._reception = None

    async def closed(self) -> None:
        """Return when it listens no more."""
        if self._closing:
            await self._closing

    async def _answer(self, request: web.Request) -> web.Response:
        if not self._is_allowed(request.headers.get("Authorization", "")):
            headers = {"WWW-Authenticate": 'Basic realm="mailstat"', "Connection": "close"}
            return web.Response(status=401, text="401 Unauthorized\n", headers=headers)
        try:
            async with self._room, asyncio.timeout(_BODY_SECONDS):
                found = await _found(request)
        except TimeoutError:
            return web.Response(status=408, text="408 Request Timeout\n")
        except (ValueError, LookupError):
            return web.Response(status=400, text="400 Bad Request\n")
        # A service posts again what it thinks was not taken, so also the mail of somebody else is.
        ours = [it for it in found if self._take is not None and self._take(it)]
        return web.Response(text="taken\n" if ours else "not the mail of a probe: ignored\n")

    def _is_allowed(self, header: str) -> bool:
        try:
            token = secret(self._how.token_file, self._how.token_env)
        except SecretError:
            return False
        return hmac.compare_digest(_given(header).encode("utf-8", "surrogateescape"), token.encode())


def _given(header: str) -> str:
    """The token in a header: `Bearer TOKEN`, or the password of `Basic`, which any service can put into an URL."""
    kind, _, text = header.partition(" ")
    if kind.lower() != "basic":
        return text.strip() if kind.lower() == "bearer" else ""
    try:
        return b64decode(text.strip(), validate=True).decode("utf-8", "surrogateescape").partition(":")[2]
    except ValueError:
        return ""


async def _found(request: web.Request) -> list[Found]:
    """The mails that a request tells of: no more than one, unless a service posts several at once."""
    if request.content_type in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.post()
        return await asyncio.to_thread(lambda: _of_fields(itertools.islice(map(_field, form.items()), _FIELDS)))
    body = await request.read()
    if request.content_type == "application/json":
        return await asyncio.to_thread(lambda: _of_fields(itertools.islice(_json_fields(body), _FIELDS)))
    return [_mail(body)]


def _field(pair: tuple[str, Any]) -> tuple[str, str]:
    """A field of a form; of a file the beginning."""
    name, value = pair
    if isinstance(value, web.FileField):
        return name, value.file.read(RAW_LIMIT).decode("utf-8", "surrogateescape")
    return name, value if isinstance(value, str) else bytes(value).decode("utf-8", "surrogateescape")


def _json_fields(body: bytes) -> Iterator[tuple[str, str]]:
    """The texts in JSON and the names that they have, whether by `{name: text}`, `[name, text]` or
    `{"Name": name, "Value": text}`."""
    try:
        waiting: list[tuple[str, Any]] = [("", json.loads(body))]
    except (ValueError, RecursionError):
        return
    while waiting:
        name, value = waiting.pop()
        match value:
            case str():
                yield name, value
            case [str(key), str(text)]:
                yield key, text
            case dict():
                lower = {key.lower(): it for key, it in value.items()}
                if isinstance(lower.get("name"), str) and isinstance(lower.get("value"), str):
                    yield lower["name"], lower["value"]
                waiting += value.items()
            case list():
                waiting += [(name, it) for it in value]


def _of_fields(fields: Iterable[tuple[str, str]]) -> list[Found]:
    """The mails in them, or else the Message-IDs that they name: those in other fields may be of what is answered."""
    mails, ids = [], set()
    for name, text in fields:
        if HEADER.lower() in text[:_HEADERS].lower() and "\n\n" in text.replace("\r", ""):
            mails.append(_mail(text.encode("utf-8", "surrogateescape")))
        elif _ID_FIELD.fullmatch(name):
            ids.add(text.strip(" <>\t\r\n"))
        elif match := _ID_LINE.search(text[:_HEADERS]):
            ids.add(match[1].strip("<>"))
    return mails or [_told(it) for it in ids]


def _mail(raw: bytes) -> Found:
    """What is posted again is the same mail: its place is what it is."""
    return Found(raw[:RAW_LIMIT], "hook", is_junk=False, place=sha256(raw).hexdigest(), arrived=time.time())


def _told(message_id: str) -> Found:
    return Found(b"", "hook", is_junk=False, place="hook", arrived=time.time(), message_id=message_id)
