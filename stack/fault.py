"""What can go wrong with mail: each fault begins and ends, and has an alert that has to tell of it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from typing import NamedTuple

from stack import exporter, postfix, process, resolver, traffic, world
from stack.plan import PASSWORD, Plan, exchanger

SOON = 3  # days until a certificate expires


class Fault(NamedTuple):
    """`told` are labels of the alert that has to come."""

    name: str
    alert: str
    told: Mapping[str, str]
    begin: Callable[[Plan], object]
    end: Callable[[Plan], object]


def _file(name: str, text: str = "") -> tuple[Callable[[Plan], object], Callable[[Plan], object]]:
    """A fault that somebody reads in the folder for that."""
    return (
        lambda plan: (plan.faults / name).write_text(text),
        lambda plan: (plan.faults / name).unlink(missing_ok=True),
    )


def _lock_out(plan: Plan) -> None:
    (plan.folder / exporter.NAME / "password").write_text("changed by somebody")


def _let_in(plan: Plan) -> None:
    (plan.folder / exporter.NAME / "password").write_text(PASSWORD)


def _kill(plan: Plan) -> None:
    process.stop(plan.folder, exporter.NAME, signal.SIGKILL)


BLOCK = "550 5.7.1 [198.51.100.193] Message refused: the sending IP address is blocked for its poor reputation"

# All at once: none of them hides another.
TOGETHER = (
    Fault(
        "provider blocks us",
        "MailProviderBlocked",
        {"provider": "google", "severity": "critical"},
        *_file(world.FAULT, f"google.example {BLOCK}\n"),
    ),
    Fault(
        "DNS fails",
        "MailDestinationSuspended",
        {"provider": "microsoft"},
        *_file(resolver.FAULT, exchanger("microsoft.example")),
    ),
    Fault(
        "queue stuck",
        "MailQueueOldestMessage",
        {"mta": "postfix", "queue": "maildrop"},
        lambda plan: postfix.abandon(plan, traffic.SENDER, "user@small.example", 7200),
        postfix.pick_up,
    ),
    Fault("password spraying", "MailAuthCampaign", {"kind": "spray"}, *_file("spray")),
    Fault(
        "certificate about to expire",
        "MailCertificateExpiring",
        {"probe": "postfix-roundtrip"},
        lambda plan: postfix.renew(plan, SOON),
        lambda plan: postfix.renew(plan, postfix.DAYS),
    ),
    Fault("address on a block list", "MailDNSBLListed", {"zone": resolver.ZONE}, *_file(resolver.LISTED)),
    Fault("probe locked out", "MailProbeFailing", {"probe": "postfix-roundtrip"}, _lock_out, _let_in),
    Fault(
        "more providers than the budget",
        "MailSeriesBudgetReached",
        {"metric": "mail_deliveries_total"},
        *_file("crowd"),
    ),
)
# One after the other: of what an exporter that is down or blind would tell, nothing can be told.
ALONE = (
    Fault("exporter killed", "MailExporterDown", {"job": "mailstat"}, _kill, exporter.start),
    Fault("log rotated away", "MailLogUnreadable", {"severity": "critical"}, postfix.lose_log, postfix.reopen_log),
)
UNTOLD = (
    _file("old-tls"),
    (postfix.grow_old, postfix.grow_young),
    _file("dead"),
    _file("spam"),
    _file(world.CLOCK),
)  # no alert of their own, but panels: how they begin and end
