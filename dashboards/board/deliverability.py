"""Who takes our mail, who does not, why, and how long it takes."""

from __future__ import annotations

from dashboards.layout import Board, Row
from dashboards.panel import BAD, HALF, THIRD, WARN, WIDE, About, lines, rows
from dashboards.query import increase, quantile, rate, ratio, select, total

_SINCE = "mail_provider_blocked_since_timestamp_seconds"
_OUT = 'direction="outbound"'


def _share(status: str) -> str:
    part = total("provider", rate("mail_deliveries_total", _OUT, f'status=~"{status}"'))
    return ratio(part, total("provider", rate("mail_deliveries_total", _OUT)))


BOARD = Board(
    "deliverability",
    "Deliverability by provider",
    "Who takes our mail, who does not, why, and how long it takes.",
    ("mta", "service", "provider"),
    (
        Row(
            "Blocks",
            (
                rows(
                    About(
                        "Who blocks us",
                        "Providers that accepted our mail and now refuse it, for our reputation, by policy or for our"
                        " rate.",
                        empty="no provider blocks us",
                        runbooks=("MailProviderBlocked",),
                        steps=((1, BAD),),
                    ),
                    f"{select('mail_provider_blocked')} == 1",
                    ("job", "Value"),
                ),
                lines(
                    About(
                        "Blocked for",
                        "How long each block has lasted.",
                        "s",
                        "no provider blocks us",
                        ("MailProviderBlocked",),
                    ),
                    {
                        "{{provider}} {{reason}}": f"time() - {select(_SINCE)}"
                        f" and on (job, instance, mta, provider, reason) {select('mail_provider_blocked')} == 1"
                    },
                ),
            ),
        ),
        Row(
            "Status",
            (
                lines(
                    About("Sent", "Recipients to whom mail was delivered, by provider.", "cps"),
                    {"{{provider}}": total("provider", rate("mail_deliveries_total", _OUT, 'status="sent"'))},
                    is_stacked=True,
                ),
                lines(
                    About(
                        "Put off",
                        "Share of the attempts that were deferred.",
                        "percentunit",
                        "no attempt was deferred",
                        ("MailDeferralsRising",),
                        steps=((0.1, WARN), (0.5, BAD)),
                    ),
                    {"{{provider}}": _share("deferred")},
                ),
                lines(
                    About(
                        "Given up",
                        "Share of the attempts that bounced or expired.",
                        "percentunit",
                        "nothing bounced",
                        ("MailBouncesRising",),
                        steps=((0.05, WARN), (0.3, BAD)),
                    ),
                    {"{{provider}}": _share("bounced|expired")},
                ),
                lines(
                    About(
                        "Put off, against the own week",
                        "The share of the last hour divided by the average of the last week: 1 is as usual. The alert"
                        " is at 3.",
                        "short",
                        "no week is known yet, or nothing was deferred in it",
                        ("MailDeferralsRising",),
                        steps=((3, BAD),),
                    ),
                    {
                        "{{provider}}": ratio(
                            select("provider:mail_deferral:ratio_rate1h"),
                            select("provider:mail_deferral:ratio_avg1w"),
                        )
                    },
                ),
            ),
        ),
        Row(
            "Reasons",
            (
                rows(
                    About(
                        "Why, at whom",
                        "Failed attempts in the time that is shown, by provider and reason; docs/reasons.md says what"
                        " the reasons mean, `mailstat explain` what to do.",
                        empty="no attempt failed",
                        span=WIDE,
                    ),
                    "sort_desc("
                    + total("provider, status, reason", increase("mail_delivery_failures_total"))
                    + " > 0)",
                ),
                lines(
                    About("Reasons", "Failed attempts by reason.", "cps", "no attempt failed"),
                    {"{{reason}}": total("reason", rate("mail_delivery_failures_total"))},
                    is_stacked=True,
                ),
                lines(
                    About(
                        "Connections that fail",
                        "Connections that came to nothing, on a line of their own in the log.",
                        "cps",
                        "every connection was made",
                        ("MailDestinationSuspended",),
                    ),
                    {"{{provider}} {{error}}": total("provider, error", rate("mail_connection_errors_total"))},
                ),
                lines(
                    About(
                        "Greylisted",
                        "Vague deferrals that turned out to be greylisting: the same host took the next attempt.",
                        "cps",
                        "nobody greylists us",
                    ),
                    {"{{provider}}": total("provider", rate("mail_delivery_greylisted_total"))},
                ),
                rows(
                    About(
                        "Replies",
                        "Attempts by reply code and enhanced status code in the time that is shown.",
                        span=HALF,
                    ),
                    "topk(20, " + total("status, reply_code, dsn", increase("mail_delivery_replies_total")) + " > 0)",
                ),
                lines(
                    About(
                        "Attempts to the end",
                        "Attempts that nine of ten recipients took at most, by how it ended.",
                    ),
                    {"{{status}}": quantile(0.9, "status", "mail_delivery_attempts")},
                ),
            ),
        ),
        Row(
            "Time and encryption",
            (
                lines(
                    About("Time to delivery", "Nine of ten recipients had their mail within this.", "s", span=THIRD),
                    {"{{provider}}": quantile(0.9, "provider", "mail_delivery_seconds")},
                ),
                lines(
                    About(
                        "Where the time goes",
                        "Nine of ten deliveries spent at most this before the queue, in it, connecting, sending.",
                        "s",
                        span=THIRD,
                    ),
                    {"{{stage}}": quantile(0.9, "stage", "mail_delivery_stage_seconds")},
                ),
                lines(
                    About(
                        "TLS of what we send",
                        "Sessions by protocol and by how far the other side was trusted.",
                        "cps",
                        "the server does not log its TLS sessions (smtp_tls_loglevel of Postfix)",
                        ("MailTLSFalling",),
                        THIRD,
                    ),
                    {
                        "{{protocol}} {{trust}}": total(
                            "protocol, trust", rate("mail_tls_connections_total", 'direction="outbound"')
                        )
                    },
                    is_stacked=True,
                ),
            ),
        ),
    ),
)
