"""The page of postures and negative probes, from the checks and from the faults that the tests make."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib import import_module

from docs.markdown import code, page, summary, table
from exporter.probes import negative
from exporter.probes.dns import dnsbl
from exporter.probes.estate import Negative
from exporter.probes.posture import CHECKS
from exporter.schema import Text
from tests.exporter.probes.dns.fault import DOMAIN_LISTINGS, FAULTS, LISTINGS, Listing

_INTRODUCTION = """\
What others see of a domain and of a server: `posture` and `negative` in the [configuration](configuration.md), for
`mail_probe_dns_check`, `mail_probe_dnsbl_listed` and `mail_probe_refused` in the [metrics](metrics.md). A check is 1
where all is as it should be, 0 where it is not, and absent where nobody can tell now. Why is in the exporter's log
when it changes, and in `mailstat_exporter --probe.once NAME` at once. A posture needs the extra `mailstat[posture]`.

```yaml
posture:
  - name: example
    domain: example.com
    addresses: [192.0.2.25, "2001:db8::25"]
    selectors: [s2026]
    zones: [bl.example.net]
    domain_zones: [dbl.example.net]
negative:
  - name: mx1
    server: mx1.example.com
    domain: example.com
    foreign: example.org
```

Where the DNS does not answer for the domain, the check is 0 with the reason `no_answer`, provided that the resolver
answers who serves the root; else it is absent (`resolver`)."""

_KINDS = {True: "0", False: "1", None: "absent"}
_REFUSING = {
    "open_relay": negative.open_relay,
    "forged_sender": negative.forged_sender,
    "plaintext_auth": negative.plaintext_auth,
    "vrfy": negative.vrfy,
    "old_tls": negative.old_tls,
    "smuggling": negative.smuggling,
}
_HARMLESS = """\
The attempts stand in the log of the server, and in its counters. A server that bans whoever fails has to be told of
the host. They tell nothing of what the server allows to hosts that it trusts: let them come from elsewhere, or from
another `source_address`."""


def text() -> str:
    """The page."""
    return page(
        "Posture and negative probes",
        _INTRODUCTION,
        "## What the DNS has to say",
        table(["check", "meaning"], ([code(check), _meaning(check)] for check in CHECKS)),
        "## What is said of each fault",
        "The tests put each of these into the zone of a real DNS server.",
        table(["check", "fault", "reason"], ([code(it.check), it.what, code(it.reason)] for it in FAULTS)),
        "## Block lists",
        summary(dnsbl.__doc__),
        "Of addresses, `zones`:",
        _listings(LISTINGS),
        "Of domains, `domain_zones`:",
        _listings(DOMAIN_LISTINGS),
        "## What a server has to refuse",
        summary(negative.__doc__),
        table(["check", "meaning"], ([code(check), summary(inspect.getdoc(of))] for check, of in _REFUSING.items())),
        _HARMLESS,
        "### Forms of relaying",
        table(["sender", "recipient"], ([code(f"<{it}>") for it in form] for form in _forms())),
        "### Ends of data that are none",
        table(["ending"], ([code(ending)] for ending in negative.ENDINGS)),
    )


def _listings(rows: Iterable[Listing]) -> str:
    cells = ([it.what, _KINDS[it.is_valid], code(it.reason)] for it in rows)
    return table(["the list answers", "`mail_probe_dnsbl_listed`", "reason"], cells)


def _meaning(check: str) -> str:
    """What its module says, the name left out."""
    said = summary(import_module(CHECKS[check].__module__).__doc__).partition("\n\n")[0]
    return said.partition(": ")[2]


def _forms() -> list[tuple[str, str]]:
    return negative.relayed(Negative(name=Text("x"), server=Text("mx1.example.com"), domain=Text("example.com")))
