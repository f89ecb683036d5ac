"""The page of all metrics, from the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docs.markdown import code, codes, page, table
from exporter.metrics.catalogue import METRICS
from parsers import onset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.metrics.catalogue import Metric

INTRODUCTION = """\
What `/metrics` shows, made from `exporter/metrics/catalogue.py`. Times are in seconds, sizes in bytes. A name that
ends in `_total` is a counter. No address, queue id, message-id or host name taken from a log is ever the value of a
label."""

BLOCKED = """\
`mail_provider_blocked` follows, for each server and provider, how many more messages were refused than accepted. What
counts as refused: deferred or bounced for {refusals}. A message counts once, however often it is tried and for how
many recipients; a first deferral with a bare "try again later", as greylisting sends it, does not count; neither does
a delivery that fails for another reason. The count never goes below zero: where it leaves zero, a run of refusals
begins.

The provider blocks us, since the run began and for the reason most of its messages have, once the count is
{rule.messages} (`blocks.messages`) and the run is {minutes:g} minutes old (`blocks.minutes`). That is over when
{rule.recovery} (`blocks.recovery`) more messages were accepted than three times those refused, or when nothing was
tried for {hours:g} hours (`blocks.silence_hours`). All times are those of the log: the same log, read again, gives
the same answer, and a log that is read late gives what was true at its end."""

GREYLISTED = """\
A bare `451 Try again later` does not say whether it is greylisting: that shows when the same host accepts the
recipient at the next attempt. A counter takes nothing back, so `mail_delivery_failures_total` counts such a deferral
at once with the reason of its text (`unclassified`, `system_error`, `rate_limited` or `policy_rejected`), and
`mail_delivery_greylisted_total` counts it when it is accepted, with the same provider and reason. What was deferred
for a reason, greylisting left out, is the one without the other; both only grow. `mailstat summary` knows the whole
log and counts it as `greylisted`. A reply that names its cause keeps it, whatever comes next."""

DOMAINS = """\
With `labels.domains` in the [configuration](configuration.md#labels), `mail_deliveries_total` and
`mail_delivery_failures_total` have one label more, `domain`: that of the recipient, of outbound deliveries to the
busiest domains; all others are `other`. A domain that is idle for `labels.idle_hours`, or far less busy than another
one, makes room. Its series ends, and goes on from where it was if the domain comes back; `other` does not jump."""

LABELS = {
    "direction": "of a delivery: `outbound` (SMTP to another host), `local` (on this host); of TLS: `inbound` or"
    " `outbound`",
    "error": "`timeout` `refused` `unreachable` `lost` `tls` `dns`",
    "hop": "place of the server on the way of a message, the first is 1",
    "kind": "of attackers: `hammer` `spray`",
    "metric": "the metric whose series budget was used up",
    "method": "SASL mechanism: `PLAIN` `LOGIN` …",
    "mta": "the mail server that wrote the line: `postfix`",
    "outcome": "`parsed`; `ignored`: known, and of no use to anybody; `unknown`; `malformed`",
    "phase": "SMTP phase: `connect` `banner` `ehlo` `starttls` `auth` `mail` `rcpt` `data` `end_of_data` `dns`, and"
    " of a probe `arrival`",
    "program": "the daemon: `smtp` `smtpd` `qmgr` …",
    "protocol": "`TLSv1.3` …; of a hop also `none` and `unknown`",
    "provider": "who runs the destination: `google` `microsoft` … as in [reasons.md](reasons.md#providers); `other`:"
    " anybody else, or one that the series budget has no room for; empty: a local delivery",
    "reason": "why: the classes of [reasons.md](reasons.md); of a probe [probe-failures.md](probe-failures.md)",
    "reply_code": "SMTP reply code of three digits",
    "dsn": "enhanced status code, RFC 3463",
    "result": "of an attempt to authenticate: `success` `failure`; of a probe's message: `sent` `send_failed`"
    " `arrived` `late` `lost` `found` `duplicate` `spam_folder`; of the receiver's check: `pass` `fail` … as in RFC"
    " 8601",
    "service": "syslog name of the server's instance: `postfix`, `postfix-out` …",
    "severity": "`warning` `error` `fatal` `panic`",
    "source": "the log that is followed",
    "stage": "`before_queue` `in_queue` `connect` `transmit`",
    "status": "`sent` `deferred` `bounced` `expired`",
    "trust": "how far the peer's certificate was trusted: `anonymous` `untrusted` `trusted` `verified`",
    "type": "`bounce` `delay` `success`",
    "why": "`volume`, `recipients`, `clients`, `bounces`: see [configuration.md](configuration.md#accounts)",
    "version": "the version that runs",
    "le": "upper bound in seconds, `+Inf` for all",
    "queue": "`maildrop` `incoming` `active` `deferred` `hold` `corrupt`; Exim: `queued` `frozen`;"
    " Sendmail: `queued` `quarantined`; OpenSMTPD: `queued`; qmail: `todo` `queued`",
    "via": "`smtp` `submission` `local` `notification`",
    "check": "of the receiver: `spf` `dkim` `dmarc` `arc`; of the DNS: `mx` `a` `ptr` `fcrdns` `spf` `dkim` `dmarc`"
    " `mta_sts` `tls_rpt` `tlsa`; of what a server refuses: `open_relay` `forged_sender` `plaintext_auth`"
    " `vrfy` `smuggling` `old_tls`; `own_signature`: of our own DKIM signature",
    "probe": "name of the probe, the posture or the negative probe in the configuration",
    "zone": "of a block list, as configured",
}


def text() -> str:
    """The page."""
    mail, own = ([row for row in METRICS.values() if row.name.startswith(start)] for start in ("mail_", "mailstat_"))
    used = sorted({label for row in METRICS.values() for label in row.labels})
    return page(
        "Metrics",
        INTRODUCTION,
        "## Mail",
        _metrics(mail),
        "### Domains",
        DOMAINS,
        "### Greylisting",
        GREYLISTED,
        "### A provider that blocks us",
        _blocked(),
        "## The exporter itself",
        _metrics(own),
        "## Labels",
        table(["label", "values"], ([code(label), LABELS[label]] for label in used)),
        "## Buckets",
        "Upper bounds of the histograms' buckets; all have `+Inf` too.",
        table(["histogram", "bounds"], _bounds()),
    )


def _blocked() -> str:
    rule = onset.Rule()
    refusals = codes(sorted(onset.REFUSALS))
    return BLOCKED.format(refusals=refusals, rule=rule, minutes=rule.seconds / 60, hours=rule.silence / 3600)


def _metrics(rows: list[Metric]) -> str:
    cells = ([code(row.name), row.type, codes(row.labels), row.help] for row in rows)
    return table(["metric", "type", "labels", "meaning"], cells)


def _bounds() -> Iterator[list[str]]:
    for row in METRICS.values():
        if row.bounds:
            yield [code(row.name), " ".join(f"{bound:g}" for bound in row.bounds)]
