"""The name server of the stack, for who sends mail and who looks at who does: `python -m stack.resolver FOLDER`.

The fault `dns` makes it fail for the names that the file has, `listed` puts Postfix on the block list.
"""

from __future__ import annotations

import socketserver
import sys
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from stack import plan as plans
from stack import process
from stack.plan import DEAD, DESTINATIONS, POSTFIX, RESOLVER, Plan, exchanger

NAME = "resolver"
FAULT, LISTED = "dns", "listed"
TIMEOUT = 30  # seconds, the most that resolv.conf(5) allows: what was asked in vain is deferred, and nobody counts it
SECONDS = 1  # that an answer may be kept
NOTHING = f"ns.example. postmaster.example. 1 60 60 60 {SECONDS}"  # so long nothing may be kept too (RFC 2308)
SENDER, ZONE = "sender.example", "bl.example"
BACKWARDS = ".".join(reversed(POSTFIX.host.split(".")))
RECORDS = {
    **{(exchanger(domain), "A"): ip for domain, ip in (DESTINATIONS | DEAD).items()},
    ("mx.here.example", "A"): POSTFIX.host,
    (f"{BACKWARDS}.in-addr.arpa", "PTR"): "mx.here.example.",
    (SENDER, "MX"): f"10 {exchanger(SENDER)}.",
    (SENDER, "TXT"): f'"v=spf1 ip4:{POSTFIX.host} -all"',
    (f"_dmarc.{SENDER}", "TXT"): f'"v=DMARC1; p=reject; rua=mailto:postmaster@{SENDER}"',
    (f"2.0.0.127.{ZONE}", "A"): "127.0.0.2",  # a list that works lists this (RFC 5782, section 5)
}
LISTING = {(f"{BACKWARDS}.{ZONE}", "A"): "127.0.0.2"}


def answer(query: dns.message.Message, failing: str, *, is_listed: bool = False) -> dns.message.Message:
    """What the question comes to while the names in `failing` cannot be found out."""
    response = dns.message.make_response(query, recursion_available=True)
    question = query.question[0]
    name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
    records = RECORDS | LISTING if is_listed else RECORDS
    if name in failing.split():
        response.set_rcode(dns.rcode.SERVFAIL)
    elif (name, kind) in records:
        response.answer.append(dns.rrset.from_text(question.name, SECONDS, "IN", kind, records[name, kind]))
    else:
        if name not in {known for known, _ in records}:
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text(".", SECONDS, "IN", "SOA", NOTHING))
    return response


class Handler(socketserver.BaseRequestHandler):
    """One question over UDP."""

    server: Server

    def handle(self) -> None:
        """Answer it; what is no question gets none."""
        packet, link = self.request
        try:
            query = dns.message.from_wire(packet)
        except dns.exception.DNSException:
            return
        if query.question:
            server = self.server
            found = answer(query, server.failing(), is_listed=(server.faults / LISTED).exists())
            link.sendto(found.to_wire(), self.client_address)


class Server(socketserver.UDPServer):
    """Answers for the stack."""

    def __init__(self, faults: Path) -> None:
        super().__init__((RESOLVER.host, RESOLVER.port), Handler)
        self.faults = faults

    def failing(self) -> str:
        """The names that the fault has."""
        fault = self.faults / FAULT
        return fault.read_text() if fault.exists() else ""


def start(plan: Plan) -> None:
    """Start it; mail servers see it as their host's resolver by `command`."""
    (plan.folder / "resolv.conf").write_text(f"nameserver {RESOLVER.host}\noptions timeout:{TIMEOUT} attempts:1\n")
    command = (sys.executable, "-m", "stack.resolver", plan.folder)
    process.start(plan.folder, NAME, command, lambda: "answers" in process.tail(plan.folder / f"{NAME}.out"))


def command(plan: Plan, *command: str | Path) -> list[str | Path]:
    """A command for which this is the host's resolver, and for nobody else."""
    script = f'mount --bind {plan.folder / "resolv.conf"} /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "server", *command]


def main() -> None:
    """Answer until ended."""
    plan = plans.load(Path(sys.argv[1]))
    with Server(plan.faults) as server:
        print("answers", flush=True)
        server.serve_forever(poll_interval=60)


if __name__ == "__main__":
    main()
