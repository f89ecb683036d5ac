"""Is mail flowing, does it keep the objective, and what is the worst of it."""

from __future__ import annotations

from dashboards.layout import Board, Row
from dashboards.panel import BAD, HALF, PLAIN, SMALL, THIRD, WARN, About, bars, lines, number, rows
from dashboards.query import increase, quantile, rate, ratio, select, total

_SENT = total("", rate("mail_deliveries_total", 'status="sent"'))
_FAILED = total("", rate("mail_deliveries_total", 'status=~"bounced|expired"'))

BOARD = Board(
    "overview",
    "Mail overview",
    "Is mail flowing, how fast, and what are the worst problems.",
    ("mta", "service", "provider"),
    (
        Row(
            "Now",
            (
                number(
                    About(
                        "Alerts",
                        "Alerts of mail that fire now.",
                        runbooks=("MailExporterDown",),
                        span=SMALL,
                        steps=((1, BAD),),
                    ),
                    'count(ALERTS{alertname=~"Mail.*", alertstate="firing", job=~"$job"}) or vector(0)',
                ),
                number(
                    About("Received", "Messages that came in, a second.", "mps", span=SMALL, base=PLAIN),
                    total("", rate("mail_messages_received_total")),
                ),
                number(
                    About("Sent", "Recipients to whom mail was delivered, a second.", "mps", span=SMALL, base=PLAIN),
                    _SENT,
                ),
                number(
                    About(
                        "Given up",
                        "Share of the recipients with an end whose mail bounced or expired.",
                        "percentunit",
                        runbooks=("MailBouncesRising",),
                        span=SMALL,
                        steps=((0.02, WARN), (0.1, BAD)),
                    ),
                    ratio(f"({_FAILED} or vector(0))", f"({_SENT} + ({_FAILED} or vector(0)))"),
                ),
                number(
                    About(
                        "Waiting",
                        "Messages in all queues that are to be delivered.",
                        runbooks=("MailQueueGrowing",),
                        span=SMALL,
                        base=PLAIN,
                    ),
                    total("", select("mail_queue_messages", 'queue!~"hold|frozen|corrupt"')),
                ),
                number(
                    About(
                        "Late or lost",
                        "Share of the recipients in the last hour who did not have their mail within 15 minutes. The"
                        " objective allows 1 %.",
                        "percentunit",
                        "nothing was sent in the last hour",
                        ("MailSLOBurnsFast",),
                        SMALL,
                        ((0.01, WARN), (0.06, BAD)),
                    ),
                    f"max({select('mta:mail_slo_errors:ratio_rate1h')})",
                ),
            ),
        ),
        Row(
            "Flow",
            (
                lines(
                    About(
                        "Messages in and out",
                        "Messages that came in, by the way they came, and that left the queue.",
                        "mps",
                        runbooks=("MailTrafficMissing",),
                    ),
                    {
                        "in: {{via}}": total("via", rate("mail_messages_received_total")),
                        "out": total("", rate("mail_messages_removed_total")),
                    },
                ),
                lines(
                    About(
                        "Attempts by status",
                        "Delivery attempts, one for each recipient.",
                        "cps",
                        runbooks=("MailDeferralsRising",),
                    ),
                    {"{{status}}": total("status", rate("mail_deliveries_total"))},
                    is_stacked=True,
                ),
                lines(
                    About(
                        "This hour and the weeks before",
                        "Messages an hour, and the average of the same hour in the last three weeks.",
                        "short",
                        runbooks=("MailTrafficMissing",),
                    ),
                    {
                        "now": f"3600 * {total('', select('service:mail_messages_received:rate1h'))}",
                        "usual": f"3600 * {total('', select('service:mail_messages_received:rate1h_baseline'))}",
                    },
                ),
                lines(
                    About(
                        "Time from arrival to delivery",
                        "Quantiles, of recipients to whom mail was delivered.",
                        "s",
                        runbooks=("MailSLOBurnsFast", "MailSLOBurnsSlowly"),
                        steps=((900, BAD),),
                    ),
                    {f"{share:.0%}": quantile(share, "", "mail_delivery_seconds") for share in (0.5, 0.9, 0.99)},
                ),
                lines(
                    About(
                        "Objective: late or lost",
                        "Share of the recipients who did not have their mail within 15 minutes, over an hour and over"
                        " three days. The objective allows 1 %.",
                        "percentunit",
                        "nothing was sent",
                        ("MailSLOBurnsFast", "MailSLOBurnsSlowly"),
                        steps=((0.01, BAD),),
                    ),
                    {
                        "1h": f"max({select('mta:mail_slo_errors:ratio_rate1h')})",
                        "3d": f"max({select('mta:mail_slo_errors:ratio_rate3d')})",
                    },
                ),
                lines(
                    About("Messages in flight", "Seen in the log and not yet removed, as the exporter follows them."),
                    {"{{mta}}": total("mta", select("mail_messages_in_flight"))},
                ),
            ),
        ),
        Row(
            "Worst problems",
            (
                bars(
                    About(
                        "Why attempts fail",
                        "The ten most frequent reasons in the time shown; docs/reasons.md says what they mean.",
                        empty="no attempt failed",
                        span=THIRD,
                        base=PLAIN,
                    ),
                    f"topk(10, {total('reason', increase('mail_delivery_failures_total'))} > 0)",
                    "{{reason}}",
                ),
                bars(
                    About(
                        "Where attempts fail",
                        "The ten providers with most failed attempts in the time that is shown.",
                        empty="no attempt failed",
                        span=THIRD,
                        base=PLAIN,
                    ),
                    f"topk(10, {total('provider', increase('mail_delivery_failures_total'))} > 0)",
                    "{{provider}}",
                ),
                rows(
                    About("Alerts", "What fires now.", empty="no alert fires", span=THIRD),
                    'ALERTS{alertname=~"Mail.*", alertstate="firing", job=~"$job"}',
                    ("alertstate", "Value", "job"),
                ),
                lines(
                    About(
                        "Size of messages",
                        "Quantiles of the messages that came in.",
                        "bytes",
                        span=THIRD,
                    ),
                    {f"{share:.0%}": quantile(share, "", "mail_message_size_bytes") for share in (0.5, 0.9)},
                ),
                lines(
                    About("Recipients of a message", "Quantiles of the messages that came in.", span=THIRD),
                    {f"{share:.0%}": quantile(share, "", "mail_message_recipients") for share in (0.5, 0.9)},
                ),
                lines(
                    About(
                        "Trouble of the mail server itself",
                        "Warnings and errors that its programs log, by program and severity.",
                        "cps",
                        "the server logged no warning",
                        ("MailServerFailing",),
                        THIRD,
                    ),
                    {"{{program}} {{severity}}": total("program, severity", rate("mail_log_problems_total"))},
                ),
                lines(
                    About(
                        "Notifications to senders",
                        "Bounces, delay warnings and receipts that the server itself sent.",
                        "cps",
                        "none was sent",
                        span=HALF,
                    ),
                    {"{{type}}": total("type", rate("mail_notifications_total"))},
                ),
            ),
        ),
    ),
)
