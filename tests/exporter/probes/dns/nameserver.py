"""A DNS server on loopback, over UDP and TCP: it answers from a zone, or not at all, or not in one packet."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from socketserver import BaseServer

from dnslib import CNAME, QTYPE, RCODE, RR, DNSError, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSLogger, DNSServer

from exporter.probes.dns.resolver import Resolver
from exporter.probes.dns.world import World
from exporter.probes.estate import ResolverSection

ROOT = ". 60 IN NS ns.example.net."


@dataclass
class Nameserver:
    """What it is asked, and how it is to behave for the names that end so."""

    port: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    tcp: Counter[str] = field(default_factory=Counter)
    silent: tuple[str, ...] = ()
    servfail: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    is_secure: bool = False
    soa: str = ""  # in a zone's form: what is told besides that there is nothing
    timeout: float = 60.0  # seconds that whoever asks waits

    def section(self, **more) -> ResolverSection:
        usual = {"timeout": self.timeout, "rate": 1000}
        return ResolverSection(servers=(f"127.0.0.1:{self.port}",), **(usual | more))

    def world(self, **more) -> World:
        """To be made where there is an event loop."""
        return World(resolver=Resolver(self.section()), **({"seconds": 120.0} | more))


class _Zone(BaseResolver):
    def __init__(self, text: str, server: Nameserver) -> None:
        self._records = RR.fromZone(f"{text}\n{ROOT}\n")
        self._server = server

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        name, kind = str(request.q.qname).lower(), QTYPE[request.q.qtype]
        self._server.asked[f"{name} {kind}"] += 1
        if handler.protocol == "tcp":
            self._server.tcp[f"{name} {kind}"] += 1
        if name.endswith(self._server.silent):
            raise DNSError("nothing is said")
        reply = request.reply()
        reply.header.set_aa(0)
        reply.header.set_ad(int(self._server.is_secure))
        if name.endswith(self._server.servfail):
            reply.header.rcode = RCODE.SERVFAIL
        elif name.endswith(self._server.cut) and handler.protocol == "udp":
            reply.header.tc = 1
        else:
            self._answer(reply, name, kind)
        return reply

    def _answer(self, reply: DNSRecord, name: str, kind: str) -> None:
        for _ in range(10):
            mine = [it for it in self._records if str(it.rname).lower() == name]
            reply.add_answer(*(it for it in mine if QTYPE[it.rtype] == kind))
            alias = next((it for it in mine if QTYPE[it.rtype] == "CNAME" and kind != "CNAME"), None)
            if alias is None:
                break
            reply.add_answer(alias)
            assert isinstance(alias.rdata, CNAME)
            name = str(alias.rdata.label).lower()
        names = [f".{it.rname}".lower() for it in self._records]
        is_there = any(it.endswith(f".{name}") for it in names)  # also where only names below it have records
        reply.header.rcode = RCODE.NOERROR if is_there else RCODE.NXDOMAIN
        if not reply.rr and self._server.soa:
            reply.add_auth(*RR.fromZone(self._server.soa))


@contextlib.contextmanager
def answering(zone: str, **behaviour) -> Iterator[Nameserver]:
    """A server that answers from this zone, until the end of the block."""
    told = Nameserver(**behaviour)
    servers = _bound(_Zone(zone, told))
    told.port = servers[0].server_address[1]
    threads = [threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        for server, thread in zip(servers, threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join()


def _bound(zone: _Zone) -> list[BaseServer]:
    """A port that is free for both."""
    quiet = DNSLogger(logf=lambda _: None)
    for _ in range(100):
        tcp = DNSServer(zone, address="127.0.0.1", port=0, tcp=True, logger=quiet).server
        try:
            return [tcp, DNSServer(zone, address="127.0.0.1", port=tcp.server_address[1], logger=quiet).server]
        except OSError:
            tcp.server_close()
    raise AssertionError("no port is free")
