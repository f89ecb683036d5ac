"""Providers are known by whole labels of names, and nothing else is taken for one."""

from __future__ import annotations

import re

import pytest

from parsers.provider import Provider, provider_of_domain, provider_of_relay, read_providers

PROVIDERS = read_providers()


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("aspmx.l.google.com", "google"),
        ("gmail-smtp-in.l.google.com", "google"),
        ("example-com.mail.protection.outlook.com", "microsoft"),
        ("eur.olc.protection.outlook.com", "microsoft"),
        ("example-com.r-v1.mx.microsoft", "microsoft"),
        ("mta7.am0.yahoodns.net", "yahoo"),
        ("mx01.mail.icloud.com", "apple"),
        ("mx00.emig.gmx.net", "gmx"),
        ("mx-ha03.web.de", "gmx"),
        ("mx00.t-online.de", "t_online"),
        ("mx0a-00000001.pphosted.com", "proofpoint"),
        ("inbound-smtp.eu-west-1.amazonaws.com", "amazon"),
        ("163mx01.mxmail.netease.com", "netease"),
    ],
)
def test_a_mail_exchanger_tells_its_provider(host: str, name: str) -> None:
    assert provider_of_relay(host) == name


@pytest.mark.parametrize("host", ["ASPMX.L.GOOGLE.COM", "aspmx.l.google.com.", "google.com"])
def test_case_and_a_trailing_dot_do_not_matter(host: str) -> None:
    assert provider_of_relay(host) == "google"


@pytest.mark.parametrize(
    "host",
    [
        "evilgoogle.com",
        "google.com.evil.example",
        "aspmx.l.google.com.example",
        "google",
        "com",
        "",
        ".",
        "..",
        "mx1.gmail.example",
        "192.0.2.25",
        "2001:db8::25",
        "ec2-192-0-2-1.compute-1.amazonaws.com",
        "static.1.2.0.192.clients.your-server.de",
        "ik1-1.vs.sakura.ne.jp",
        "vps-1.vps.ovh.net",
    ],
)
def test_other_names_are_nobodys(host: str) -> None:
    assert provider_of_relay(host) is None


@pytest.mark.parametrize(
    ("domain", "name"),
    [
        ("gmail.com", "google"),
        ("Outlook.COM", "microsoft"),
        ("aol.com", "yahoo"),
        ("web.de.", "gmx"),
        ("vip.qq.com", "qq"),
    ],
)
def test_a_consumer_domain_tells_its_provider(domain: str, name: str) -> None:
    assert provider_of_domain(domain) == name


@pytest.mark.parametrize(
    "domain", ["gmail.example", "notgmail.com", "gmail.com.example.org", "google.com", "example.com", ""]
)
def test_other_domains_are_nobodys(domain: str) -> None:
    assert provider_of_domain(domain) is None


@pytest.mark.parametrize("name", ["a." * 500_000, "\x00google.com", "\ud800.example", "x" * 300 + ".google.com"])
def test_a_hostile_name_is_nobodys(name: str) -> None:
    assert provider_of_relay(name) is None
    assert provider_of_domain(name) is None


def test_there_are_many_providers_each_once() -> None:
    names = [row.name for row in PROVIDERS]
    assert len(names) >= 60
    assert len(set(names)) == len(names)


def test_no_suffix_has_two_owners() -> None:
    for suffixes in (
        [s for row in PROVIDERS for s in row.relays],
        [s for row in PROVIDERS for s in row.domains],
    ):
        assert len(set(suffixes)) == len(suffixes)


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
def test_a_row_is_well_formed(row: Provider) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", row.name)
    assert row.evidence
    assert row.relays or row.domains
    assert all(suffix.endswith(tuple(f".{relay}" for relay in row.relays)) for suffix in row.customers)
    for suffix in row.relays + row.domains + row.customers:
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", suffix)


@pytest.mark.parametrize("row", PROVIDERS, ids=lambda row: row.name)
def test_no_row_has_a_suffix_that_another_of_its_suffixes_covers(row: Provider) -> None:
    for suffixes in (row.relays, row.domains):
        for suffix in suffixes:
            assert not any(suffix.endswith(f".{other}") for other in suffixes)
