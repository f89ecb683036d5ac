"""`tlsa`: DANE for SMTP (RFC 7672): records that DNSSEC proves, and mail servers whose certificates fit them."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.probes.dns import host, mx
from exporter.probes.dns.verdict import Verdict, bad, good, unknown
from exporter.probes.failure import ProbeError
from exporter.probes.link import tls_context

if TYPE_CHECKING:
    from exporter.probes.dns.world import World
    from exporter.probes.estate import Posture

_RECORDS = 20
_TA, _EE = 2, 3  # certificate usages that mail servers look at (RFC 7672 3.1)
_DIGESTS = {1: "sha256", 2: "sha512"}


class Record(NamedTuple):
    """A TLSA record (RFC 6698 2.1)."""

    usage: int
    selector: int
    matching: int
    association: bytes


async def check(posture: Posture, world: World) -> Verdict:
    """Whether every mail server has such records, and keeps them."""
    names = await mx.hosts(posture.domain, world)
    if not names:
        return bad("no_mx", "there is no MX record")
    if not (await world.resolver.ask(posture.domain, "MX")).is_secure:
        return bad("not_secure", "the MX records are not proved by DNSSEC, or the resolver does not look at that")
    verdicts = [await _host(name, world) for name in names]
    faulty = [it for it in verdicts if it.is_valid is False] or [it for it in verdicts if it.is_valid is None]
    return faulty[0] if faulty else good(", ".join(it.text for it in verdicts))


async def _host(name: str, world: World) -> Verdict:
    answer = await world.resolver.ask(f"_{world.smtp_port}._tcp.{name}", "TLSA")
    if not answer.records:
        return bad("no_record", f"{name} has no TLSA record")
    if not answer.is_secure:
        return bad("not_secure", f"the TLSA records of {name} are not proved by DNSSEC")
    records = [_record(it) for it in answer.records[:_RECORDS]]
    usable = [it for it in records if it.usage in (_TA, _EE) and it.selector in (0, 1) and it.matching in (0, 1, 2)]
    if not usable:
        return bad("not_usable", f"none of the TLSA records of {name} is for mail (RFC 7672 3.1)")
    try:
        chain = await host.shown(name, world, await asyncio.to_thread(tls_context, None, is_verified=False))
        return await _held(name, usable, chain, world)
    except ProbeError as error:
        if error.reason == "starttls-not-supported":
            return bad(error.reason, f"{name}: {error.text}")
        return unknown("not_reached", f"{name}: {error.reason}: {error.text}")


async def _held(name: str, records: Sequence[Record], chain: Sequence[bytes], world: World) -> Verdict:
    if any(fits(it, chain[0]) for it in records if it.usage == _EE):
        return good(f"{name}: DANE-EE")  # neither names nor dates count then, RFC 7672 3.1.1
    anchors = [one for one in chain[1:] if any(fits(it, one) for it in records if it.usage == _TA)]
    anchors += [it.association for it in records if it[:3] == (_TA, 0, 0)]
    if not anchors:
        return bad("no_match", f"no TLSA record of {name} fits what it shows")
    try:
        await host.shown(name, world, await asyncio.to_thread(_trusting, anchors))
    except (ProbeError, ssl.SSLError) as error:
        return bad("no_match", f"{name}: {error}")
    return good(f"{name}: DANE-TA")


def _record(record: Any) -> Record:
    return Record(int(record.usage), int(record.selector), int(record.mtype), bytes(record.cert))


def fits(record: Record, certificate: bytes) -> bool:
    """Whether a record is for this certificate (DER)."""
    what = certificate if record.selector == 0 else _public_key(certificate)
    digest = _DIGESTS.get(record.matching)
    return (hashlib.new(digest, what).digest() if digest else what) == record.association


def _public_key(certificate: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, DER; nothing of what is none."""
    from cryptography import x509  # noqa: PLC0415 - an extra, and heavy
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415 - the same

    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except ValueError:
        return b""


def _trusting(anchors: Iterable[bytes]) -> ssl.SSLContext:
    """TLS that trusts these certificates alone, whoever signed them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=b"".join(anchors))
    return context
