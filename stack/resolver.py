"""The name server of the stack: who takes the mail of which domain. The fault `dns` makes it fail for the names that
the file has: `python -m stack.resolver FOLDER`."""

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
from stack.plan import DEAD, DESTINATIONS, RESOLVER, Plan, exchanger

NAME = "resolver"
FAULT = "dns"
SECONDS = 1  # that an answer may be kept
ADDRESSES = {exchanger(domain): ip for domain, ip in (DESTINATIONS | DEAD).items()}


def answer(query: dns.message.Message, failing: str) -> dns.message.Message:
    """What the question comes to while the names in `failing` cannot be found out."""
    response = dns.message.make_response(query, recursion_available=True)
    question = query.question[0]
    name = question.name.to_text(omit_final_dot=True).lower()
    if name in failing.split():
        response.set_rcode(dns.rcode.SERVFAIL)
    elif name not in ADDRESSES:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif question.rdtype == dns.rdatatype.A:
        response.answer.append(dns.rrset.from_text(question.name, SECONDS, "IN", "A", ADDRESSES[name]))
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
            link.sendto(answer(query, self.server.failing()).to_wire(), self.client_address)


class Server(socketserver.UDPServer):
    """Answers for the stack."""

    def __init__(self, fault: Path) -> None:
        super().__init__((RESOLVER.host, RESOLVER.port), Handler)
        self._fault = fault

    def failing(self) -> str:
        """The names that the fault has."""
        return self._fault.read_text() if self._fault.exists() else ""


def start(plan: Plan) -> None:
    """Start it; mail servers see it as their host's resolver by `command`."""
    (plan.folder / "resolv.conf").write_text(f"nameserver {RESOLVER.host}\noptions timeout:1 attempts:1\n")
    command = (sys.executable, "-m", "stack.resolver", plan.folder)
    process.start(plan.folder, NAME, command, lambda: "answers" in process.tail(plan.folder / f"{NAME}.out"))


def command(plan: Plan, *command: str | Path) -> list[str | Path]:
    """A command for which this is the host's resolver, and for nobody else."""
    script = f'mount --bind {plan.folder / "resolv.conf"} /etc/resolv.conf && exec "$@"'
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "server", *command]


def main() -> None:
    """Answer until ended."""
    plan = plans.load(Path(sys.argv[1]))
    with Server(plan.faults / FAULT) as server:
        print("answers", flush=True)
        server.serve_forever(poll_interval=60)


if __name__ == "__main__":
    main()
