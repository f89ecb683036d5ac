from __future__ import annotations

import asyncio
import math
import time

import pytest

from exporter.probes.dns import resolver
from exporter.probes.dns.resolver import LookupFailedError, Names, Resolver
from exporter.probes.estate import ResolverSection
from tests.deadline import told_in_time
from tests.exporter.probes.dns.nameserver import answering

ZONE = """
example.com. 60 IN TXT "one " "and two"
example.com. 60 IN MX 10 mx.example.com.
alias.example.com. 60 IN CNAME mx.example.com.
mx.example.com. 60 IN A 192.0.2.25
"""


@pytest.fixture(autouse=True)
def _no_second_try(monkeypatch):
    """A server that is slow is not asked again, so that it counts what is asked."""
    monkeypatch.setattr(resolver, "_TRY_SECONDS", 60.0)


def ask(server, *questions, **more):
    """The answers, of one resolver."""

    async def run():
        resolver = Resolver(server.section(**more))
        return [await resolver.ask(*question) for question in questions], resolver

    return asyncio.run(run())


def texts(server, *question) -> list[str]:
    (answer,), _ = ask(server, question)
    return answer.texts


def test_records_aliases_and_nothing():
    with answering(ZONE) as server:
        assert texts(server, "example.com", "TXT") == ["one and two"]
        assert texts(server, "alias.example.com", "A") == ["192.0.2.25"]
        assert texts(server, "mx.example.com", "AAAA") == []
        assert texts(server, "nobody.example.com", "A") == []


@pytest.mark.parametrize(
    "name", ["", "a..b", "x" * 64 + ".example.com", ("x" * 60 + ".") * 5, "\\300", "\udcff", "\0"]
)
def test_a_name_that_cannot_be_has_nothing(name):
    with answering(ZONE) as server:
        assert texts(server, name, "A") == []


def test_an_answer_that_is_cut_is_asked_for_again_over_tcp():
    with answering(ZONE, cut=("example.com.",)) as server:
        assert texts(server, "mx.example.com", "A") == ["192.0.2.25"]
        assert server.tcp["mx.example.com. A"] == 1


@pytest.mark.parametrize("behaviour", ["silent", "servfail"])
def test_trouble_is_not_nothing(behaviour):
    with answering(ZONE, **{behaviour: ("example.com.",)}) as server, pytest.raises(LookupFailedError):
        ask(server, ("mx.example.com", "A"), timeout=0.3)


def test_nobody_there_is_trouble():
    section = ResolverSection(servers=("127.0.0.1:1",), timeout=0.5)
    with pytest.raises(LookupFailedError, match=r"example\.com\. A: no answer in time from 127\.0\.0\.1 port 1$"):
        asyncio.run(Resolver(section).ask("example.com", "A"))
    assert not asyncio.run(Resolver(section).is_working())


def test_whether_the_resolver_or_the_domain_is_at_fault():
    with answering(ZONE, servfail=("example.com.",)) as server:
        assert asyncio.run(Resolver(server.section()).is_working())
    with answering(ZONE, silent=(".",)) as server:
        assert not asyncio.run(Resolver(server.section(timeout=0.3)).is_working())


def test_what_is_known_is_not_asked_again_before_its_time():
    async def run(server, ttl: int):
        resolver = Resolver(server.section())
        for name in ("mx.example.com", "short.example.com", "nobody.example.com") * 3:
            await resolver.ask(name, "A")
        before = dict(server.asked)
        await asyncio.sleep(ttl + 0.1)
        await resolver.ask("short.example.com", "A")
        await resolver.ask("mx.example.com", "A")
        return before, dict(server.asked)

    def play(seconds: float):
        ttl = math.ceil(seconds)
        with answering(f"{ZONE}short.example.com. {ttl} IN A 192.0.2.1\n") as server:
            return asyncio.run(run(server, ttl))

    before, after = told_in_time(play, lambda told: told[0]["short.example.com. A"] == 1)
    assert before["mx.example.com. A"] == after["mx.example.com. A"] == 1
    assert (before["short.example.com. A"], after["short.example.com. A"]) == (1, 2)


SOA = "{} {} IN SOA ns.example.net. root.example.net. 1 1 1 1 {}"


@pytest.mark.parametrize(
    ("soa", "longest"),
    [
        ("", 60),
        (SOA.format("example.com.", 300, 20), 20),
        (SOA.format("example.com.", 20, 300), 20),
        (SOA.format("example.com.", 999_999_999, 999_999_999), 10_800),
        (SOA.format("example.org.", 300, 300), 60),  # of another zone: it says nothing of this one
    ],
)
@pytest.mark.parametrize("name", ["nobody.example.com", "mx.example.com"])  # no such name, no such record
def test_that_there_is_nothing_is_not_known_for_good(soa, longest, name):
    assert_kept(longest, ZONE, name, "AAAA", soa=soa)


@pytest.mark.parametrize(("ttl", "longest"), [(20, 20), (2_147_483_647, 86_400)])
def test_a_record_is_not_known_for_good(ttl, longest):
    assert_kept(longest, f"example.com. {ttl} IN A 192.0.2.25", "example.com", "A")


def assert_kept(longest: float, zone: str, name: str, kind: str, **behaviour) -> None:
    """An answer is kept for so many seconds from when it came."""

    async def run(server) -> float:
        resolver = Resolver(server.section())
        await resolver.ask(name, kind)
        return max(node.value.expiration for node in resolver._resolver.cache.data.values())

    with answering(zone, **behaviour) as server:
        before = time.time()
        expiration = asyncio.run(run(server))
    assert before + longest <= expiration <= time.time() + longest


def test_no_more_than_so_many_questions_in_a_second():
    async def run(server):
        resolver = Resolver(server.section(rate=50))
        began = time.monotonic()
        await asyncio.gather(*(resolver.ask(f"{number}.example.com", "A") for number in range(26)))
        return time.monotonic() - began

    with answering(ZONE) as server:
        assert asyncio.run(run(server)) >= 0.5


@pytest.mark.parametrize("is_secure", [True, False])
def test_whether_an_answer_was_validated(is_secure):
    with answering(ZONE, is_secure=is_secure) as server:
        (answer,), _ = ask(server, ("mx.example.com", "A"))
    assert answer.is_secure is is_secure


def test_from_another_thread():
    async def run(server):
        names = Names(Resolver(server.section()), 60.0)
        return await asyncio.to_thread(names.txt, "example.com"), await asyncio.to_thread(names.txt, "x.example.com")

    with answering(ZONE) as server:
        assert asyncio.run(run(server)) == ("one and two", None)
