"""What our own messages, and questions from outside, found."""

from __future__ import annotations

from dashboards.layout import Board, Row
from dashboards.panel import BAD, GOOD, HALF, SMALL, THIRD, WARN, About, lines, number, rows
from dashboards.query import increase, quantile, rate, select, total

_NONE = "no probe is configured"
_LOST = 'result="lost"'
_CERTIFICATES = (
    f"({select('mail_probe_certificate_expiry_timestamp_seconds')}"
    f" or label_replace({select('mail_probe_mailbox_certificate_expiry_timestamp_seconds')},"
    ' "server", "mailbox", "", ""))'
)  # when they end

BOARD = Board(
    "probe",
    "Probes",
    "What our own messages, and questions from outside, found.",
    ("probe",),
    (
        Row(
            "Now",
            (
                number(
                    About(
                        "Probes that fail",
                        "Whose last cycle did not succeed.",
                        runbooks=("MailProbeFailing",),
                        span=SMALL,
                        steps=((1, BAD),),
                    ),
                    f"count({select('mail_probe_success')} == 0) or vector(0)",
                ),
                number(
                    About(
                        "Lost today",
                        "Messages that a server accepted and that did not arrive.",
                        runbooks=("MailProbeLost",),
                        span=SMALL,
                        steps=((1, BAD),),
                    ),
                    f"sum({increase('mail_probe_messages_total', _LOST)}) or vector(0)",
                ),
                number(
                    About(
                        "Under way",
                        "Messages that were sent and have not arrived yet.",
                        runbooks=("MailProbeLate",),
                        span=SMALL,
                    ),
                    f"sum({select('mail_probe_pending_messages')}) or vector(0)",
                ),
                number(
                    About(
                        "Block lists",
                        "Lists that have one of our addresses.",
                        runbooks=("MailDNSBLListed",),
                        span=SMALL,
                        steps=((1, BAD),),
                    ),
                    f"sum({select('mail_probe_dnsbl_listed')}) or vector(0)",
                ),
                number(
                    About(
                        "Not refused",
                        "Things that a server has to refuse, and did not.",
                        runbooks=("MailNegativeProbeFailing",),
                        span=SMALL,
                        steps=((1, BAD),),
                    ),
                    f"count({select('mail_probe_refused')} == 0) or vector(0)",
                ),
                number(
                    About(
                        "Next certificate ends in",
                        "Of all servers that probes speak to, those of mailboxes included.",
                        "s",
                        _NONE,
                        ("MailCertificateExpiring",),
                        SMALL,
                        ((7 * 86400, WARN), (14 * 86400, GOOD)),
                        BAD,
                    ),
                    f"min{_CERTIFICATES} - time()",
                ),
            ),
        ),
        Row(
            "Sending and arrival",
            (
                lines(
                    About(
                        "Success",
                        "1 where the last cycle succeeded, 0 from the first one that failed.",
                        empty=_NONE,
                        runbooks=("MailProbeFailing",),
                    ),
                    {"{{probe}}": select("mail_probe_success")},
                ),
                rows(
                    About(
                        "Why probes fail",
                        "Phase and reason of each probe whose last cycle failed.",
                        empty="no probe fails",
                        runbooks=("MailProbeFailing",),
                    ),
                    select("mail_probe_failure_info"),
                    ("job", "Value"),
                ),
                lines(
                    About("Time by phase", "Of the last cycle.", "s", _NONE),
                    {"{{probe}} {{phase}}": select("mail_probe_phase_seconds")},
                ),
                lines(
                    About(
                        "Round trip", "From sending to arrival; half and nine of ten.", "s", _NONE, ("MailProbeLate",)
                    ),
                    {
                        "50%: {{probe}}": quantile(0.5, "probe", "mail_probe_roundtrip_seconds"),
                        "90%: {{probe}}": quantile(0.9, "probe", "mail_probe_roundtrip_seconds"),
                    },
                ),
                lines(
                    About(
                        "Messages",
                        "By what became of them.",
                        "cps",
                        _NONE,
                        ("MailProbeLate", "MailProbeLost", "MailProbeInSpam"),
                    ),
                    {"{{result}}": total("result", rate("mail_probe_messages_total"))},
                    is_stacked=True,
                ),
                lines(
                    About(
                        "Since the last success", "Time since the last cycle that succeeded.", "s", _NONE, span=HALF
                    ),
                    {"{{probe}}": f"time() - {select('mail_probe_last_success_timestamp_seconds')}"},
                ),
            ),
        ),
        Row(
            "What others think of us",
            (
                rows(
                    About(
                        "Authentication",
                        "What the receiver found of the last message.",
                        empty="no message has arrived at a probe that reads its mailbox",
                        span=THIRD,
                        runbooks=("MailProbeInSpam",),
                    ),
                    f"{select('mail_probe_authentication_result')} == 1",
                    ("job", "Value"),
                ),
                lines(
                    About(
                        "DNS",
                        "1 valid, 0 not.",
                        empty="no posture is configured",
                        span=THIRD,
                        runbooks=("MailDNSPostureDrifted",),
                    ),
                    {"{{probe}} {{check}}": select("mail_probe_dns_check")},
                ),
                lines(
                    About(
                        "Refused, as it should be",
                        "1 where the server refused, 0 where it did not.",
                        empty="no negative probe is configured",
                        span=THIRD,
                        runbooks=("MailNegativeProbeFailing",),
                    ),
                    {"{{probe}} {{check}}": select("mail_probe_refused")},
                ),
                lines(
                    About(
                        "Block lists",
                        "1 where the list has the address.",
                        empty="no list is configured",
                        span=HALF,
                        runbooks=("MailDNSBLListed",),
                    ),
                    {"{{probe}} {{zone}}": select("mail_probe_dnsbl_listed")},
                ),
                lines(
                    About(
                        "Spam filters",
                        "The score that each receiver's filter gave the last message, by its own scale; 1 where it"
                        " called the message spam.",
                        empty="no filter wrote anything on the last message",
                        span=HALF,
                        runbooks=("MailProbeInSpam",),
                    ),
                    {
                        "score: {{probe}}": select("mail_probe_spam_score"),
                        "spam: {{probe}}": select("mail_probe_spam_flagged"),
                    },
                ),
                lines(
                    About(
                        "On the way",
                        "Time that the last message took to each server on its way, by clocks set right.",
                        "s",
                        "no message has arrived at a probe that reads its mailbox",
                        ("MailProbeLate",),
                        HALF,
                    ),
                    {"{{probe}} {{hop}}": select("mail_probe_hop_seconds")},
                ),
                lines(
                    About(
                        "Clocks on the way",
                        "By how much the clock of a server is ahead, or behind.",
                        "s",
                        "no message has arrived at a probe that reads its mailbox",
                        span=HALF,
                    ),
                    {"{{probe}} {{hop}}": f"{select('mail_probe_hop_clock_skew_seconds')} != 0"},
                ),
                rows(
                    About(
                        "TLS on the way",
                        "The version that each server said it got the last message with.",
                        empty="no message has arrived at a probe that reads its mailbox",
                        span=HALF,
                    ),
                    select("mail_probe_hop_tls_info"),
                    ("job", "Value"),
                ),
                lines(
                    About(
                        "Certificates",
                        "Time until the end of each server's certificate, and of that of each mailbox.",
                        "s",
                        _NONE,
                        ("MailCertificateExpiring",),
                    ),
                    {"{{probe}} {{server}}": f"{_CERTIFICATES} - time()"},
                ),
            ),
        ),
    ),
)
