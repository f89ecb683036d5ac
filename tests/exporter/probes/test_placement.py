from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from exporter.probes.message import Key, compose
from exporter.probes.placement import HEADER_LIMIT, Hop, Signature, Spam, fields, look, verify
from exporter.probes.section import Dkim
from tests.exporter.probes.test_smtp import a_send

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 +0000

# Written after the manner of each receiver.
GMAIL = """\
Delivered-To: probe@example.net
Received: by 2002:a05:6402:1 with SMTP id x1; Fri, 15 Jan 2027 00:00:09 -0800 (PST)
ARC-Authentication-Results: i=1; mx.example.net; dkim=fail; spf=fail
Return-Path: <probe@example.com>
Received: from mx.example.com (mx.example.com. [192.0.2.25])
        by mx.example.net with ESMTPS id d2si1
        for <probe@example.net>
        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);
        Fri, 15 Jan 2027 00:00:07 -0800 (PST)
Received-SPF: pass
Authentication-Results: mx.example.net;
       dkim=pass header.i=@example.com header.s=s1 header.b=AbCd;
       spf=pass (example.net: domain of probe@example.com designates 192.0.2.25 as
       permitted sender; it is; really) smtp.mailfrom=probe@example.com;
       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from=example.com;
       arc=none
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com;
        s=s1; h=from:to:subject; bh=x; b=AbCd
Received: from client.example.com (unknown [198.51.100.7])
\t(using TLSv1.2 with cipher ECDHE (256/256 bits))
\tby mx.example.com (Postfix) with ESMTPSA id 4F1A2B; Fri, 15 Jan 2027 08:00:02 +0000 (UTC)
Date: Fri, 15 Jan 2027 08:00:00 +0000
From: probe@example.com
"""

EXCHANGE = """\
Received: from a.prod.example.net (2001:db8::1) by b.prod.example.net
 (2001:db8::2) with Microsoft SMTP Server (version=TLS1_2,
 cipher=TLS_ECDHE_RSA) id 15.20.1; Fri, 15 Jan 2027 08:00:05 +0000
Authentication-Results: spf=softfail (sender IP is 192.0.2.25)
 smtp.mailfrom=example.com; dkim=fail (body hash did not verify)
 header.d=example.com;dmarc=bestguesspass action=none
 header.from=example.com;compauth=pass reason=100
X-MS-Exchange-Organization-SCL: 6
X-Forefront-Antispam-Report:
 CIP:192.0.2.25;CTRY:;LANG:en;SCL:6;SRV:;IPV:NLI;SFV:SPM;H:mx.example.com;
"""


def a_mail(text: str, body: str = "text\n") -> bytes:
    return f"{text}\n{body}".replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def results(header: str, authserv_id: str | None = None, domain: str = "") -> dict[str, str]:
    return look(a_mail(header), authserv_id, domain=domain).results


def test_a_mail_at_gmail():
    seen = look(a_mail(GMAIL), "mx.example.net", NOW + 9, "example.com")
    assert seen.results == {"spf": "pass", "dkim": "pass", "dmarc": "pass", "arc": "none"}
    assert seen.spam == Spam(None, None)
    assert seen.hops == (Hop(2.0, 0.0, "TLSv1.2"), Hop(5.0, 0.0, "TLSv1.3"), Hop(2.0, 0.0, ""))
    assert seen.signatures == (Signature("example.com", "s1"),)


def test_a_mail_at_exchange_which_does_not_say_who_it_is():
    seen = look(a_mail(EXCHANGE))
    assert seen.results == {"spf": "softfail", "dkim": "fail", "dmarc": "bestguesspass"}
    assert seen.spam == Spam(6.0, True)
    assert [hop.tls for hop in seen.hops] == ["TLSv1.2"]


FORGED = """\
Authentication-Results: mx.example.net; spf=fail
Authentication-Results: else.example.org; spf=pass; dkim=pass
"""


def test_only_the_trusted_server_is_believed():
    assert results(FORGED, "mx.example.net") == {"spf": "fail"}
    assert results(FORGED, "MX.Example.NET") == {"spf": "fail"}
    assert results(FORGED) == {"spf": "fail"}
    assert results(FORGED, "nobody.example.net") == {}
    assert results("Subject: x\n") == {}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("mx.example.net; none", {}),
        ("mx.example.net 1; spf=pass", {"spf": "pass"}),
        ("mx.example.net; spf/1 = Pass", {"spf": "pass"}),
        ("mx.example.net (a; dkim=pass (b; spf=pass)); spf=fail", {"spf": "fail"}),
        ('mx.example.net; spf=fail reason="a; dkim=pass"', {"spf": "fail"}),
        ('mx.example.net; spf=fail reason="\\"; dkim=pass"', {"spf": "fail"}),
        ("mx.example.net; spf=mysecretword; iprev=pass", {"spf": "other"}),
        ("mx.example.net; dkim=fail header.d=list.example.org; dkim=pass header.d=example.com", {"dkim": "pass"}),
        ("mx.example.net; dkim=pass header.d=list.example.org; dkim=fail header.i=@example.com", {"dkim": "fail"}),
        ("mx.example.net; spf", {}),
        ("", {}),
        (";;;;", {}),
        ("mx.example.net; spf=pass (never closed", {"spf": "pass"}),
        ("mx.example.net; (((((", {}),
        ("mx.example.net; )))) spf=pass", {"spf": "pass"}),
    ],
)
def test_forms_of_results(value, expected):
    header = f"Authentication-Results: {value}\n"
    assert results(header, None, "example.com") == expected


@pytest.mark.parametrize(
    ("header", "spam"),
    [
        ("X-Spam-Status: Yes, score=12.3 required=5.0 tests=A,B", Spam(12.3, True)),
        ("X-Spam-Status: No, score=-1.9 required=5.0", Spam(-1.9, False)),
        ("X-Spamd-Result: default: False [3.20 / 15.00];\n\tARC_NA(0.00)[]", Spam(3.2, False)),
        ("X-Spamd-Result: default: True [16.00 / 15.00]", Spam(16.0, True)),
        ("X-Spam-Score: 4.5", Spam(4.5, None)),
        ("X-Spam-Flag: YES", Spam(None, True)),
        ("X-Spam: Yes", Spam(None, True)),
        ("X-MS-Exchange-Organization-SCL: -1", Spam(-1.0, False)),
        ("X-SES-Spam-Verdict: PASS", Spam(None, False)),
        ("X-Spam-Score: nan", Spam(None, None)),
        ("X-Spam-Score: 99999999999999999999", Spam(None, None)),
    ],
)
def test_spam_filters(header, spam):
    assert look(a_mail(header + "\n")).spam == spam


def received(*times: str, date: str = "08:00:00") -> bytes:
    lines = [f"Received: by m{n} with SMTP; Fri, 15 Jan 2027 {time} +0000" for n, time in enumerate(times, 1)]
    return a_mail("\n".join([*lines[::-1], f"Date: Fri, 15 Jan 2027 {date} +0000", ""]))


@pytest.mark.parametrize(
    ("times", "arrived", "seconds", "skews"),
    [
        (("08:00:01", "08:00:03"), NOW + 4, [1, 2], [0, 0]),
        # The clock of the first is an hour ahead: the second tells.
        (("09:00:01", "08:00:03"), NOW + 4, [3, 0], [3598, 0]),
        # That of the second is behind the time at which we sent.
        (("08:00:01", "07:30:00"), NOW + 4, [0, 0], [0, -1800]),
        # That of the last is ahead of its mailbox.
        (("08:00:01", "08:10:00"), NOW + 4, [1, 3], [0, 596]),
        # Whole seconds: what is one off is no skew.
        (("08:00:02", "08:00:01"), NOW + 4, [1, 0], [0, 0]),
    ],
)
def test_the_way_and_the_clocks(times, arrived, seconds, skews):
    seen = look(received(*times), arrived=arrived)
    assert [hop.seconds for hop in seen.hops] == seconds
    assert [hop.skew for hop in seen.hops] == skews


def test_times_that_are_none():
    mail = a_mail(
        "Received: by b; Fri, 15 Jan 2027 08:00:05 +0000\nReceived: by x; yesterday\nReceived: by y\n"
        "Received: by z; Fri, 15 Jan 99999 08:00:05 +0000\nReceived: by a; Fri, 15 Jan 2027 08:00:02 +0000\n"
        "Date: Fri, 15 Jan 2027 08:00:00 +0000\n"
    )
    assert [hop.seconds for hop in look(mail).hops] == [2, None, None, None, 3]


@pytest.mark.parametrize(
    ("words", "tls"),
    [
        ("by a with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\n (Exim 4.96)", "TLSv1.3"),
        ("by a (8.17/8.17) with ESMTPS id 1 (version=TLSv1.2 cipher=X bits=256 verify=NO)", "TLSv1.2"),
        ("by a (OpenSMTPD) with ESMTPS id 1 (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)", "TLSv1.3"),
        ("(using TLSv1 with cipher X (128/128 bits)) by a (Postfix) with ESMTPS", "TLSv1"),
        ("by a with ESMTPS id 1", "unknown"),
        ("by a with UTF8SMTPSA id 1", "unknown"),
        ("by a with LMTP id 1", ""),
        ("by a with ESMTP id 1", ""),
        ("from tls1.example.com by a with ESMTP id 1", ""),
        ("by a (Postfix, from userid 0)", ""),
    ],
)
def test_tls_of_a_hop(words, tls):
    (hop,) = look(a_mail(f"Received: from x {words}; Fri, 15 Jan 2027 08:00:05 +0000\n")).hops
    assert hop.tls == tls


# --- hostile mail ---

LONG = 3_000_000
HOSTILE = {
    "nothing": b"",
    "NUL": b"\0" * LONG,
    "one line": b"a" * LONG,
    "no end of header": b"X: y\r\n" * (LONG // 6),
    "folds": b"Authentication-Results: a;\r\n" + b" spf=pass;\r\n" * 300_000,
    "comments": b"Authentication-Results: a; " + b"(" * LONG,
    "results": b"Authentication-Results: " + b"a;" * LONG,
    "white space": b"Authentication-Results: " + b" " * LONG + b"=",
    "many results": b"Authentication-Results: a; spf=pass\r\n" * 100_000,
    "hops": b"Received: by a; Fri, 15 Jan 2027 08:00:05 +0000\r\n" * 100_000,
    "a hop": b"Received: with " + b"with " * LONG,
    "a date": b"Received: ;" + b"Fri, " * LONG,
    "huge numbers": b"Received: by a; Fri, 99999999999999999999999 Jan 2027 08:00:05 +99999999999999\r\n" * 1000,
    "spam": b"X-Spam-Status: " + b"score=" * LONG + b"\r\nX-Forefront-Antispam-Report: " + b"SCL:" * LONG,
    "signatures": b"DKIM-Signature: d=example.com; s=a; b=" + b" " * LONG,
    "many signatures": b"DKIM-Signature: d=example.com; s=a; b=x\r\n" * 100_000,
    "no text": bytes(range(128, 256)) * 20_000,
    "wrong charset": b"Subject: =?utf-7?B?/////w==?=\r\nAuthentication-Results: \xff\xfe; spf=p\xe4ss\r\n\r\n",
    "colons": b":" * LONG,
    "MIME": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    + b"--a\r\nContent-Type: multipart/mixed\r\n" * 80_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_mail_costs_no_more_than_the_beginning_of_its_header(name):
    """By what is looked at, not by the clock: whatever follows the limit changes nothing."""
    raw = HOSTILE[name]
    assert look(raw) == look(raw[:HEADER_LIMIT])
    seen = look(raw, "a")
    assert len(seen.hops) <= 30
    assert len(seen.signatures) <= 8
    assert all(len(value) <= 8192 for _, value in fields(raw))
    assert verify(raw, "example.com", lambda _: None) in ("none", "fail", "unknown")


def test_only_the_header_section_counts():
    assert results("Subject: x\n\nAuthentication-Results: a; spf=pass\n") == {}


# --- our own signature ---


@pytest.fixture(scope="module")
def signed(tmp_path_factory) -> tuple[bytes, str]:
    """A mail that we signed, and the record of its key."""
    folder = tmp_path_factory.mktemp("dkim")
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "dkim.pem"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    public = base64.b64encode(private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    send = a_send(folder, 25, dkim=Dkim(domain="example.com", selector="s1", key_file=path))
    return compose("one", send, Key(b"k" * 32), "0" * 16, NOW).raw, f"v=DKIM1; k=rsa; p={public.decode()}"


def test_our_signature_is_verified(signed):
    raw, record = signed
    asked = []

    def txt(name: str) -> str | None:
        asked.append(name)
        return record

    assert verify(raw, "example.com", txt) == "pass"
    assert asked == ["s1._domainkey.example.com"]
    assert verify(b"Received: by a; x\r\n" + raw, "Example.com", txt) == "pass"
    assert verify(raw.replace(b"It needs no", b"It needs an"), "example.com", txt) == "fail"
    assert verify(raw, "example.net", txt) == "none"


def test_signatures_of_others_are_no_matter(signed):
    raw, record = signed
    other = b"DKIM-Signature: v=1; a=rsa-sha256; d=list.example.org; s=x; h=from; bh=x; b=y\r\n"
    assert verify(other + raw, "example.com", lambda _: record) == "pass"


def test_a_key_that_is_gone_or_cannot_be_had(signed):
    raw, _ = signed

    def trouble(_: str) -> str | None:
        raise OSError

    assert verify(raw, "example.com", lambda _: None) == "fail"
    assert verify(raw, "example.com", lambda _: "v=DKIM1; p=") == "fail"
    assert verify(raw, "example.com", trouble) == "temperror"


@pytest.mark.parametrize("stuffing", [b" " * 500_000, b"\r\n" * 200_000, b"\t " * 250_000, b"\r\n\t" * 150_000])
def test_a_mail_that_would_cost_the_library_much_is_not_given_to_it(signed, stuffing):
    raw, record = signed
    head, _, body = raw.partition(b"\r\n\r\n")
    assert verify(head + b"\r\n\r\n" + stuffing + b"x" + body, "example.com", lambda _: record) == "unknown"
    assert verify(raw.replace(b"b=", b"b=" + stuffing, 1), "example.com", lambda _: record) in (
        "unknown",
        "fail",
        "none",
    )


def test_a_mail_that_was_cut_is_not_judged(signed):
    raw, record = signed
    assert verify(raw + b"0123456789\r\n" * 100_000, "example.com", lambda _: record) == "unknown"
