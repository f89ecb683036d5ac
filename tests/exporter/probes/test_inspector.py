"""What is looked at when, what is kept, and what a scrape shows of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client import CollectorRegistry

from exporter.cli import main
from exporter.config import Config, ConfigError, LogSource, load_config
from exporter.pipeline import Pipeline
from exporter.probes.estate import Negative, Posture, ResolverSection
from exporter.probes.inspector import Inspector
from exporter.probes.section import Arrive, Dkim, Probe
from tests.exporter.probes.dns.nameserver import answering
from tests.exporter.probes.server import serving
from tests.exporter.probes.test_placement import GMAIL, a_mail, signed
from tests.exporter.probes.test_smtp import a_send
from tests.service import PATIENCE, ROOT, running, wait_for

assert signed  # a fixture
NOW = 1_800_000_000.0
ZONE = """
example.com. 60 IN MX 10 mx.example.com.
example.com. 60 IN TXT "v=spf1 ip4:192.0.2.25 -all"
mx.example.com. 60 IN A 192.0.2.25
2.0.0.127.bl.example.net. 60 IN A 127.0.0.2
25.2.0.192.bl.example.net. 60 IN A 127.0.0.4
2.0.0.127.good.example.net. 60 IN A 127.0.0.2
test.dbl.example.net. 60 IN A 127.0.1.2
example.com.dbl.example.net. 60 IN A 127.0.1.2
"""
ZONES = ("bl.example.net", "good.example.net", "dead.example.net")
POSTURE = Posture(
    name="com", domain="example.com", addresses=("192.0.2.25",), zones=ZONES, domain_zones=("dbl.example.net",)
)


def values(inspector: Inspector, name: str) -> dict[tuple[str, ...], float]:
    """The samples of a metric, by the values of their labels other than `probe`."""
    registry = CollectorRegistry()
    registry.register(inspector)
    return {
        tuple(value for label, value in sample.labels.items() if label != "probe"): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.name == name
    }


def a_config(section: ResolverSection | None = None, **more) -> Config:
    return Config(resolver=section or ResolverSection(servers=("127.0.0.1:1",), timeout=0.2), **more)


def test_a_posture_is_shown():
    with answering(ZONE) as server:
        inspector = Inspector(a_config(server.section(), posture=(POSTURE,)))
        asyncio.run(inspector.examine(POSTURE))
    assert values(inspector, "mail_probe_dns_check") == {
        ("mx",): 1,
        ("a",): 1,
        ("ptr",): 0,
        ("fcrdns",): 0,
        ("spf",): 1,
        ("dmarc",): 0,
        ("mta_sts",): 0,
        ("tls_rpt",): 0,
        ("tlsa",): 0,
    }  # and no dkim: no selector is known
    assert values(inspector, "mail_probe_dnsbl_listed") == {
        ("bl.example.net",): 1,
        ("good.example.net",): 0,
        ("dbl.example.net",): 1,
    }


def test_what_cannot_be_told_is_not_shown():
    inspector = Inspector(a_config(posture=(POSTURE,)))
    asyncio.run(inspector.examine(POSTURE))
    assert values(inspector, "mail_probe_dns_check") == {}
    assert values(inspector, "mail_probe_dnsbl_listed") == {}


def test_what_changes_is_logged_once(caplog):
    caplog.set_level("INFO")

    def told() -> list[str]:
        rows = [(it.message, it.__dict__.get("check")) for it in caplog.records]
        caplog.clear()
        return [message for message, check in rows if check == "spf"]

    with answering(ZONE) as server:
        inspector = Inspector(a_config(server.section(), posture=(POSTURE,)))
        for _ in range(2):
            asyncio.run(inspector.examine(POSTURE))
    assert told() == []
    for zone, expected in ((ZONE.replace("v=spf1", "v=spf7"), "a check failed"), (ZONE, "a check is well again")):
        with answering(zone) as server:
            inspector.configure(a_config(server.section(), posture=(POSTURE,)))
            for _ in range(2):
                asyncio.run(inspector.examine(POSTURE))
        assert told() == [expected]


def test_a_negative_probe_is_shown_and_names_that_go_are_forgotten(caplog):
    async def run():
        async with serving() as server:
            negative = Negative(
                name="own", server="127.0.0.1", domain="example.com", smtp_port=server.port, submission_port=1,
                implicit_port=1, patience=0.05, helo="probe.example.net",
            )  # fmt: skip
            inspector = Inspector(a_config(negative=(negative,)))
            await inspector.attempt(negative)
            return inspector

    inspector = asyncio.run(run())
    shown = values(inspector, "mail_probe_refused")
    assert shown[("open_relay",)] == shown[("forged_sender",)] == shown[("plaintext_auth",)] == 0
    assert "postmaster@" not in caplog.text
    inspector.configure(a_config())
    assert values(inspector, "mail_probe_refused") == {}


# --- mail that arrived ---


def a_probe(folder, **more) -> Probe:
    arrive = Arrive(maildir=folder, authserv_id="mx.example.net")
    return Probe(name="one", every=60.0, send=a_send(folder, 25, **more), arrive=arrive)


def test_what_the_receiver_saw_is_shown(tmp_path):
    inspector = Inspector(a_config(probes=(a_probe(tmp_path),)))
    inspector.observe_arrival("one", a_mail("X-Spam-Status: Yes, score=7.5\n" + GMAIL), "INBOX", NOW + 9)
    assert values(inspector, "mail_probe_authentication_result") == {
        ("spf", "pass"): 1,
        ("dkim", "pass"): 1,
        ("dmarc", "pass"): 1,
        ("arc", "none"): 1,
    }
    assert values(inspector, "mail_probe_spam_score") == {(): 7.5}
    assert values(inspector, "mail_probe_spam_flagged") == {(): 1}
    assert values(inspector, "mail_probe_hop_seconds") == {("1",): 2, ("2",): 5, ("3",): 2}
    assert values(inspector, "mail_probe_hop_clock_skew_seconds") == {("1",): 0, ("2",): 0, ("3",): 0}
    assert values(inspector, "mail_probe_hop_tls_info") == {
        ("1", "TLSv1.2"): 1,
        ("2", "TLSv1.3"): 1,
        ("3", "none"): 1,
    }
    inspector.observe_arrival("one", a_mail("Subject: x\n"), "INBOX", NOW + 9)  # only the last one counts
    assert values(inspector, "mail_probe_authentication_result") == {}
    inspector.observe_arrival("nobody", a_mail(GMAIL), "INBOX", NOW)
    inspector.configure(a_config())
    assert values(inspector, "mail_probe_hop_seconds") == {}


def test_our_own_signature_is_verified_and_its_selector_is_looked_at(tmp_path, signed):
    raw, record = signed
    strings = " ".join(f'"{record[at : at + 200]}"' for at in range(0, len(record), 200))
    posture = Posture(name="com", domain="example.com")

    async def run(server):
        probe = a_probe(tmp_path, dkim=Dkim(domain="example.com", selector="s1", key_file=tmp_path))
        inspector = Inspector(a_config(server.section(), probes=(probe,), posture=(posture,)))
        inspector.observe_arrival("one", raw, "INBOX", NOW)
        await asyncio.gather(*inspector._verifying)
        await inspector.examine(posture)
        return inspector

    with answering(f"{ZONE}\ns1._domainkey.example.com. 60 IN TXT {strings}") as server:
        inspector = asyncio.run(run(server))
    assert values(inspector, "mail_probe_authentication_result") == {("own_signature", "pass"): 1}
    assert values(inspector, "mail_probe_dns_check")[("dkim",)] == 1


def test_selectors_that_probes_sign_with_are_looked_at(tmp_path):
    dkim = Dkim(domain="Example.com", selector="S9", key_file=tmp_path)
    inspector = Inspector(a_config(probes=(a_probe(tmp_path, dkim=dkim),), posture=(POSTURE,)))
    assert inspector.selectors("example.com") == ["s9"]
    assert inspector.selectors("example.org") == []


def test_mail_cannot_make_us_ask_for_more_than_a_few_selectors_of_our_own_domain(tmp_path):
    inspector = Inspector(a_config(probes=(a_probe(tmp_path),), posture=(POSTURE,)), now=lambda: NOW)
    for number in range(100):
        header = f"DKIM-Signature: d=example.com; s=s{number}\nDKIM-Signature: d=victim.example.org; s=x\n"
        inspector.observe_arrival("one", a_mail(header), "INBOX", NOW + number)
    assert inspector.selectors("example.com") == [f"s{number}" for number in range(92, 100)]
    assert inspector.selectors("victim.example.org") == []


KEY = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
SIGNED = "{} mail opendkim[7]: 4F1A2B: DKIM-Signature field added (s={}, d={})\n"


def signing(*lines: tuple[str, str]) -> str:
    """What OpenDKIM logs now."""
    return "".join(SIGNED.format(datetime.now(UTC).isoformat(), *line) for line in lines)


def asked_keys(server) -> set[str]:
    return {question for question in server.asked if "_domainkey" in question}


def test_selectors_that_a_log_tells_of_are_looked_at_and_outlive_the_process(tmp_path):
    log, state = tmp_path / "mail.log", tmp_path / "state"
    state.mkdir()
    log.write_text(signing(("s1", "example.com"), ("x", "victim.example.org"), ("*", "example.com")))
    config = a_config(sources=(LogSource(file=log),), posture=(POSTURE,))

    def run(server, config: Config) -> dict[tuple[str, ...], float]:
        pipeline = Pipeline(config, state)
        inspector = Inspector(config, pipeline.signatures)
        while pipeline.step():
            pass
        asyncio.run(inspector.examine(POSTURE))
        pipeline.close()
        return values(inspector, "mail_probe_dns_check")

    with answering(f'{ZONE}\ns1._domainkey.example.com. 60 IN TXT "{KEY}"') as server:
        for _ in range(2):  # the second time, the log has nothing new
            assert run(server, replace(config, resolver=server.section()))[("dkim",)] == 1
        assert asked_keys(server) == {"s1._domainkey.example.com. TXT"}
    with log.open("a") as more:
        more.write(signing(("s2", "example.com")))  # a new key, which is not in the DNS
    with answering(f'{ZONE}\ns1._domainkey.example.com. 60 IN TXT "{KEY}"') as server:
        assert run(server, replace(config, resolver=server.section()))[("dkim",)] == 0


# --- as it is run ---


def test_all_of_it_is_run_when_it_is_due_and_scraped(tmp_path):
    (tmp_path / "mail.log").write_text("")
    with answering(ZONE) as nameserver, smtp() as port:
        config = write_config(tmp_path, nameserver.port, port)
        with running(tmp_path, f"--config.file={config}", f"--state.dir={tmp_path}") as exporter:
            exporter.until(lambda it: it.total("mail_probe_dns_check", probe="com", check="spf") == 1)
            exporter.until(lambda it: "mail_probe_refused{" in it.text)


def write_config(folder, dns_port: int, smtp_port: int):
    config = folder / "mailstat.yml"
    config.write_text(
        f"sources: [{{file: mail.log}}]\nresolver: {{servers: ['127.0.0.1:{dns_port}']}}\n"
        "posture: [{name: com, domain: example.com, addresses: [192.0.2.25], zones: [bl.example.net], every: 1m}]\n"
        f"negative: [{{name: own, server: 127.0.0.1, domain: example.com, smtp_port: {smtp_port}, submission_port: 1,"
        " implicit_port: 1, patience: 50ms, every: 5m, helo: probe.example.net}]\n"
    )
    return config


class smtp:  # noqa: N801 - it is used like a function
    """A server in a thread of its own."""

    def __enter__(self) -> int:
        self._loop = asyncio.new_event_loop()
        self._done = asyncio.Event()
        self._ports: list[int] = []
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._is_up.wait(PATIENCE)
        return self._ports[0]

    async def _serve(self) -> None:
        async with serving() as server:
            self._ports.append(server.port)
            self._is_up.set()
            await self._done.wait()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(PATIENCE)
        self._loop.close()


def test_a_selector_that_is_new_is_looked_at_soon(tmp_path):
    log = tmp_path / "mail.log"
    log.write_text("")
    with answering(f'{ZONE}\ns1._domainkey.example.com. 60 IN TXT "{KEY}"') as nameserver:
        config = write_config(tmp_path, nameserver.port, 1)
        config.write_text(config.read_text().replace("every: 1m", "every: 5m"))
        with running(tmp_path, f"--config.file={config}", f"--state.dir={tmp_path}") as exporter:
            exporter.until(lambda it: it.total("mail_probe_dns_check", check="mx") == 1)
            for selector, expected in (("s1", 1), ("s2", 0)):  # the second is not in the DNS
                with log.open("a") as more:
                    more.write(signing((selector, "example.com")))
                sample = f'mail_probe_dns_check{{check="dkim",probe="com"}} {expected:.1f}'
                exporter.until(lambda it: sample in it.text)  # noqa: B023 - it is over before the next


def test_once_looks_at_the_selectors_that_the_end_of_the_log_tells_of(tmp_path, capsys):
    (tmp_path / "mail.log").write_text("x" * (3 << 19) + "\n" + signing(("s1", "example.com")))
    with answering(f'{ZONE}\ns1._domainkey.example.com. 60 IN TXT "{KEY}"') as nameserver:
        config = write_config(tmp_path, nameserver.port, 1)
        main([f"--config.file={config}", "--probe.once=com"])
    assert "\ndkim             good  valid: s1\n" in capsys.readouterr().out


def test_once_for_whoever_waits(tmp_path, capsys):
    with answering(ZONE) as nameserver, smtp() as port:
        config = write_config(tmp_path, nameserver.port, port)
        assert main([f"--config.file={config}", "--probe.once=com"]) == 1
        domain = capsys.readouterr().out
        assert main([f"--config.file={config}", "--probe.once=own"]) == 1
        server = capsys.readouterr().out
        assert main([f"--config.file={config}", "--probe.once=none"]) == 2
    assert "\nspf              good  valid" in domain
    assert "\nbl.example.net   BAD   listed" in domain
    assert "\nopen_relay       BAD   relays" in server
    assert "C: RCPT TO:<mailstat-probe@example.org>" in server
    assert "there are: com, own" in capsys.readouterr().err


# --- the configuration ---


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("posture: [{name: a, domain: 'a b'}]", "posture[0]: domain: expected names such as example.com"),
        ("posture: [{name: a, domain: a.b, addresses: [x]}]", "posture[0]: addresses: expected an address such as"),
        ("posture: [{name: a, domain: a.b, zones: ['a/b']}]", "posture[0]: zones: expected names such as"),
        ("posture: [{name: a, domain: a.b, domain_zones: ['']}]", "posture[0].domain_zones[0]: expected a text"),
        ("posture: [{name: a, domain: a.b, domain_zones: ['a b']}]", "posture[0]: domain_zones: expected names"),
        (
            "posture: [{name: a, domain: a.b, zones: [BL.a], domain_zones: [bl.a]}]",
            "posture[0]: domain_zones: bl.a is one of `zones`",
        ),
        ("posture: [{name: a b, domain: a.b}]", "posture[0]: name: expected letters"),
        ("posture: [{name: a, domain: a.b, every: 1s}]", "posture[0]: every: expected at least 1m"),
        (
            "posture: [{name: a, domain: a.b}, {name: a, domain: a.c}]",
            'posture[1].name: "a" is the name of posture[0]',
        ),
        ("negative: [{name: a, server: a.b, domain: a.b, foreign: a.b}]", "negative[0]: foreign: expected another"),
        ("negative: [{name: a, server: a.b, domain: a.b, recipient: 'a> b'}]", "negative[0]: recipient: expected a"),
        ("negative: [{name: a, server: a.b, domain: a.b, every: 1m}]", "negative[0]: every: expected at least 5m"),
        ("negative: [{name: a, server: a.b, domain: a.b, helo: 'a b'}]", "negative[0]: helo: expected"),
        ("resolver: {servers: [a.b]}", "resolver: servers: expected addresses such as 192.0.2.53"),
        ("resolver: {servers: ['192.0.2.1:99999']}", "resolver: servers: expected addresses"),
        ("resolver: {timeout: 1h}", "resolver: timeout: expected more than nothing and at most 1m"),
    ],
)
def test_what_is_refused(tmp_path, text, error):
    path = tmp_path / "mailstat.yml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert error in caught.value.errors[0]


@pytest.mark.parametrize("server", ["192.0.2.53", "[2001:db8::53]:5353", "2001:db8::53", "127.0.0.1:5353"])
def test_resolvers(server):
    assert ResolverSection(servers=(server,)).servers == (server,)


def test_it_ends_at_once_while_nobody_answers(tmp_path):
    (tmp_path / "mail.log").write_text("")
    with answering(ZONE, silent=("example.com.",)) as nameserver:
        config = write_config(tmp_path, nameserver.port, 1)
        with running(tmp_path, f"--config.file={config}", f"--state.dir={tmp_path}") as exporter:
            wait_for(lambda: nameserver.asked["example.com. TXT"], lambda: exporter.log)
        # It has ended by now, without a word of trouble.


WITHOUT = """
import sys
for name in ("dns", "spf", "checkdmarc", "dkim"):
    sys.modules[name] = None
from exporter.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_extra_it_is_said_what_is_missing_and_the_rest_works(tmp_path):
    with smtp() as port:
        config = write_config(tmp_path, 1, port)

        def once(name: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-c", WITHOUT, f"--config.file={config}", f"--probe.once={name}"]
            return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)

        done = once("com")
        assert (done.returncode, done.stdout) == (1, "")
        assert "install mailstat[posture]" in done.stderr
        assert "Traceback" not in done.stderr
        assert "\nopen_relay       BAD   relays" in once("own").stdout
