"""qmail-smtpd's patches: SPAMCONTROL and s/qmail, CHKUSER, vpopmail; after their documents (documented)."""

from __future__ import annotations

import pytest

from parsers.events import Auth, Event, Origin, Reject
from parsers.mta.qmail.smtpd import Admitted
from tests import reading

ORIGIN = Origin("qmail", "mail.example.com", "qmail", "qmail")


def read(message: str) -> Event | None:
    return reading.read(message, ORIGIN)


CLIENT = "P:ESMTPA S:203.0.113.9:pc.example.net H:pc"
ENVELOPE = f"{CLIENT} F:kim@example.com T:lee@example.org"


@pytest.mark.parametrize("start", ["qmail-smtpd: pid 4711 ", ""])
def test_a_refused_login(start: str) -> None:
    event = read(f"{start}Reject::AUTH::login {CLIENT} ?~ 'kim@example.com'")
    assert event == Auth(1.0, ORIGIN, "failure", "pc.example.net", "203.0.113.9", "login", "kim@example.com")


def test_an_ipv6_client_without_a_name() -> None:
    event = read("qmail-smtpd: pid 4711 Reject::AUTH::plain P:ESMTPSA S:2001:db8::9:unknown H:pc ?~ 'kim'")
    assert isinstance(event, Auth)
    assert (event.client_ip, event.client_name) == ("2001:db8::9", None)


@pytest.mark.parametrize(
    ("what", "phase", "reason"),
    [
        ("SNDR::Invalid_Relay", "rcpt", "relay_denied"),
        ("SNDR::Bad_Helo", "rcpt", "rdns_helo"),
        ("SNDR::Missing_TLS", "rcpt", "tls_failure"),
        ("ORIG::Bad_Mailfrom", "rcpt", "sender_rejected"),
        ("ORIG::Missing_Auth", "rcpt", "smtp_auth"),
        ("RCPT::Failed_Rcptto", "rcpt", "user_unknown"),
        ("RCPT::Toomany_Rcptto", "rcpt", "rate_limited"),
        ("DATA::Invalid_Size", "end_of_data", "message_too_large"),
        ("DATA::Virus_Infected", "end_of_data", "prohibited_content"),
        ("SPF::Fail", "rcpt", "auth_spf"),
        ("RCPT::Something_New", "rcpt", "unclassified"),
    ],
)
def test_a_reject(what: str, phase: str, reason: str) -> None:
    event = read(f"qmail-smtpd: pid 4711 Reject::{what} {ENVELOPE}")
    assert isinstance(event, Reject)
    assert (event.phase, event.reason, event.reply) == (phase, reason, what)
    assert (event.client_ip, event.client_name, event.helo) == ("203.0.113.9", "pc.example.net", "pc")
    assert (event.sender, event.recipient, event.protocol) == ("kim@example.com", "lee@example.org", "ESMTPA")


def test_what_is_told_beside_the_envelope_is_no_part_of_it() -> None:
    event = read(f"qmail-smtpd: pid 4711 Reject::DATA::Bad_MIME {ENVELOPE} 'TVqQAAMAA'")
    assert isinstance(event, Reject)
    assert event.recipient == "lee@example.org"


def test_a_login_that_is_missing_is_no_failed_login() -> None:
    event = read(f"qmail-smtpd: pid 4711 Reject::AUTH::missing {CLIENT} ?~ 'kim'")
    assert isinstance(event, Reject)
    assert (event.reason, event.phase) == ("smtp_auth", "mail")


def test_a_recipient_of_an_authenticated_client() -> None:
    event = read(f"qmail-smtpd: pid 4711 Accept::AUTH::plain {ENVELOPE} ?~ 'kim@example.com'")
    assert event == Admitted(1.0, ORIGIN, "4711", "plain", "pc.example.net", "203.0.113.9", "kim@example.com")


@pytest.mark.parametrize("what", ["RCPT::Rcpthosts_Rcptto", "SNDR::Relay_Client", "ORIG::Local_Sender"])
def test_what_is_accepted_is_of_no_use(what: str) -> None:
    assert read(f"qmail-smtpd: pid 4711 Accept::{what} {ENVELOPE}") is None


@pytest.mark.parametrize(
    ("verdict", "text", "phase", "reason"),
    [
        ("rejected rcpt", "not existing recipient", "rcpt", "user_unknown"),
        ("rejected rcpt", "max number of recipients", "rcpt", "rate_limited"),
        ("rejected rcpt", "invalid rcpt MX domain", "rcpt", "domain_not_found"),
        ("rejected rcpt", "temporary DNS problem", "rcpt", "dns_failure"),
        ("rejected relaying", "client not allowed to relay", "rcpt", "relay_denied"),
        ("rejected sender", "invalid sender MX domain", "mail", "sender_rejected"),
        ("rejected intrusion", "rcpt ignored, session over intrusion threshold", "rcpt", "rate_limited"),
        ("intrusion threshold", "max number of allowed invalid rcpt", "rcpt", "rate_limited"),
        ("mbx overquota", "rcpt mailbox is overquota", "rcpt", "mailbox_full"),
        ("must auth", "sender not authenticated/authorized", "rcpt", "smtp_auth"),
        ("no auth resource", "no auth resource available", "rcpt", "system_error"),
    ],
)
def test_chkuser_refuses(verdict: str, text: str, phase: str, reason: str) -> None:
    event = read(
        f"CHKUSER {verdict}: from <lee@example.org:kim:> remote <mx:mx.example.org:192.0.2.25>"
        f" rcpt <kim@example.com> : {text}"
    )
    assert isinstance(event, Reject)
    assert (event.phase, event.reason, event.reply) == (phase, reason, f"{verdict}: {text}")
    assert (event.sender, event.recipient, event.helo) == ("lee@example.org", "kim@example.com", "mx")
    assert (event.client_name, event.client_ip) == ("mx.example.org", "192.0.2.25")


@pytest.mark.parametrize("verdict", ["accepted rcpt", "accepted any rcpt", "relaying rcpt", "accepted sender"])
def test_chkuser_accepts(verdict: str) -> None:
    assert read(f"CHKUSER {verdict}: from <a@b::> remote <h:n:192.0.2.25> rcpt <c@d> : fine") is None


def test_chkuser_knows_no_address_of_a_strange_client() -> None:
    event = read("CHKUSER rejected rcpt: from <> remote <helo> rcpt <c@d> : not existing recipient")
    assert isinstance(event, Reject)
    assert (event.client_ip, event.client_name, event.sender) == (None, None, "")


@pytest.mark.parametrize(
    ("text", "result", "method", "user"),
    [
        ("(PLAIN) login success kim@example.com:203.0.113.9", "success", "PLAIN", "kim@example.com"),
        ("password fail kim@example.com:203.0.113.9", "failure", None, "kim@example.com"),
        ("password fail (pass: 'secret: 1') kim@example.com:203.0.113.9", "failure", None, "kim@example.com"),
        ("vpopmail user not found kim@:203.0.113.9", "failure", None, "kim@"),
        ("null password given kim:203.0.113.9", "failure", None, "kim"),
        ("null user name given :203.0.113.9", "failure", None, ""),
        ("system user not found kim:203.0.113.9", "failure", None, "kim"),
        ("smtp access denied kim@example.com:203.0.113.9", "failure", None, "kim@example.com"),
    ],
)
def test_vpopmail(text: str, result: str, method: str | None, user: str) -> None:
    event = read(f"vchkpw-smtp: {text}")
    assert isinstance(event, Auth)
    assert (event.result, event.sasl_method, event.sasl_user, event.client_ip) == (
        result,
        method,
        user,
        "203.0.113.9",
    )
    assert "secret" not in repr(event)


def test_vpopmail_at_other_services_is_not_smtp() -> None:
    assert read("vchkpw-pop3: password fail kim@example.com:203.0.113.9") is None


def test_a_client_on_a_list() -> None:
    event = read("qmail-smtpd: 421 badiprbl: ip 203.0.113.9 rbl: bl.example.net")
    assert isinstance(event, Reject)
    assert (event.phase, event.client_ip, event.reply_code, event.reason) == (
        *("connect", "203.0.113.9", 421, "blocked_ip"),
    )


def test_a_code_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="malformed"):
        read("qmail-smtpd: abc badiprbl: ip 203.0.113.9 rbl: bl.example.net")


def test_what_other_patches_say_is_unknown() -> None:
    with pytest.raises(ValueError, match="unknown"):
        read("qmail-smtpd: something else")
