"""A mail service that posts what arrives, in each of the forms that there are, and whoever else posts."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
import ssl

import pytest
import trustme
from aiohttp import ClientError, ClientSession, FormData

from exporter.config import ConfigError, load_config
from exporter.probes.hook import BODY_LIMIT
from exporter.probes.mailbox import mailbox
from exporter.probes.section import Arrive, Hook
from tests.exporter.door.place import write_pair
from tests.exporter.probes.server import authority, ca_file
from tests.exporter.probes.test_prober import bench, free_port  # noqa: F401 - a fixture
from tests.tick import tick

TOKEN = "a-token-that-nobody-guesses"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OTHERS = b"From: a@example.com\r\nMessage-ID: <1@example.com>\r\n\r\ntext\r\n"


async def listen(it, web_config: str | None = None) -> str:
    """The probe's mail arrives at a hook; its URL."""
    url = await begin(it, web_config)
    assert it.prober.status(it.probe).mailbox is None
    return url


async def begin(it, web_config: str | None = None) -> str:
    """The same, whether or not it can listen."""
    folder = it.maildir.parent
    (folder / "token").write_text(TOKEN)
    port = free_port()
    how = {}
    if web_config is not None:
        write_pair(folder, authority("trusted"), "127.0.0.1")
        ca_file(folder)
        (folder / "web.yml").write_text(web_config)
        how = {"web_config_file": folder / "web.yml"}
    arrive = Arrive(hook=Hook(listen=f"127.0.0.1:{port}", token_file=folder / "token", **how))
    it.probe = dataclasses.replace(it.probe, arrive=arrive)
    it.prober.configure([it.probe])
    it.box = mailbox(arrive)
    await it.look()
    return f"{'https' if how else 'http'}://127.0.0.1:{port}/any/path"


async def post(url: str, headers=BEARER, **what) -> tuple[int, str]:
    async with ClientSession() as session, session.post(url, headers=headers, **what) as answer:
        return answer.status, await answer.text()


async def stop(it) -> None:
    it.box.close()
    await it.box.closed()


def form(**fields) -> FormData:
    made = FormData()
    for name, value in fields.items():
        is_file = isinstance(value, bytes)
        made.add_field(name, value, **({"filename": "mail.eml", "content_type": "message/rfc822"} if is_file else {}))
    return made


WAYS = {
    "the mail": lambda raw, _: {"data": raw},
    "a form with the mail": lambda raw, _: {"data": {"recipient": "b@example.com", "body-mime": raw.decode()}},
    "a form with a file": lambda raw, _: {"data": form(email=raw, to="b@example.com")},
    "a form with the header": lambda _, name: {
        "data": form(file=b"x", headers=f"From: a@example.com\nMessage-ID: <{name}>\nTo: b@example.com")
    },
    "JSON with the mail": lambda raw, _: {"json": {"Envelope": {}, "RawEmail": raw.decode()}},
    "JSON with the id": lambda _, name: {"json": {"message_id": name}},
    "JSON with the headers": lambda _, name: {"json": {"Headers": [{"Name": "Message-ID", "Value": f"<{name}>"}]}},
    "JSON with pairs": lambda _, name: {
        "json": [{"message-headers": [["To", "b@example.com"], ["Message-Id", name]]}]
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_a_mail_is_posted_and_posted_again(bench, way):  # noqa: F811
    async def play(it):
        url = await listen(it)
        outcome = await it.prober.run_once(it.probe)
        for _ in range(2):
            answer = await post(url, **WAYS[way](outcome.mail.raw, outcome.mail.message_id))
            assert answer == (200, "taken\n")
        assert (it.count("arrived"), it.count("duplicate")) == (1, 0)
        assert it.value("mail_probe_success") == 1
        await stop(it)

    bench(None, play)


NOT_OURS = {
    "nothing": lambda _, __: {"data": b""},
    "the mail of others": lambda _, __: {"data": OTHERS},
    "no JSON": lambda _, __: {"data": b"{", "headers": {**BEARER, "Content-Type": "application/json"}},
    "JSON without end": lambda _, __: {
        "data": b"[" * 1_000_000,
        "headers": {**BEARER, "Content-Type": "application/json"},
    },
    "an answer to ours": lambda _, name: {"json": {"message_id": "1@example.com", "in_reply_to": f"<{name}>"}},
    "a bounce of ours": lambda raw, _: {"data": OTHERS + raw},
    "an id of the wrong token": lambda _, name: {"json": {"message_id": name.replace(name[-20:-12], "00000000")}},
    "a form that is none": lambda _, __: {
        "data": b"x" * 100_000,
        "headers": {**BEARER, "Content-Type": "multipart/form-data; boundary=y"},
    },
}


@pytest.mark.parametrize("way", NOT_OURS)
def test_what_is_not_the_mail_of_a_probe(bench, way):  # noqa: F811
    async def play(it):
        url = await listen(it)
        outcome = await it.prober.run_once(it.probe)
        status, text = await post(url, **NOT_OURS[way](outcome.mail.raw, outcome.mail.message_id))
        assert (status, "taken" in text) in ((200, False), (400, False))
        assert it.count("arrived") == 0
        await stop(it)

    bench(None, play)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer x",
        f"Bearer {TOKEN}x",
        f"Digest {TOKEN}",
        "Basic !",
        "Basic " + base64.b64encode(f"{TOKEN}:".encode()).decode(),
    ],
)
def test_who_has_no_token_is_not_heard(bench, given):  # noqa: F811
    async def play(it):
        url = await listen(it)
        outcome = await it.prober.run_once(it.probe)
        assert (await post(url, {"Authorization": given}, data=outcome.mail.raw))[0] == 401
        assert it.count("arrived") == 0
        await stop(it)

    bench(None, play)


def test_the_token_may_stand_in_the_url(bench):  # noqa: F811
    async def play(it):
        url = await listen(it)
        outcome = await it.prober.run_once(it.probe)
        given = base64.b64encode(f"probe:{TOKEN}".encode()).decode()  # what clients make of probe:TOKEN@host
        assert (await post(url, {"Authorization": f"Basic {given}"}, data=outcome.mail.raw))[0] == 200
        assert it.count("arrived") == 1
        await stop(it)

    bench(None, play)


def test_a_body_without_end_is_refused(bench):  # noqa: F811
    async def play(it):
        url = await listen(it)

        async def endless():
            for _ in range(BODY_LIMIT // (1 << 20) + 2):
                yield b"x" * (1 << 20)

        assert (await post(url, data=endless()))[0] == 413
        await stop(it)

    bench(None, play)


# --- TLS ---

HTTPS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem}\n"
USERS = "basic_auth_users: {kim: $2y$04$TAdB8zfFHw67yoX6Xc/Mj.eNLHEYaP4R7Yqv.4h4CRZTKRzvKsnPe}\n"


def trusting(name: str, certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that trusts this authority alone, and shows this certificate."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority(name).configure_trust(made)
    if certificate:
        certificate.configure_cert(made)
    return made


@pytest.mark.parametrize("web_config", [HTTPS, HTTPS + USERS])
def test_a_mail_is_posted_over_tls_and_no_other_way(bench, web_config):  # noqa: F811
    async def play(it):
        url = await listen(it, web_config)
        outcome = await it.prober.run_once(it.probe)
        raw = outcome.mail.raw
        with pytest.raises(ClientError):
            await post(url.replace("https", "http"), data=raw)
        with pytest.raises(ClientError):
            await post(url, data=raw, ssl=trusting("other"))
        assert (await post(url, {}, data=raw, ssl=trusting("trusted")))[0] == 401
        assert it.count("arrived") == 0
        assert await post(url, data=raw, ssl=trusting("trusted")) == (200, "taken\n")
        assert it.count("arrived") == 1
        await stop(it)

    bench(None, play)


def test_a_client_needs_a_certificate_where_the_web_configuration_says_so(bench):  # noqa: F811
    wanted = HTTPS.replace("}", ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}")

    async def play(it):
        url = await listen(it, wanted)
        outcome = await it.prober.run_once(it.probe)
        for context in (
            trusting("trusted"),
            trusting("trusted", authority("other").issue_cert("client.example.com")),
        ):
            with pytest.raises(ClientError):
                await post(url, data=outcome.mail.raw, ssl=context)
        known = trusting("trusted", authority("trusted").issue_cert("client.example.com"))
        assert (await post(url, data=outcome.mail.raw, ssl=known))[0] == 200
        await stop(it)

    bench(None, play)


def test_a_certificate_that_is_renewed_is_shown_at_once(bench):  # noqa: F811
    async def play(it):
        url = await listen(it, HTTPS)
        outcome = await it.prober.run_once(it.probe)
        tick()
        write_pair(it.maildir.parent, authority("other"), "127.0.0.1")
        assert (await post(url, data=outcome.mail.raw, ssl=trusting("other")))[0] == 200
        await stop(it)

    bench(None, play)


@pytest.mark.parametrize(
    "web_config", ["", USERS, "x: 1\n", HTTPS.replace("cert.pem", "nowhere"), HTTPS.replace("key.pem", "cert.pem")]
)
def test_without_tls_that_should_be_nobody_is_listened_to(bench, web_config):  # noqa: F811
    async def play(it):
        await begin(it, web_config)
        assert it.prober.status(it.probe).mailbox.reason == "mailbox_internal"
        port = it.probe.arrive.hook.listen.rpartition(":")[2]
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", int(port))
        config = it.maildir.parent / "mailstat.yml"
        config.write_text(
            "probes: [{name: a, send: {server: mx.example.com, from: a@example.com, to: b@example.com},"
            " arrive: {hook: {listen: ':1', token_env: TOKEN, web_config_file: web.yml}}}]"
        )
        with pytest.raises(ConfigError) as refused:
            load_config(config)
        assert all(error.startswith(f"{it.maildir.parent}/web.yml: ") for error in refused.value.errors)
        await stop(it)

    bench(None, play)


def test_an_address_that_is_taken_is_told(bench):  # noqa: F811
    async def play(it):
        await listen(it)
        other = mailbox(it.probe.arrive)
        await it.prober.look(other, [it.probe])
        assert it.value("mail_probe_failure_info", phase="arrival", reason="mailbox_unreachable") == 1
        await stop(it)

    bench(None, play)


def test_deep_json_is_left(bench):  # noqa: F811
    async def play(it):
        url = await listen(it)
        deep: object = "x"
        for _ in range(900):
            deep = [deep]
        assert (await post(url, json=json.loads(json.dumps(deep))))[0] == 200
        await stop(it)

    bench(None, play)


def test_a_hook_that_is_configured_anew_listens_at_once(bench):  # noqa: F811
    async def play(it):
        port = free_port()
        (it.maildir.parent / "other").write_text("another token")
        (it.maildir.parent / "token").write_text(TOKEN)
        running = asyncio.create_task(it.prober.run())
        for name, token in (("token", TOKEN), ("other", "another token")):
            hook = Hook(listen=f"127.0.0.1:{port}", token_file=it.maildir.parent / name)
            it.prober.configure([dataclasses.replace(it.probe, every=3600.0, arrive=Arrive(hook=hook))])
            while True:
                await asyncio.sleep(0.05)
                with contextlib.suppress(OSError):
                    if (await post(f"http://127.0.0.1:{port}/", {"Authorization": f"Bearer {token}"}))[0] == 200:
                        break
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    bench(None, play)


def test_who_connects_and_says_nothing_keeps_nobody_out(bench):  # noqa: F811
    async def play(it):
        url = await listen(it)
        port = int(url.split(":")[2].partition("/")[0])
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        outcome = await it.prober.run_once(it.probe)
        assert (await post(url, data=outcome.mail.raw))[0] == 200
        assert it.count("arrived") == 1
        for _, writer in silent:
            writer.transport.abort()
        await stop(it)

    bench(None, play)


def test_who_ends_its_half_within_a_body_leaves_its_place_at_once(bench):  # noqa: F811
    async def play(it):
        url = await listen(it)
        head = f"POST / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: 99\r\n\r\nhalf"
        for _ in range(6):  # more than bodies are read at a time
            reader, writer = await asyncio.open_connection("127.0.0.1", url.split(":")[2].split("/")[0])
            writer.write(head.encode())
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert (await post(url, data=OTHERS))[0] == 200
        await stop(it)

    bench(None, play)
