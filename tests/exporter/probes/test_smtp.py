from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import re
from email import message_from_bytes
from email.policy import default

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from prometheus_client import CollectorRegistry, generate_latest

from exporter.probes.dialogue import MASK
from exporter.probes.message import Key, whose
from exporter.probes.prober import Prober
from exporter.probes.run import Outcome, send_probe
from exporter.probes.sasl import mechanism
from exporter.probes.section import Dkim, Probe, Send
from tests.deadline import told_in_time
from tests.exporter.probes.fault import FAULTS
from tests.exporter.probes.server import Act, ca_file, deaf, serving, settle
from tests.service import PATIENCE

PASSWORD = "hunter2-and-more"
NOW = 1_800_000_000.0
KEY = Key(b"k" * 32)


def a_send(folder, port: int, **what) -> Send:
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    usual = {"server": "localhost", "port": port, "tls": "none", "family": "ipv4", "helo": "probe.example.com"}
    usual |= {"from_": "probe@example.com", "to": "probe@example.net", "ca_file": ca_file(folder)}
    if "username" in what:
        usual["password_file"] = secret
    return Send(**(usual | what))


async def run(folder, steps=None, certificate="good", timeout=PATIENCE, **what):
    """The outcome of a probe to a server that does this, and the server."""
    async with serving(
        steps, certificate, implicit=what.pop("implicit", False), host=what.pop("host", None)
    ) as server:
        send = a_send(folder, **({"port": server.port} | what))
        outcome = await send_probe(Probe(name="one", send=send, timeout=timeout), send, KEY, lambda: NOW)
        return outcome, server


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_each_fault_has_its_phase_and_reason_before_the_deadline(tmp_path, fault):
    def is_meant(told) -> bool:
        outcome, seconds = told
        return outcome.result.failure[:2] == (fault.phase, fault.reason) and outcome.result.seconds < seconds * 1.2

    told = told_in_time(lambda seconds: (inject(tmp_path, fault, seconds), seconds), is_meant)
    outcome, _ = told
    assert is_meant(told), (outcome.result, outcome.dialogue.text())
    result = outcome.result
    assert result.failure.reply_code == fault.reply_code
    assert not result.is_sent
    assert fault.phase in result.phases


def inject(folder, fault, timeout: float):
    """What a probe says of a fault."""
    with contextlib.ExitStack() as stack:
        port = {"port": stack.enter_context(deaf())} if fault.is_deaf else {}
        what = {**port, **fault.send, "implicit": fault.is_implicit}
        return asyncio.run(run(folder, fault.steps, fault.certificate, timeout, **what))[0]


def test_there_are_enough_of_them():
    assert len(FAULTS) >= 40
    assert len({fault.what for fault in FAULTS}) == len(FAULTS)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.what)
def test_each_fault_is_in_the_metrics_and_shows_no_password(tmp_path, fault, caplog):
    async def play() -> tuple[str, Outcome]:
        with contextlib.ExitStack() as stack:
            port = {"port": stack.enter_context(deaf())} if fault.is_deaf else {}
            async with serving(fault.steps, fault.certificate, implicit=fault.is_implicit) as server:
                send = a_send(tmp_path, **({"port": server.port} | port | fault.send | login(fault)))
                prober = Prober([Probe(name="one", every=60.0, send=send, timeout=0.2)], None)
                outcome = await prober.run_once(prober.probes["one"])
                registry = CollectorRegistry()
                registry.register(prober)
                text = generate_latest(registry).decode() + str(prober.views())
                prober.close()
                return text, outcome

    text, outcome = asyncio.run(play())
    phase, reason = outcome.result.failure[:2]
    assert 'mail_probe_success{probe="one"} 0.0' in text
    assert 'mail_probe_messages_total{probe="one",result="send_failed"} 1.0' in text
    assert f'mail_probe_failure_info{{phase="{phase}",probe="one",reason="{reason}"}} 1.0' in text
    assert_hidden(text + outcome.dialogue.text() + str(outcome.result) + caplog.text)


def login(fault) -> dict:
    return {} if "username" in fault.send else {"username": "probe"}


def assert_hidden(text: str) -> None:
    encoded = base64.b64encode(f"\0probe\0{PASSWORD}".encode()).decode()
    for secret in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode(), encoded, encoded.rstrip("=")):
        assert secret not in text


def test_a_server_that_repeats_the_password_does_not_get_it_shown(tmp_path):
    encoded = base64.b64encode(f"\0probe\0{PASSWORD}".encode())
    said = b"535 5.7.8 bad password " + PASSWORD.encode() + b" in " + encoded + b"\r\n"
    outcome, _ = asyncio.run(run(tmp_path, {"AUTH": said}, username="probe"))
    assert "535" in outcome.dialogue.text()
    assert_hidden(outcome.dialogue.text() + str(outcome.result))


@pytest.mark.parametrize("before", ["", "x", "xx", "user=probe,token="])
def test_a_password_within_more_is_not_shown_in_base64_either(tmp_path, before):
    said = base64.b64encode(f"{before}{PASSWORD} and more".encode())
    outcome, _ = asyncio.run(run(tmp_path, {"AUTH": b"535 5.7.8 " + said + b"\r\n"}, username="probe"))
    told = f"{outcome.dialogue.text()} {outcome.result.failure}"
    start = -(-len(before) * 8 // 6)
    assert said.decode()[start : start + 6] not in told
    assert MASK in outcome.result.failure.text


def test_why_a_token_is_refused_is_told(tmp_path):
    error = base64.b64encode(f'{{"status":"401","token":"{PASSWORD}"}}'.encode())
    steps = {"EHLO": b"250-mx\r\n250 AUTH XOAUTH2\r\n", "AUTH": b"334 " + error + b"\r\n", "": b"535 5.7.8 No\r\n"}
    outcome, _ = asyncio.run(run(tmp_path, steps, username="probe", auth="XOAUTH2"))
    assert outcome.result.failure[:2] == ("auth", "smtp_auth")
    assert '-- the token is refused: {"status":"401","token":"****"}' in outcome.dialogue.text()
    assert_hidden(outcome.dialogue.text())


def test_each_phase_is_timed(tmp_path):
    outcome, server = asyncio.run(run(tmp_path, tls="starttls", username="probe"))
    result = outcome.result
    assert result.failure is None, outcome.dialogue.text()
    assert result.is_sent
    assert list(result.phases) == "dns connect banner ehlo starttls auth mail rcpt data end_of_data".split()
    assert sum(result.phases.values()) <= result.seconds
    assert result.reply == "250 2.0.0 Ok: queued as 4F1A2B"
    assert result.tls_version in ("TLSv1.2", "TLSv1.3")
    assert result.certificate.names == ("localhost",)
    assert result.certificate.expiry == 2208988800
    assert "SIZE" in result.extensions
    assert whose(server.mails[0], KEY) == ("one", outcome.mail.id)


def test_a_slow_phase_is_the_one_that_is_long(tmp_path):
    def longest(seconds: float) -> str:
        phases = asyncio.run(run(tmp_path, {"RCPT": Act.HANG}, timeout=seconds))[0].result.phases
        return max(phases, key=phases.get)

    assert told_in_time(longest, lambda phase: phase == "rcpt") == "rcpt"


def test_implicit_tls(tmp_path):
    outcome, _ = asyncio.run(run(tmp_path, tls="implicit", implicit=True))
    assert outcome.result.is_sent, outcome.dialogue.text()
    assert list(outcome.result.phases)[:4] == ["dns", "connect", "starttls", "banner"]


def test_opportunistic_tls_is_taken_where_it_is_offered_and_missed_nowhere(tmp_path):
    outcome, _ = asyncio.run(run(tmp_path, tls="opportunistic"))
    assert outcome.result.tls_version
    outcome, _ = asyncio.run(run(tmp_path, {"EHLO": b"250 mx\r\n"}, tls="opportunistic"))
    assert outcome.result.is_sent
    assert outcome.result.tls_version is None


def test_a_certificate_need_not_be_valid_where_that_is_said(tmp_path):
    outcome, _ = asyncio.run(run(tmp_path, None, "untrusted", tls="starttls", verify=False))
    assert outcome.result.is_sent


SHOWN = {
    "good": (2208988800, ("localhost",)),
    "expired": (1577836800, ("localhost",)),
    "old": (1577836800, ("localhost",)),
    "name": (2208988800, ("elsewhere.example.net",)),
    "untrusted": (2208988800, ("localhost",)),
    "strange": (2208988800, tuple(f"n{number}.example.com" for number in range(95))),
}
"""When the first certificate of each server's chain ends, and the names that may be labels."""


@pytest.mark.parametrize("kind", SHOWN)
@pytest.mark.parametrize("how", [{"tls": "starttls"}, {"tls": "implicit", "implicit": True}])
@pytest.mark.parametrize("verify", [True, False])
def test_a_certificate_is_told_whether_it_is_refused_or_not(tmp_path, kind, how, verify):
    outcome, _ = asyncio.run(run(tmp_path, None, kind, verify=verify, **how))
    assert (outcome.result.failure is None) is (kind == "good" or not verify)
    assert outcome.result.certificate == SHOWN[kind]
    assert f"the certificate is for {SHOWN[kind][1][0]}" in outcome.dialogue.text()


@pytest.mark.parametrize("act", [Act.MUTE, Act.CRAWL, Act.ALERT, b"220 Go ahead\r\n"])
def test_a_handshake_that_comes_to_no_certificate_has_none(tmp_path, act):
    def shake(seconds: float) -> Outcome:
        return asyncio.run(run(tmp_path, {"STARTTLS": act}, timeout=seconds, tls="starttls"))[0]

    outcome = told_in_time(shake, lambda it: it.result.failure.phase == "starttls")
    assert outcome.result.failure.phase == "starttls"
    assert outcome.result.certificate is None


@pytest.mark.parametrize(
    "banner",
    [
        b"220 ready\r\n",
        b"220\r\n",
        b"220-a\r\n220-b\r\n220 c\r\n",
        b"220 \xe9t\xe9\r\n",
        b"220 mx ESMTP\n",
        b"220-\r\n220\r\n",
    ],
)
def test_any_banner_is_one(tmp_path, banner):
    outcome, _ = asyncio.run(run(tmp_path, {"banner": banner}))
    assert outcome.result.is_sent, outcome.dialogue.text()


def test_a_server_without_ehlo_gets_helo(tmp_path):
    outcome, server = asyncio.run(run(tmp_path, {"EHLO": b"502 5.5.1 Not implemented\r\n"}))
    assert outcome.result.is_sent
    assert "HELO probe.example.com" in server.commands


def test_lmtp(tmp_path):
    outcome, server = asyncio.run(run(tmp_path, protocol="lmtp"))
    assert outcome.result.is_sent
    assert server.commands[0] == "LHLO probe.example.com"


def test_ipv6_and_the_address_to_send_from(tmp_path):
    for host, family, source in (("::1", "ipv6", None), ("::1", "any", "::1"), ("127.0.0.1", "ipv4", "127.0.0.5")):
        outcome, server = asyncio.run(run(tmp_path, host=host, server=host, family=family, source_address=source))
        assert outcome.result.is_sent, outcome.dialogue.text()
        assert outcome.result.address == host
        assert server.clients == [source or host]


def test_an_own_address_is_used_for_servers_of_its_family_alone(tmp_path):
    outcome, _ = asyncio.run(run(tmp_path, server="127.0.0.1", family="any", source_address="::1"))
    assert outcome.result.failure[:2] == ("dns", "dns")
    with pytest.raises(ValueError, match="source_address"):
        a_send(tmp_path, 25, family="ipv4", source_address="::1")


def test_a_text_of_any_language_arrives_as_seven_bits(tmp_path):
    _, server = asyncio.run(run(tmp_path, text="Schöne Grüße, 你好", subject="Prüfung ✓", size=4000))
    made = message_from_bytes(server.mails[0], policy=default)
    assert server.mails[0].isascii()
    assert made.get_content().startswith("Schöne Grüße, 你好")
    assert made["Subject"] == "Prüfung ✓"


def test_a_server_that_asks_again_gets_no_second_answer(tmp_path):
    steps = {"EHLO": b"250-mx\r\n250 AUTH CRAM-MD5\r\n", "AUTH": b"334 PDE+\r\n"}
    outcome, server = asyncio.run(run(tmp_path, steps, username="probe"))
    assert outcome.result.failure[:2] == ("auth", "protocol_error")
    assert len(server.commands) == 3


def test_a_password_that_is_cut_in_two_is_not_shown(tmp_path):
    for before in range(180, 206):
        said = b"x" * before + PASSWORD.encode() + b"\r\n"
        outcome, _ = asyncio.run(run(tmp_path, {"AUTH": said}, username="probe"))
        assert PASSWORD[:4] not in outcome.dialogue.text() + str(outcome.result)


@pytest.mark.parametrize("verb", ["EHLO", "STARTTLS", "RCPT", "."])
def test_a_dialogue_that_is_broken_off_says_nothing_more(tmp_path, verb):
    async def play() -> list[str]:
        steps = {verb: Act.MUTE if verb == "STARTTLS" else Act.HANG}
        async with serving(steps) as server:
            send = a_send(tmp_path, server.port, tls="starttls" if verb == "STARTTLS" else "none")
            probe = Probe(name="one", send=send, timeout=PATIENCE)
            task = asyncio.create_task(send_probe(probe, send, KEY, lambda: NOW))
            while not any(it.startswith(verb) for it in server.commands) and not (verb == "." and server.mails):
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await settle()
            return server.commands

    assert "QUIT" not in asyncio.run(play())


@pytest.mark.parametrize(
    ("steps", "how"),
    [
        ({"EHLO": b"250 mx.example.com\r\n"}, {"tls": "starttls"}),
        ({"EHLO": b"250 mx.example.com\r\n"}, {"username": "probe"}),
        (None, {"username": "probe", "tls": "opportunistic", "auth": "CRAM-MD5"}),
    ],
)
def test_a_server_that_is_left_by_our_own_decision_is_told_so(tmp_path, steps, how):
    """Exim logs an error of TLS where the connection only ends."""
    outcome, server = asyncio.run(run(tmp_path, steps, **how))
    assert outcome.result.failure.reply_code is None
    assert server.commands[-1] == "QUIT"


def test_pipelining(tmp_path):
    outcome, server = asyncio.run(run(tmp_path, pipelining=True))
    assert outcome.result.is_sent
    assert len(server.mails) == 1


def test_a_refusal_among_pipelined_commands(tmp_path):
    steps = {"RCPT": b"550 5.1.1 User unknown\r\n", "DATA": b"554 5.5.1 No valid recipients\r\n"}
    outcome, server = asyncio.run(run(tmp_path, steps, pipelining=True))
    assert outcome.result.failure[:2] == ("rcpt", "user_unknown")
    assert not server.mails


def test_without_a_recipient_nothing_is_sent(tmp_path):
    outcome, server = asyncio.run(run(tmp_path, to=None))
    assert outcome.result.failure is None
    assert server.commands == ["EHLO probe.example.com", "QUIT"]


def test_a_mail_whose_answer_is_lost_may_be_there(tmp_path):
    for step, may_be in ((Act.DROP, True), (Act.HANG, True), (b"451 4.3.0 No\r\n", False)):

        def answer(seconds: float, step=step) -> Outcome:
            return asyncio.run(run(tmp_path, {".": step}, timeout=seconds))[0]

        outcome = told_in_time(answer, lambda it: it.result.failure.phase == "end_of_data")
        assert outcome.result.failure.phase == "end_of_data"
        assert outcome.result.may_be_sent is may_be
        assert not outcome.result.is_sent


def test_every_mechanism(tmp_path):
    def offer(name: str) -> bytes:
        return f"250-mx\r\n250 AUTH {name}\r\n".encode()

    user, word = (base64.b64encode(it.encode()).decode() for it in ("probe", PASSWORD))
    plain = base64.b64encode(f"\0probe\0{PASSWORD}".encode()).decode()
    bearer = base64.b64encode(f"user=probe\x01auth=Bearer {PASSWORD}\x01\x01".encode()).decode()
    digest = hmac.new(PASSWORD.encode(), b"<1.2@mx>", hashlib.md5).hexdigest()
    cram = base64.b64encode(f"probe {digest}".encode()).decode()
    ok = b"235 ok\r\n"
    no = b"535 no\r\n"
    cases = {
        "PLAIN": {"AUTH": no, f"AUTH PLAIN {plain}": ok},
        "LOGIN": {"AUTH": b"334 VXNlcm5hbWU6\r\n", user: b"334 UGFzc3dvcmQ6\r\n", word: ok},
        "XOAUTH2": {"AUTH": no, f"AUTH XOAUTH2 {bearer}": ok},
        "CRAM-MD5": {"AUTH": b"334 " + base64.b64encode(b"<1.2@mx>") + b"\r\n", cram: ok},
    }
    for name, steps in cases.items():
        outcome, _ = asyncio.run(run(tmp_path, {"EHLO": offer(name), **steps}, username="probe", auth=name))
        assert outcome.result.is_sent, (name, outcome.dialogue.text())
        assert_hidden(outcome.dialogue.text())


def test_scram_as_in_rfc_7677():
    made = mechanism("SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    assert made.initial == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    answer = made.answer(f"r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode())
    assert answer == f"c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
    assert not made.is_proven
    made.answer(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    assert made.is_proven


def test_the_dialogue_of_a_flood_is_short(tmp_path):
    outcome, _ = asyncio.run(run(tmp_path, {"EHLO": Act.LINES}))
    assert len(outcome.dialogue.text()) < 200_000


def test_the_mail_says_that_nobody_wrote_it(tmp_path):
    outcome, server = asyncio.run(run(tmp_path, size=20_000))
    text = server.mails[0].decode()
    assert "Auto-Submitted: auto-generated\r\n" in text
    assert f"Message-ID: <{outcome.mail.message_id}>\r\n" in text
    assert 19_900 < len(outcome.mail.raw) <= 20_000
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", text)


def test_a_token_of_another_is_not_ours(tmp_path):
    outcome, _ = asyncio.run(run(tmp_path))
    raw = outcome.mail.raw
    assert whose(raw, KEY) == ("one", outcome.mail.id)
    assert whose(raw, Key(b"x" * 32)) is None
    assert whose(raw.replace(b"X-Mailstat-Probe: one", b"X-Mailstat-Probe: two"), KEY) is None
    assert whose(b"From: x\r\n\r\n" + raw, KEY) is None


def test_a_signed_mail_verifies(tmp_path):
    private = rsa.generate_private_key(65537, 2048)
    path = tmp_path / "dkim.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public = base64.b64encode(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    how = Dkim(domain="example.com", selector="one", key_file=path)
    _, server = asyncio.run(run(tmp_path, dkim=how))
    arrived = server.mails[0].removesuffix(b".\r\n")

    def record(_name, **_):
        return b"v=DKIM1; k=rsa; p=" + public

    assert dkim.verify(arrived, dnsfunc=record)
