"""MTA-STS and DANE against real servers: HTTPS for the policy, SMTP with STARTTLS for the mail server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exporter.probes.dns import mta_sts, tlsa
from exporter.probes.estate import Posture
from tests.deadline import told_in_time
from tests.exporter.probes.dns.nameserver import answering
from tests.exporter.probes.server import Act, authority, ca_file, intermediate, serving, settle, tls

MX = "example.com. 60 IN MX 10 mx.example.com.\nmx.example.com. 60 IN A 127.0.0.1\n"
STS = MX + '_mta-sts.example.com. 60 IN TXT "v=STSv1; id=20270115"\nmta-sts.example.com. 60 IN A 127.0.0.1\n'
POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.example.com\r\nmax_age: 604800\r\n"
GOOD = "for mx.example.com"
POSTURE = Posture(name="one", domain="example.com")


@contextlib.asynccontextmanager
async def policy_served(text: str | bytes, certificate: str, **how) -> AsyncIterator[int]:
    """A policy over HTTPS; the port."""

    async def answer(_: web.Request) -> web.Response:
        body = text.encode() if isinstance(text, str) else text
        return web.Response(**({"body": body, "content_type": "text/plain"} | how))

    app = web.Application()
    app.router.add_get("/.well-known/mta-sts.txt", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls(certificate))
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def sts(
    folder, text=POLICY, *, zone=STS, https="for mta-sts.example.com", smtp=GOOD, steps=None, how=None, **behaviour
):
    """What the check says of a policy, and of the mail server."""

    async def run(server):
        async with policy_served(text, https, **(how or {})) as https_port, serving(steps, smtp) as mail:
            world = server.world(smtp_port=mail.port, https_port=https_port, ca_file=ca_file(folder))
            return await mta_sts.check(POSTURE, world)

    with answering(zone, **behaviour) as server:
        return asyncio.run(run(server))


def test_a_policy_that_all_keep(tmp_path):
    told = sts(tmp_path)
    assert (told.is_valid, told.text) == (True, "enforce; all certificates fit")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({"zone": MX}, "no_record"),
        ({"zone": STS + '_mta-sts.example.com. 60 IN TXT "v=STSv1; id=2"'}, "several_records"),
        ({"zone": STS.replace("mta-sts.example.com. 60 IN A", "else.example.com. 60 IN A")}, "not_served"),
        ({"https": "good"}, "policy_certificate"),
        ({"https": "untrusted"}, "policy_certificate"),
        ({"how": {"status": 404}}, "not_served"),
        ({"how": {"status": 301, "headers": {"Location": "https://mta-sts.example.com/else"}}}, "not_served"),
        ({"how": {"content_type": "text/html"}}, "not_plain_text"),
        ({"text": "version: STSv1\nmode: enforce\nmax_age: 1\n"}, "bad_policy"),
        ({"text": "hello"}, "bad_policy"),
        ({"text": ""}, "bad_policy"),
        ({"text": b"\xff\xfe" * 1000}, "bad_policy"),
        ({"text": POLICY + "mx: a.example.com\r\n" * 10_000}, "bad_policy"),
        ({"text": POLICY.replace("enforce", "none")}, "mode_none"),
        ({"text": POLICY.replace("mx.example.com", "mail.example.com")}, "mx_not_covered"),
        ({"text": POLICY.replace("mx.example.com", "*.mx.example.com")}, "mx_not_covered"),
        ({"smtp": "name"}, "certificate-host-mismatch"),
        ({"smtp": "untrusted"}, "certificate-not-trusted"),
        ({"steps": {"EHLO": b"250 mx.example.com\r\n"}}, "starttls-not-supported"),
    ],
)
def test_a_policy_that_is_none_or_is_not_kept(tmp_path, what, reason):
    told = sts(tmp_path, **what)
    assert (told.is_valid, told.reason) == (False, reason), told


@pytest.mark.parametrize("act", [Act.DROP, Act.HANG, Act.LINES, Act.GARBAGE])
def test_a_mail_server_that_cannot_be_looked_at_is_not_held_against_it(tmp_path, act):
    async def run(server, seconds: float):
        async with policy_served(POLICY, "for mta-sts.example.com") as port, serving({"banner": act}) as mail:
            world = server.world(smtp_port=mail.port, https_port=port, ca_file=ca_file(tmp_path), seconds=seconds)
            return await mta_sts.check(POSTURE, world)

    with answering(STS) as server:
        told = told_in_time(lambda seconds: asyncio.run(run(server, seconds)), lambda it: it.is_valid)
    assert told.is_valid
    assert "not looked at: mx.example.com" in told.text


def test_a_policy_for_all_hosts_of_a_domain(tmp_path):
    assert sts(tmp_path, POLICY.replace("mx.example.com", "*.example.com")).is_valid
    assert sts(tmp_path, POLICY.replace("enforce", "testing").replace("\r\n", "\n")).is_valid


@pytest.mark.parametrize(
    ("pattern", "name", "is_covered"),
    [
        ("mx.example.com", "MX.example.com.", True),
        ("*.example.com", "mx.example.com", True),
        ("*.example.com", "a.mx.example.com", False),
        ("*.example.com", "example.com", False),
        ("*", "mx.example.com", False),
    ],
)
def test_patterns(pattern, name, is_covered):
    assert mta_sts.covers(pattern, name) is is_covered


# --- DANE ---


def shown(kind: str) -> bytes:
    """The certificate (DER) that a server of this kind shows."""
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        return loop.run_until_complete(_shown(kind))


async def _shown(kind: str) -> bytes:
    async with serving(None, kind, implicit=True) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context)
        certificate = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.transport.abort()
        await settle()
        return bytes(certificate)


def public_key(certificate: bytes) -> bytes:
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def der(issuer: trustme.CA) -> bytes:
    return x509.load_pem_x509_certificate(issuer.cert_pem.bytes()).public_bytes(Encoding.DER)


def a_record(usage: int, selector: int, matching: int, certificate: bytes) -> tuple[int, int, int, str]:
    what = public_key(certificate) if selector else certificate
    digest = {0: what, 1: hashlib.sha256(what).digest(), 2: hashlib.sha512(what).digest()}[matching]
    return usage, selector, matching, digest.hex()


def dane(*records, kind=GOOD, is_secure=True, steps=None):
    async def run():
        async with serving(steps, kind) as mail:
            name = f"_{mail.port}._tcp.mx.example.com."
            zone = MX + "".join(f"{name} 60 IN TLSA {' '.join(map(str, record))}\n" for record in records)
            with answering(zone, is_secure=is_secure) as server:
                return await tlsa.check(POSTURE, server.world(smtp_port=mail.port))

    return asyncio.run(run())


@pytest.mark.parametrize("form", [(3, 1, 1), (3, 1, 2), (3, 0, 1), (3, 0, 0), (3, 1, 0)])
def test_a_certificate_that_fits_its_record(form):
    told = dane(a_record(*form, shown(GOOD)))
    assert told.is_valid, told


@pytest.mark.parametrize("form", [(2, 0, 1), (2, 1, 1), (2, 1, 2), (2, 0, 0)])
def test_an_authority_that_fits_its_record_and_signed_the_certificate(form):
    told = dane(a_record(*form, der(intermediate())), kind=f"chain {GOOD}")
    assert told.is_valid, told
    assert dane(a_record(*form, der(intermediate())), kind="chain for mx2.example.com").reason == "no_match"


def test_an_authority_has_to_be_shown_unless_all_of_it_is_in_the_record():
    """RFC 7672 3.1.2."""
    assert dane(a_record(2, 0, 1, der(authority("trusted")))).reason == "no_match"
    assert dane(a_record(2, 0, 0, der(authority("trusted")))).is_valid


def test_with_its_own_certificate_named_neither_name_nor_signer_count():
    assert dane(a_record(3, 1, 1, shown("name")), kind="name").is_valid
    assert dane(a_record(3, 1, 1, shown("untrusted")), kind="untrusted").is_valid
    assert dane(a_record(2, 0, 0, der(authority("trusted"))), kind="name").reason == "no_match"


def test_one_of_several_records_is_enough():
    """As it is while keys change."""
    assert dane((3, 1, 1, "00" * 32), a_record(3, 1, 1, shown(GOOD))).is_valid


def test_records_that_prove_nothing():
    good = a_record(3, 1, 1, shown(GOOD))
    assert dane(good, is_secure=False).reason == "not_secure"
    assert dane().reason == "no_record"
    assert dane((3, 1, 1, "00" * 32)).reason == "no_match"
    assert dane((2, 0, 0, "00" * 32)).reason == "no_match"
    assert dane((0, 0, 1, "00" * 32), (3, 9, 1, "00" * 32)).reason == "not_usable"
    assert dane(good, steps={"EHLO": b"250 mx.example.com\r\n"}).reason == "starttls-not-supported"


def test_a_mail_server_that_cannot_be_reached_is_not_judged():
    told = dane(a_record(3, 1, 1, shown(GOOD)), steps={"banner": Act.DROP})
    assert (told.is_valid, told.reason) == (None, "not_reached")
