"""Where everything is: one folder, and the addresses in it.

Mail servers, destinations and clients have documentation addresses (RFC 5737) that are routed to the loopback device:
what comes from 127.0.0.1 is local to a mail server, and neither a delivery to another host nor an attack.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from stack.ground import Entry, free_ports

LOCAL = "127.0.0.77"  # nobody else asks for a port of it: one that is free stays free until it is bound
SERVICES = ("exporter", "prometheus", "alertmanager", "webhook")
POSTFIX, POSTFIX_SUBMISSION = Entry("198.51.100.193", 2525), Entry("198.51.100.193", 5587)
EXIM, EXIM_SUBMISSION = Entry("198.51.100.194", 2525), Entry("198.51.100.194", 5587)
RESOLVER = Entry("198.51.100.253", 53)
DESTINATION_PORT = 2525
TRUSTED = "203.0.113.192/27"  # clients that may relay; the rest of the clients' addresses may not
CLIENTS = [f"203.0.113.{number}" for number in range(193, 223)]
STRANGERS = [f"203.0.113.{number}" for number in range(225, 255)]
# Providers have names of their own here, told to the exporter: nothing of theirs is touched.
PROVIDERS = ("google", "microsoft", "yahoo", "gmx", "apple", "orange", "proton")
DESTINATIONS = {
    **{f"{name}.example": f"198.51.100.{number}" for number, name in enumerate(PROVIDERS, start=201)},
    "small.example": "198.51.100.220",
    "sender.example": "198.51.100.221",  # where notifications go
    "probe.example": "198.51.100.222",
}
DEAD = {"dead.example": "198.51.100.230"}  # nobody listens there
USER, PASSWORD = "carol", "correct horse"
PROBE_USER = f"{USER}@here.example"


def exchanger(domain: str) -> str:
    """The host that takes a domain's mail."""
    return f"mx.{domain}"


@dataclass(frozen=True)
class Plan:
    """One stack. A quick one has a clock of its own, see `stack.pace`."""

    folder: Path
    is_quick: bool
    ports: dict[str, int]

    def entry(self, service: str) -> Entry:
        """Where one of ours listens."""
        return Entry(LOCAL, self.ports[service])

    def url(self, service: str) -> str:
        return f"http://{self.entry(service)}"

    @property
    def postfix_log(self) -> Path:
        return self.folder / "postfix/mail.log"

    @property
    def exim_log(self) -> Path:
        return self.folder / "exim/log/mainlog"

    @property
    def faults(self) -> Path:
        """A file in it is a fault that is on; some read it for more."""
        return self.folder / "faults"

    @property
    def truth(self) -> Path:
        """What clients and destinations saw, a line of JSON each."""
        return self.folder / "truth"


def make(folder: Path, *, is_quick: bool) -> Plan:
    """A new one, in a folder that mail servers can enter who give up being root."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    plan = Plan(folder, is_quick, dict(zip(SERVICES, free_ports(len(SERVICES), LOCAL), strict=True)))
    for path in (plan.faults, plan.truth):
        path.mkdir()
    (folder / "plan.json").write_text(json.dumps(asdict(plan), default=str))
    return plan


def load(folder: Path) -> Plan:
    """The one that is in this folder. Raises FileNotFoundError."""
    known = json.loads((folder / "plan.json").read_text())
    return Plan(Path(known["folder"]), known["is_quick"], known["ports"])
