"""Who tries to get in, who got in, whom we refuse, and what is not encrypted."""

from __future__ import annotations

from dashboards.layout import Board, Row
from dashboards.panel import BAD, HALF, PLAIN, SMALL, THIRD, WARN, About, bars, lines, number, rows
from dashboards.query import increase, rate, ratio, select, total

_FAILED = 'result="failure"'
_NOBODY = "no account does"

BOARD = Board(
    "security",
    "Security",
    "Who tries to get in, who got in, whom we refuse, and what is not encrypted.",
    ("mta", "service"),
    (
        Row(
            "Now",
            (
                number(
                    About(
                        "Attackers",
                        "Client addresses of the blocks that fail to log in again and again. Somebody always does.",
                        runbooks=("MailAuthCampaign",),
                        span=SMALL,
                        steps=((10, WARN),),
                    ),
                    f"sum({select('mail_auth_attackers')}) or vector(0)",
                ),
                number(
                    About(
                        "Suspicious accounts",
                        "Accounts that send like stolen ones. Who they are is told by `mailstat senders` alone.",
                        runbooks=("MailAccountsSuspicious",),
                        span=SMALL,
                        steps=((1, BAD),),
                    ),
                    f"sum({select('mail_accounts_suspicious')}) or vector(0)",
                ),
                number(
                    About(
                        "Over quota",
                        "Accounts that sent more in the last hour than the configuration allows them.",
                        runbooks=("MailAccountsOverQuota",),
                        span=SMALL,
                        steps=((1, WARN),),
                    ),
                    f"sum({select('mail_accounts_over_quota')}) or vector(0)",
                ),
                number(
                    About(
                        "Most of one account",
                        "Messages in the last hour of the account that sent most.",
                        span=SMALL,
                        base=PLAIN,
                    ),
                    f"max({select('mail_account_max_messages_per_hour')}) or vector(0)",
                ),
                number(
                    About(
                        "Logins that fail",
                        "Failures a second.",
                        "cps",
                        runbooks=("MailAuthFailures",),
                        span=SMALL,
                        base=PLAIN,
                    ),
                    f"{total('', rate('mail_auth_attempts_total', _FAILED))} or vector(0)",
                ),
                number(
                    About(
                        "Refused", "Commands and messages that were refused, a second.", "cps", span=SMALL, base=PLAIN
                    ),
                    f"{total('', rate('mail_rejects_total'))} or vector(0)",
                ),
            ),
        ),
        Row(
            "Logins",
            (
                lines(
                    About(
                        "Logins",
                        "Attempts by result. Success counts sessions, failure counts attempts.",
                        "cps",
                        "nobody logs in at this server",
                        ("MailAuthFailures",),
                    ),
                    {"{{service}} {{result}}": total("service, result", rate("mail_auth_attempts_total"))},
                ),
                lines(
                    About(
                        "Attackers",
                        "Client addresses, and the blocks (/24, /64) that they are in. hammer: many failures;"
                        " spray: many accounts.",
                        empty="nobody attacks",
                        runbooks=("MailAuthCampaign",),
                    ),
                    {
                        "{{kind}}: addresses": total("kind", select("mail_auth_attackers")),
                        "{{kind}}: blocks": total("kind", select("mail_auth_attacker_blocks")),
                    },
                ),
                bars(
                    About(
                        "Failures by mechanism",
                        "In the time that is shown.",
                        empty="no login failed",
                        base=PLAIN,
                    ),
                    f"{total('method', increase('mail_auth_attempts_total', _FAILED))} > 0",
                    "{{method}}",
                ),
                lines(
                    About(
                        "Accounts that send like stolen ones",
                        "By what makes them suspicious; who they are is told by `mailstat senders` alone.",
                        empty=_NOBODY,
                        runbooks=("MailAccountsSuspicious", "MailAccountsOverQuota"),
                    ),
                    {
                        "{{why}}": total("why", select("mail_accounts_suspicious")),
                        "over quota": total("", select("mail_accounts_over_quota")),
                    },
                ),
            ),
        ),
        Row(
            "Clients",
            (
                lines(
                    About("Connections", "From clients, by service and program.", "cps", span=THIRD),
                    {"{{service}} {{program}}": total("service, program", rate("mail_connections_total"))},
                ),
                lines(
                    About("Refused", "By reason.", "cps", "nothing was refused", span=THIRD),
                    {"{{reason}}": total("reason", rate("mail_rejects_total"))},
                    is_stacked=True,
                ),
                rows(
                    About(
                        "Refused, at which phase",
                        "In the time that is shown.",
                        empty="nothing was refused",
                        span=THIRD,
                    ),
                    f"sort_desc({total('service, phase, reason', increase('mail_rejects_total'))} > 0)",
                ),
            ),
        ),
        Row(
            "Encryption",
            (
                lines(
                    About(
                        "TLS sessions for each delivery",
                        "By itself the number means little, since a session may carry many messages; it falls when"
                        " less is encrypted.",
                        "short",
                        "nothing is sent",
                        ("MailTLSFalling",),
                    ),
                    {
                        "now: {{mta}}": f"max by (mta) ({select('mta:mail_tls_outbound:ratio_rate1h')})",
                        "week: {{mta}}": f"max by (mta) ({select('mta:mail_tls_outbound:ratio_avg1w')})",
                    },
                ),
                lines(
                    About(
                        "Old protocols",
                        "Share of the TLS sessions older than TLS 1.2, by direction.",
                        "percentunit",
                        "no session is that old, or TLS is not logged",
                        steps=((0.01, WARN),),
                        span=HALF,
                    ),
                    {
                        "{{direction}}": ratio(
                            total(
                                "direction",
                                rate("mail_tls_connections_total", 'protocol=~"SSLv.*|TLSv1|TLSv1.0|TLSv1.1"'),
                            ),
                            total("direction", rate("mail_tls_connections_total")),
                        )
                    },
                ),
            ),
        ),
    ),
)
