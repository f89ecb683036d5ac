"""`mta_sts`: the domain's policy on TLS (RFC 8461), fetched as others fetch it, and held against the mail servers and
their certificates. checkdmarc reads it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from exporter.probes.dns import host, mx
from exporter.probes.dns.resolver import LookupFailedError, sockets
from exporter.probes.dns.verdict import Verdict, bad, good
from exporter.probes.failure import ProbeError
from exporter.probes.link import tls_context

if TYPE_CHECKING:
    import socket

    from exporter.probes.dns.resolver import Resolver
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_RECORD_LIMIT = 4096  # characters
_POLICY_LIMIT = 64 * 1024  # bytes, RFC 8461 3.2


class Policy(NamedTuple):
    """What a policy says: its mode, and the patterns of mail servers."""

    mode: str
    mx: tuple[str, ...]


class _UnfitError(Exception):
    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.text)
        self.verdict = verdict


async def check(posture: Posture, world: World) -> Verdict:
    """Whether there is a policy, and each mail server keeps it. Of one that cannot be reached from here, as by hosts
    that may not connect to port 25, the certificate does not count."""
    try:
        await _record(posture.domain, world)
        policy = await _policy(posture.domain, world)
    except _UnfitError as unfit:
        return unfit.verdict
    if policy.mode == "none":
        return bad("mode_none", "the policy is that there is none")
    names = await mx.hosts(posture.domain, world)
    if strangers := [name for name in names if not any(covers(pattern, name) for pattern in policy.mx)]:
        return bad("mx_not_covered", f"{strangers[0]} is none of {', '.join(policy.mx)}")
    return await _hosts(names, policy, world)


async def _hosts(names: list[str], policy: Policy, world: World) -> Verdict:
    context = await asyncio.to_thread(tls_context, world.ca_file, is_verified=True)
    unseen = []
    for name in names:
        try:
            await host.shown(name, world, context)
        except ProbeError as error:
            if error.reason in (*host.CERTIFICATE_REASONS, "validation-failure", "starttls-not-supported"):
                return bad(error.reason, f"{name}: {error.text}")
            unseen.append(f"{name}: {error.reason}")
    return good(f"{policy.mode}; {'not looked at: ' + ', '.join(unseen) if unseen else 'all certificates fit'}")


def covers(pattern: str, name: str) -> bool:
    """Whether a pattern of a policy is for this host (RFC 8461 4.1): `*.` stands for exactly one label."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    return name.partition(".")[2] == pattern[2:] if pattern.startswith("*.") else name == pattern


async def _record(domain: str, world: World) -> None:
    from checkdmarc import mta_sts  # noqa: PLC0415 - an extra, and heavy

    texts = (await world.resolver.ask(f"_mta-sts.{domain}", "TXT")).texts
    records = [text for text in texts if text.startswith("v=STSv1")]
    if not records:
        raise _UnfitError(bad("no_record", "there is no MTA-STS record"))
    if len(records) > 1:
        raise _UnfitError(bad("several_records", f"there are {len(records)} records: none counts"))
    try:
        await asyncio.to_thread(mta_sts.parse_mta_sts_record, records[0][:_RECORD_LIMIT])
    except mta_sts.MTASTSError as error:
        raise _UnfitError(bad("bad_record", str(error)[:300])) from None


async def _policy(domain: str, world: World) -> Policy:
    from checkdmarc import mta_sts  # noqa: PLC0415 - an extra, and heavy

    text = await _fetched(f"https://mta-sts.{domain}:{world.https_port}/.well-known/mta-sts.txt", world)
    try:
        known: Any = (await asyncio.to_thread(mta_sts.parse_mta_sts_policy, text))["policy"]
    except mta_sts.MTASTSError as error:
        raise _UnfitError(bad("bad_policy", str(error)[:300])) from None
    return Policy(str(known["mode"]), tuple(map(str, known.get("mx", ())))[:100])


async def _fetched(url: str, world: World) -> str:
    """The policy; a redirection is none (RFC 8461 3.3)."""
    context = await asyncio.to_thread(tls_context, world.ca_file, is_verified=True)
    connector = aiohttp.TCPConnector(resolver=_Hosts(world.resolver), ssl=context)
    timeout = aiohttp.ClientTimeout(total=world.seconds)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise _UnfitError(bad("not_served", f"{url}: HTTP status {answer.status}"))
            body = await _body(answer)
            if answer.content_type != "text/plain":
                raise _UnfitError(bad("not_plain_text", f"{url}: {answer.content_type[:60]}"))
    except aiohttp.ClientConnectorCertificateError as error:
        raise _UnfitError(bad("policy_certificate", f"{url}: {str(error)[:300]}")) from None
    except (aiohttp.ClientError, ssl.SSLError, OSError) as error:
        raise _UnfitError(bad("not_served", f"{url}: {str(error)[:300] or type(error).__name__}")) from None
    return body.decode("utf-8", "replace")


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for part in answer.content.iter_chunked(8192):
        body += part
        if len(body) > _POLICY_LIMIT:
            raise _UnfitError(bad("bad_policy", f"the policy is longer than {_POLICY_LIMIT} bytes"))
    return body


class _Hosts(AbstractResolver):
    """The addresses of hosts as our resolver knows them."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily | int = 0) -> list[ResolveResult]:
        found = sockets(await self._resolver.addresses(host))
        if not found:
            raise LookupFailedError(f"{host} has no address")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=of, proto=0, flags=0)
            for of, address in found
            if family in (0, of)
        ]

    async def close(self) -> None:
        """There is nothing to let go of."""
