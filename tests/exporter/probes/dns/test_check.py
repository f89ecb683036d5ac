"""Each check against good and bad zones of a real DNS server."""

from __future__ import annotations

import asyncio
import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from exporter.probes.dns import dkim, dnsbl
from exporter.probes.dns.dmarc import _walk
from exporter.probes.dns.resolver import LookupFailedError
from exporter.probes.estate import Posture
from exporter.probes.posture import CHECKS, examine
from tests.deadline import told_in_time
from tests.exporter.probes.dns.fault import (
    ADDRESS,
    DOMAIN_LISTINGS,
    FAULTS,
    LISTED,
    LISTINGS,
    MX,
    REVERSED,
    TEST,
    V6,
    V6_REVERSED,
    a_txt,
    spf,
)
from tests.exporter.probes.dns.nameserver import answering


def key(bits: int = 2048) -> str:
    public = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    return base64.b64encode(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


KEY = key()


def a_posture(**what) -> Posture:
    return Posture(**({"name": "one", "domain": "example.com", "addresses": (ADDRESS,)} | what))


def verdict(check: str, zone: str, posture: Posture | None = None, **behaviour):
    """What a check says of a zone."""
    with answering(zone, **behaviour) as server:

        async def run():
            return await CHECKS[check](posture or a_posture(), server.world())

        return asyncio.run(run())


GOOD = [
    ("mx", MX),
    ("mx", MX + "example.com. 60 IN MX 20 mx2.example.com."),
    ("a", MX),
    ("ptr", REVERSED),
    ("fcrdns", MX + REVERSED),
    ("fcrdns", MX + "25.2.0.192.in-addr.arpa. 60 IN PTR other.example.com.\n" + REVERSED),
    # A network smaller than /24 has its names elsewhere (RFC 2317).
    (
        "ptr",
        "25.2.0.192.in-addr.arpa. 60 IN CNAME 25.sub.example.net.\n25.sub.example.net. 60 IN PTR mx.example.com.",
    ),
    ("spf", spf("v=spf1 ip4:192.0.2.0/24 -all")),
    ("spf", MX + spf("v=spf1 mx ~all")),
    ("spf", MX + spf("v=spf1 redirect=s1.example.com") + a_txt("s1", "v=spf1 a:mx.example.com -all")),
    ("spf", spf("v=spf1 ip4:192.0.2.25 -all") + spf("some other text")),
    ("dmarc", a_txt("_dmarc", "v=DMARC1; p=reject; rua=mailto:d@example.com")),
    ("dmarc", a_txt("_dmarc", "v=DMARC1; p=none") + a_txt("_dmarc", "another text")),
    ("dmarc", a_txt("_dmarc", "v=DMARC1; p=reject; rua=mailto:d@elsewhere.example.net")),
    ("tls_rpt", a_txt("_smtp._tls", "v=TLSRPTv1; rua=mailto:tls@example.com")),
]


@pytest.mark.parametrize(("check", "zone"), GOOD)
def test_what_is_good(check, zone):
    told = verdict(check, zone)
    assert told.is_valid is True, told


@pytest.mark.parametrize("fault", FAULTS, ids=lambda it: f"{it.check}: {it.what}")
def test_each_fault_has_its_reason(fault):
    told = verdict(fault.check, fault.zone, a_posture(selectors=("s1",)))
    assert (told.is_valid, told.reason) == (False, fault.reason), told


def test_each_fault_is_told_once():
    assert len({(it.check, it.what) for it in FAULTS}) == len(FAULTS)
    assert {it.check for it in FAULTS} == set(CHECKS)


def test_a_policy_of_the_domain_above_counts():
    zone = a_txt("_dmarc", "v=DMARC1; p=reject")
    assert verdict("dmarc", zone, a_posture(domain="news.list.example.com")).is_valid
    assert not verdict("dmarc", zone, a_posture(domain="example.net")).is_valid


def test_the_walk_up_the_tree_is_short():
    assert _walk("a.mail.example.com") == ["a.mail.example.com", "mail.example.com", "example.com"]
    assert _walk("com") == ["com"]
    long = _walk(".".join("abcdefghijklmnop") + ".example.com")
    assert len(long) == 8
    assert long[-1] == "example.com"


def test_v6_addresses_are_looked_at_like_all():
    both = a_posture(addresses=(ADDRESS, V6))
    zone = MX + REVERSED + spf("v=spf1 mx -all")
    for check in ("ptr", "fcrdns", "spf"):
        assert verdict(check, zone, both).is_valid, check
    assert verdict("spf", MX + spf("v=spf1 ip4:192.0.2.25 -all"), both).reason == "not_covered"


@pytest.mark.parametrize("check", ["ptr", "fcrdns"])
def test_without_addresses_nobody_can_tell(check):
    assert verdict(check, REVERSED, a_posture(addresses=())).is_valid is None


# --- DKIM ---

ED25519 = base64.b64encode(
    ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (f"v=DKIM1; k=rsa; p={KEY}", "valid"),
        (f"p={KEY}", "valid"),
        (f"v=DKIM1; k=ed25519; p={ED25519}", "valid"),
        ("v=DKIM1; k=rsa; p=", "revoked"),
        ("v=DKIM1; k=rsa; p=;", "revoked"),
        ("v=DKIM1; k=rsa", "bad_key"),
        ("v=DKIM1; k=rsa; p=AAAA", "bad_key"),
        (f"v=DKIM2; p={KEY}", "bad_key"),
        (f"v=DKIM1; k=other; p={KEY}", "bad_key"),
        ("v=DKIM1; k=rsa; p=" + "\\344" * 20, "bad_key"),
        ("some text", "bad_key"),
    ],
)
def test_a_key(record, reason):
    told = verdict("dkim", a_txt("s1._domainkey", record), a_posture(selectors=("s1",)))
    assert told.reason == reason, told


def test_a_key_that_is_too_short(monkeypatch):
    monkeypatch.setattr(dkim, "_LEAST_BITS", 3072)
    told = verdict("dkim", a_txt("s1._domainkey", f"p={KEY}"), a_posture(selectors=("s1",)))
    assert told.reason == "short_key"


def test_every_selector_counts_also_one_that_was_seen():
    zone = a_txt("s1._domainkey", f"p={KEY}")
    assert verdict("dkim", zone, a_posture()).is_valid is None
    assert verdict("dkim", zone, a_posture(selectors=("s1", "s2"))).reason == "no_key"
    assert (
        verdict("dkim", zone + zone.replace("p=", "k=rsa; p="), a_posture(selectors=("s1",))).reason == "several_keys"
    )
    with answering(zone) as server:

        async def run(seen):
            return (await examine(a_posture(), server.world(), seen)).checks["dkim"]

        assert asyncio.run(run(["s1"])).is_valid
        told = asyncio.run(run(["s2"]))
        assert (told.reason, "mail is signed with it" in told.text) == ("no_key", True)
        assert "mail is signed with it" not in asyncio.run(run([])).text
    with answering(zone) as server:
        told = asyncio.run(_examined(a_posture(selectors=("S1",)), server)).checks["dkim"]
        assert (told.is_valid, told.text) == (True, "s1")


# --- block lists ---

TEST_V6 = "2.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 + ".bl.example.net. 60 IN A 127.0.0.2\n"


def listing(zone: str, posture: Posture | None = None, check=dnsbl.check, **behaviour):
    with answering(zone, **behaviour) as server:

        async def run():
            return await check(posture or a_posture(), "bl.example.net", server.world())

        return asyncio.run(run())


def troubled(zone: str, behaviour: str, name: str, check=dnsbl.check):
    """The same where there is trouble with some names, and time enough for the others."""
    return told_in_time(
        lambda seconds: listing(zone, check=check, timeout=seconds, **{behaviour: (name,)}),
        lambda it: it.reason == "zone_trouble",
    )


@pytest.mark.parametrize("it", LISTINGS, ids=lambda it: it.what)
def test_a_zone_is_tested_before_it_is_believed(it):
    told = listing(it.zone)
    assert (told.is_valid, told.reason) == (it.is_valid, it.reason), told


@pytest.mark.parametrize("it", DOMAIN_LISTINGS, ids=lambda it: it.what)
def test_a_zone_of_domains_is_tested_before_it_is_believed(it):
    told = listing(it.zone, a_posture(addresses=()), dnsbl.check_domain)
    assert (told.is_valid, told.reason) == (it.is_valid, it.reason), told


def test_a_zone_of_domains_is_asked_for_the_domain_and_no_more_than_it_takes():
    with answering("test.bl.example.net. 60 IN A 127.0.1.2") as server:

        async def run():
            return await dnsbl.check_domain(a_posture(), "bl.example.net", server.world())

        asyncio.run(run())
    assert set(server.asked) == {f"{name}.bl.example.net. A" for name in ("test", "invalid", "example.com")}


@pytest.mark.parametrize("behaviour", ["silent", "servfail"])
def test_a_zone_of_domains_that_does_not_answer_lists_nobody(behaviour):
    zone = "test.bl.example.net. 60 IN A 127.0.1.2\nexample.com.bl.example.net. 60 IN A 127.0.1.2"
    assert troubled(zone, behaviour, "example.com.bl.example.net.", dnsbl.check_domain).reason == "zone_trouble"
    assert troubled(zone, behaviour, "bl.example.net.", dnsbl.check_domain).is_valid is None


@pytest.mark.parametrize("behaviour", ["silent", "servfail"])
def test_a_zone_that_does_not_answer_lists_nobody(behaviour):
    assert troubled(TEST + LISTED, behaviour, "25.2.0.192.bl.example.net.").reason == "zone_trouble"
    assert troubled(TEST + LISTED, behaviour, "bl.example.net.").is_valid is None


def test_a_v6_address_needs_a_zone_that_has_such():
    six = a_posture(addresses=(V6,))
    assert listing(TEST, six).reason == "zone_dead"
    assert listing(TEST_V6, six).is_valid
    assert listing(TEST_V6 + f"{V6_REVERSED}.bl.example.net. 60 IN A 127.0.0.2", six).reason == "listed"


# --- trouble ---


@pytest.mark.parametrize("check", sorted(CHECKS))
def test_a_domain_that_nobody_answers_for_is_in_fault_and_a_resolver_that_says_nothing_is_not(check):
    posture = a_posture(selectors=("s1",))
    broken = {"servfail": ("example.com.", "in-addr.arpa.")}
    with answering(MX, **broken) as server:
        told = asyncio.run(_examined(posture, server))
        assert (told.checks[check].is_valid, told.checks[check].reason) == (False, "no_answer")
    with answering(MX, servfail=(".",)) as server:
        told = asyncio.run(_examined(posture, server))
        assert (told.checks[check].is_valid, told.checks[check].reason) == (None, "resolver")


async def _examined(posture, server):
    return await examine(posture, server.world())


def test_a_check_does_not_hide_trouble():
    with pytest.raises(LookupFailedError):
        verdict("spf", spf("v=spf1 include:bad.example.com -all"), servfail=("bad.example.com.",))


@pytest.mark.parametrize(
    "text", ["\\377\\376", "%{", "v=spf1 \\377", "v=spf1 include:%{", "v=DMARC1; \\377", "v=STSv1; \\377"]
)
def test_records_that_are_no_text_end_no_check(text):
    names = ("", "_dmarc.", "_mta-sts.", "_smtp._tls.", "s1._domainkey.")
    zone = MX + "".join(f'{name}example.com. 60 IN TXT "{text}"\n' for name in names)
    with answering(zone) as server:
        told = asyncio.run(_examined(a_posture(selectors=("s1",)), server))
    assert "internal" not in {it.reason for it in told.checks.values()}, told


def test_a_check_that_dies_leaves_the_others_be(monkeypatch, caplog):
    async def die(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(CHECKS, "spf", die)
    with answering(MX) as server:
        told = asyncio.run(_examined(a_posture(), server))
    assert (told.checks["spf"].is_valid, told.checks["spf"].reason) == (None, "internal")
    assert told.checks["mx"].is_valid
    assert "nobody foresaw" in caplog.text


def test_hostile_records_cost_little():
    """Texts as long as an answer holds, of what readers stumble over."""
    for text in ("v=DMARC1; p=none; " + "a=b; " * 2000, "v=DMARC1" + " " * 9000, "v=DMARC1;" + ";" * 9000):
        assert verdict("dmarc", a_txt("_dmarc", text)).is_valid in (True, False)
    for text in ("v=TLSRPTv1;" + " " * 9000 + "x", "v=TLSRPTv1; " + "a=b; " * 2000):
        assert verdict("tls_rpt", a_txt("_smtp._tls", text)).is_valid in (True, False)
    assert verdict("spf", a_txt("x", "") + spf("v=spf1 " + "a" * 200)).is_valid is False
