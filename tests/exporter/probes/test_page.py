from __future__ import annotations

import asyncio
import time

from aiohttp import ClientSession
from prometheus_client.parser import text_string_to_metric_families as parse

from exporter.config import Config
from exporter.page import render
from exporter.pipeline import Pipeline
from exporter.probes.page import ProbePage, targeted
from exporter.probes.prober import Prober
from exporter.probes.section import Probe
from exporter.web import application, serve
from tests.deadline import told_in_time
from tests.exporter.probes.server import Act, serving
from tests.exporter.probes.test_smtp import PASSWORD, a_send, assert_hidden


def asked(folder, query: str, steps=None, headers=None, certificate="good", **what) -> tuple[int, str]:
    """The answer to /probe about the probe `one`, to a server that does this; PORT stands for its port."""

    async def ask() -> tuple[int, str]:
        async with serving(steps, certificate) as server:
            probe = Probe(name="one", send=a_send(folder, server.port, **what), targets=(f"127.0.0.1:{server.port}",))
            page = ProbePage(Prober([probe], folder))
            runner = await serve(
                application(Pipeline(Config(), None), "/metrics", list, probe=page.answer), ["127.0.0.1:0"]
            )
            try:
                url = f"http://127.0.0.1:{runner.addresses[0][1]}/probe?{query.replace('PORT', str(server.port))}"
                async with ClientSession() as session, session.get(url, headers=headers) as answer:
                    return answer.status, await answer.text()
            finally:
                await runner.cleanup()

    return asyncio.run(ask())


def samples(text: str) -> dict[str, float]:
    return {f"{s.name}{s.labels or ''}": s.value for family in parse(text) for s in family.samples}


def test_a_probe_that_succeeds(tmp_path):
    status, text = asked(tmp_path, "module=one", tls="starttls", username="probe")
    values = samples(text)
    assert status == 200
    assert values["probe_success"] == 1
    assert values["probe_ssl_earliest_cert_expiry"] == 2208988800
    assert values["probe_ip_protocol"] == 4
    assert values["probe_smtp_phase_seconds{'phase': 'end_of_data'}"] > 0
    assert values["probe_smtp_extension_info{'extension': 'PIPELINING'}"] == 1


def test_a_probe_that_fails_is_a_sample_and_no_error(tmp_path):
    status, text = asked(tmp_path, "module=one", {"RCPT": b"550 5.1.1 User unknown\r\n"})
    values = samples(text)
    assert status == 200
    assert values["probe_success"] == 0
    assert values["probe_smtp_failure_info{'phase': 'rcpt', 'reason': 'user_unknown'}"] == 1
    assert values["probe_smtp_reply_code"] == 550


def test_a_certificate_that_is_refused_is_shown(tmp_path):
    _, text = asked(tmp_path, "module=one", certificate="expired", tls="starttls")
    values = samples(text)
    assert values["probe_smtp_failure_info{'phase': 'starttls', 'reason': 'certificate-expired'}"] == 1
    assert values["probe_ssl_earliest_cert_expiry"] == 1577836800
    assert values["probe_ssl_certificate_name_info{'name': 'localhost'}"] == 1


def test_no_server_makes_labels_of_what_it_likes(tmp_path):
    _, text = asked(tmp_path, "module=one", certificate="strange", tls="starttls")
    names = [name for name in samples(text) if name.startswith("probe_ssl_certificate_name_info")]
    assert names == [f"probe_ssl_certificate_name_info{{'name': 'n{number}.example.com'}}" for number in range(10)]


def test_the_deadline_is_prometheus(tmp_path):
    def ask(seconds: float) -> tuple[bool, float]:
        header = {"X-Prometheus-Scrape-Timeout-Seconds": str(seconds)}
        values = samples(asked(tmp_path, "module=one", {"banner": Act.HANG}, header)[1])
        is_banner = values.get("probe_smtp_failure_info{'phase': 'banner', 'reason': 'timeout'}") == 1
        return is_banner and values["probe_duration_seconds"] < seconds, values["probe_duration_seconds"]

    assert told_in_time(ask, lambda told: told[0])[0]


def test_only_what_is_configured_is_probed(tmp_path):
    assert asked(tmp_path, "module=two") == (400, "400 Bad Request: no such module; there are: one\n")
    assert asked(tmp_path, "module=one&target=mx.example.net")[0] == 400
    assert asked(tmp_path, "")[0] == 400
    assert asked(tmp_path, "module=one&target=localhost")[0] == 200
    assert asked(tmp_path, "module=one&target=127.0.0.1:PORT")[0] == 200


def test_debug_shows_the_dialogue_without_secrets(tmp_path):
    status, text = asked(tmp_path, "module=one&debug=true", username="probe")
    assert status == 200
    assert "C: AUTH PLAIN ****" in text
    assert "S: 250 2.0.0 Ok: queued as 4F1A2B" in text
    assert "probe_success 1.0" in text
    assert PASSWORD not in text
    assert_hidden(text)


def test_a_secret_that_is_missing_is_a_reason(tmp_path):
    nowhere = tmp_path / "nowhere"
    _, text = asked(tmp_path, "module=one", username="probe", password_file=nowhere)
    assert samples(text)["probe_smtp_failure_info{'phase': 'auth', 'reason': 'no_secret'}"] == 1


def test_targets_with_and_without_a_port(tmp_path):
    others = ("mx.example.net", "[2001:db8::1]:26", "2001:db8::2", "mx.example.org:2525")
    probe = Probe(name="one", send=a_send(tmp_path, 25), targets=others)
    found = [(targeted(probe, other).server, targeted(probe, other).port_number) for other in others]
    assert found == [("mx.example.net", 25), ("2001:db8::1", 26), ("2001:db8::2", 25), ("mx.example.org", 2525)]


def test_the_page_for_people_shows_why_a_probe_fails_and_no_address(tmp_path):
    said = b"550 5.1.1 <probe@example.net>: User <script> unknown, ask postmaster@example.net\r\n"

    async def shown() -> str:
        async with serving({"RCPT": said}) as server:
            probe = Probe(name="one", every=60.0, send=a_send(tmp_path, server.port, username="probe"))
            prober = Prober([probe], None)
            await prober.run_once(probe)
            text = render(Pipeline(Config(), None), "/metrics", 1_800_000_000.0, prober.views())
            prober.close()
            return text

    text = asyncio.run(shown())
    assert "1 of 1 probe failing" in text
    assert "rcpt: user_unknown" in text
    assert "User &lt;script&gt; unknown" in text
    assert "example.net" not in text
    assert_hidden(text)


def test_the_page_of_probes_that_are_well(tmp_path):
    async def shown() -> str:
        async with serving() as server:
            probes = [Probe(name=name, every=60.0, send=a_send(tmp_path, server.port)) for name in ("one", "two")]
            prober = Prober([*probes, Probe(name="asked", send=probes[0].send)], None)
            for probe in probes:
                await prober.run_once(probe)
            text = render(Pipeline(Config(), None), "/metrics", time.time(), prober.views())
            prober.close()
            return text

    text = asyncio.run(shown())
    assert "failing" not in text
    assert text.count("success</span>") == 2
    assert "asked" not in text


def test_no_destination_gets_more_than_its_limit(tmp_path):
    async def flood() -> list[str | None]:
        async with serving() as server:
            probe = Probe(name="one", send=a_send(tmp_path, server.port))
            prober = Prober([probe], None, lambda: 1_800_000_000.0)
            results = [(await prober.send(probe, probe.send)).result for _ in range(122)]
            assert len(server.mails) == 120
            return [result.failure.reason if result.failure else None for result in results]

    assert asyncio.run(flood()) == [None] * 120 + ["own_limit"] * 2
