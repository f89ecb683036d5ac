"""Each fault that a zone is made with, and what the check has to say of it: the documentation's table."""

from __future__ import annotations

from typing import NamedTuple

ADDRESS = "192.0.2.25"
V6 = "2001:db8::25"
V6_REVERSED = "5.2.0.0" + ".0" * 20 + ".8.b.d.0.1.0.0.2"
REVERSED = f"""
25.2.0.192.in-addr.arpa. 60 IN PTR mx.example.com.
{V6_REVERSED}.ip6.arpa. 60 IN PTR mx.example.com.
"""
MX = f"""
example.com. 60 IN MX 10 mx.example.com.
mx.example.com. 60 IN A {ADDRESS}
mx.example.com. 60 IN AAAA {V6}
"""
TEST = "2.0.0.127.bl.example.net. 60 IN A 127.0.0.2\n"
LISTED = "25.2.0.192.bl.example.net. 60 IN A 127.0.0.4\n"


class Fault(NamedTuple):
    """What is wrong, the check, the zone that has it, and the reason that is to be given."""

    what: str
    check: str
    zone: str
    reason: str


class Listing(NamedTuple):
    """What a block list answers, and what is to be made of it."""

    what: str
    zone: str
    is_valid: bool | None
    reason: str


def a_txt(name: str, text: str) -> str:
    """A text below the domain."""
    strings = " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200))
    return f"{name}.example.com. 60 IN TXT {strings}\n"


def spf(text: str) -> str:
    """A text of the domain."""
    return f'example.com. 60 IN TXT "{text}"\n'


_NEXT = "".join(a_txt(f"s{n}", f"v=spf1 include:s{n + 1}.example.com -all") for n in range(12))
_CHAIN = _NEXT + a_txt("s12", "v=spf1 -all")
_VOIDS = spf("v=spf1 a:v1.example.com a:v2.example.com a:v3.example.com -all")
_DMARC, _TLS = "_dmarc", "_smtp._tls"

FAULTS: tuple[Fault, ...] = (
    Fault("no MX record", "mx", "", "no_mx"),
    Fault("a null MX: the domain takes no mail", "mx", "example.com. 60 IN MX 0 .", "null_mx"),
    Fault("an address where a name has to be", "mx", "example.com. 60 IN MX 0 192.0.2.25.", "not_a_host"),
    Fault(
        "a mail server that is an alias",
        "mx",
        "example.com. 60 IN MX 0 m.example.com.\nm.example.com. 60 IN CNAME mx.example.com.",
        "alias",
    ),
    Fault("a mail server without an address", "a", "example.com. 60 IN MX 10 mx.example.com.", "no_address"),
    Fault(
        "one with an address of a network at home", "a", MX + "mx.example.com. 60 IN A 10.0.0.1", "private_address"
    ),
    Fault("one with an address of its link", "a", MX + "mx.example.com. 60 IN AAAA fe80::1", "private_address"),
    Fault("one with an address of itself", "a", MX + "mx.example.com. 60 IN A 127.0.0.1", "private_address"),
    Fault("a sending address without a name", "ptr", "", "no_name"),
    Fault("the same", "fcrdns", "", "no_name"),
    Fault("a name without an address", "fcrdns", REVERSED, "not_confirmed"),
    Fault(
        "a name that has another address", "fcrdns", REVERSED + "mx.example.com. 60 IN A 192.0.2.26", "not_confirmed"
    ),
    Fault("no record", "spf", "", "no_record"),
    Fault("our address is not among them", "spf", spf("v=spf1 ip4:192.0.2.26 -all"), "not_covered"),
    Fault("nothing is said of any address", "spf", spf("v=spf1 ?all"), "not_covered"),
    Fault("everybody may send", "spf", spf("v=spf1 +all"), "everybody"),
    Fault("everybody may send, in other words", "spf", spf("v=spf1 ip4:0.0.0.0/0 -all"), "everybody"),
    Fault(
        "two records",
        "spf",
        spf("v=spf1 ip4:192.0.2.25 -all") + spf("v=spf1 ip4:192.0.2.25 ~all"),
        "permerror",
    ),
    Fault("an address that is none", "spf", spf("v=spf1 ip4:999.0.2.25 -all"), "permerror"),
    Fault(
        "an include of a domain without a record", "spf", spf("v=spf1 include:nobody.example.com -all"), "permerror"
    ),
    Fault(
        "more than ten lookups, which only the mail of others gets to",
        "spf",
        _CHAIN + spf("v=spf1 ip4:192.0.2.25 include:s0.example.com -all"),
        "lookup_limit",
    ),
    Fault("a policy that includes itself", "spf", spf("v=spf1 redirect=example.com"), "lookup_limit"),
    Fault("more than two lookups of what is not there", "spf", _VOIDS, "lookup_limit"),
    Fault("no record, nor one of a domain above", "dmarc", "", "no_record"),
    Fault(
        "two records",
        "dmarc",
        a_txt(_DMARC, "v=DMARC1; p=none") + a_txt(_DMARC, "v=DMARC1; p=reject"),
        "several_records",
    ),
    Fault("a policy that there is not", "dmarc", a_txt(_DMARC, "v=DMARC1; p=maybe"), "bad_record"),
    Fault("a semicolon that is missing", "dmarc", a_txt(_DMARC, "v=DMARC1 p=none"), "bad_record"),
    Fault("no record", "tls_rpt", "", "no_record"),
    Fault("reports that go to no address", "tls_rpt", a_txt(_TLS, "v=TLSRPTv1; rua=nowhere"), "bad_record"),
    Fault(
        "two records",
        "tls_rpt",
        a_txt(_TLS, "v=TLSRPTv1; rua=mailto:a@example.com") + a_txt(_TLS, "v=TLSRPTv1;"),
        "several_records",
    ),
    Fault("no record", "mta_sts", "", "no_record"),
    Fault("an id that is none", "mta_sts", a_txt("_mta-sts", "v=STSv1; id=not good"), "bad_record"),
    Fault("no mail server", "tlsa", "", "no_mx"),
    Fault("MX records that DNSSEC does not prove", "tlsa", MX, "not_secure"),
)

_OWN_TEST = "2.0.0.127.bl.example.net. 60 IN A"
_OURS = "25.2.0.192.bl.example.net. 60 IN A"
LISTINGS: tuple[Listing, ...] = (
    Listing("its own test entry, and not our address", TEST, True, "valid"),
    Listing("its own test entry, and our address", TEST + LISTED, False, "listed"),
    Listing("nothing at all", "", None, "zone_dead"),
    Listing("our address, and not its own test entry", LISTED, None, "zone_dead"),
    Listing(
        "also what no list may have",
        TEST + LISTED + "1.0.0.127.bl.example.net. 60 IN A 127.0.0.2",
        None,
        "zone_lists_all",
    ),
    Listing(
        "that it wants no questions from this resolver", f"{_OWN_TEST} 127.255.255.254\n{LISTED}", None, "zone_error"
    ),
    Listing("that there were too many questions", f"{TEST}{_OURS} 127.255.255.255", None, "zone_error"),
    Listing("127.0.0.1, which is no listing", f"{TEST}{_OURS} 127.0.0.1", None, "zone_error"),
    Listing("to every question the page of its new owner", f"{_OWN_TEST} 203.0.113.9", None, "zone_error"),
    Listing("that it is one of domains", f"{_OWN_TEST} 127.0.1.255", None, "zone_error"),
)

_DOMAIN_TEST = "test.bl.example.net. 60 IN A 127.0.1.2\n"
_DOMAIN = "example.com.bl.example.net. 60 IN A"
DOMAIN_LISTINGS: tuple[Listing, ...] = (
    Listing("its own test entry, and not our domain", _DOMAIN_TEST, True, "valid"),
    Listing("the test entry that Spamhaus has", "dbltest.com.bl.example.net. 60 IN A 127.0.1.2", True, "valid"),
    Listing(
        "the test entry that SURBL has",
        "surbl-org-permanent-test-point.com.bl.example.net. 60 IN A 127.0.0.254",
        True,
        "valid",
    ),
    Listing("that of lists of addresses, as URIBL does", f"{_OWN_TEST} 127.0.0.14", True, "valid"),
    Listing("its own test entry, and our domain", f"{_DOMAIN_TEST}{_DOMAIN} 127.0.1.2", False, "listed"),
    Listing("our address, of which it is not asked", f"{_DOMAIN_TEST}{_OURS} 127.0.1.2", True, "valid"),
    Listing("nothing at all", "", None, "zone_dead"),
    Listing("our domain, and no test entry", f"{_DOMAIN} 127.0.1.2", None, "zone_dead"),
    Listing(
        "also what no list may have",
        f"{_DOMAIN_TEST}{_DOMAIN} 127.0.1.2\ninvalid.bl.example.net. 60 IN A 127.0.1.2",
        None,
        "zone_lists_all",
    ),
    Listing(
        "that it wants no questions from this resolver",
        f"test.bl.example.net. 60 IN A 127.255.255.254\n{_DOMAIN} 127.0.1.2",
        None,
        "zone_error",
    ),
    Listing("that there were too many questions", f"{_DOMAIN_TEST}{_DOMAIN} 127.255.255.255", None, "zone_error"),
    Listing("127.0.0.1, which is no listing", f"{_DOMAIN_TEST}{_DOMAIN} 127.0.0.1", None, "zone_error"),
    Listing(
        "to every question the page of its new owner", "test.bl.example.net. 60 IN A 203.0.113.9", None, "zone_error"
    ),
)
