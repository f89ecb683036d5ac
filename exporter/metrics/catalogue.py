"""The catalogue: every metric there is, with its type, labels and meaning.

The exposition's HELP, the documentation and the checks of dashboards and rules are all made from this table.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Type = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One metric; a histogram has the upper `bounds` of its buckets, +Inf left out."""

    name: str
    type: Type
    labels: tuple[str, ...]
    help: str
    bounds: tuple[float, ...] = ()


# From a delivery inside a data centre to one that took the five days of a queue's life.
DELAYS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 43200, 86400, 432000)
STAGES = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400)
SIZES = (1e3, 4e3, 16e3, 64e3, 256e3, 1e6, 4e6, 16e6, 64e6)
RECIPIENTS = (1, 2, 5, 10, 25, 50, 100, 500, 1000)
ATTEMPTS = (1, 2, 3, 5, 8, 13, 21, 34)


def _metric(name: str, kind: Type, labels: str, text: str, bounds: tuple[float, ...] = ()) -> tuple[str, Metric]:
    return name, Metric(name, kind, tuple(labels.split()), text, bounds)


METRICS: dict[str, Metric] = dict(
    (
        _metric(
            "mail_messages_received_total",
            "counter",
            "mta service via",
            "Messages that entered the queue, by the way they came: smtp, submission, local, notification.",
        ),
        _metric("mail_message_size_bytes", "histogram", "mta service", "Size of the messages received.", SIZES),
        _metric(
            "mail_message_recipients",
            "histogram",
            "mta service",
            "Recipients of the messages received.",
            RECIPIENTS,
        ),
        _metric(
            "mail_deliveries_total",
            "counter",
            "mta service direction provider status",
            "Delivery attempts, one for each recipient: sent, deferred, bounced; expired: one for each message that"
            " the queue gave up.",
        ),
        _metric(
            "mail_delivery_failures_total",
            "counter",
            "mta service provider status reason",
            "Delivery attempts that did not succeed, by reason class.",
        ),
        _metric(
            "mail_delivery_greylisted_total",
            "counter",
            "mta service provider reason",
            "Deferrals that turned out to be greylisting: a vague reply, then the same host accepted the recipient."
            " They are in mail_delivery_failures_total too, as deferred for this reason.",
        ),
        _metric(
            "mail_delivery_replies_total",
            "counter",
            "mta status reply_code dsn",
            "Delivery attempts by SMTP reply code and enhanced status code, where they had one.",
        ),
        _metric(
            "mail_delivery_seconds",
            "histogram",
            "mta provider",
            "Time from arrival to delivery, of deliveries that were sent.",
            DELAYS,
        ),
        _metric(
            "mail_delivery_stage_seconds",
            "histogram",
            "mta stage",
            "Time that deliveries which were sent spent before_queue, in_queue, to connect and to transmit.",
            STAGES,
        ),
        _metric(
            "mail_delivery_attempts",
            "histogram",
            "mta status",
            "Attempts that a recipient took to its final status, of messages whose beginning was seen.",
            ATTEMPTS,
        ),
        _metric("mail_messages_removed_total", "counter", "mta service", "Messages that left the queue."),
        _metric("mail_messages_in_flight", "gauge", "mta", "Messages seen in the log and not yet removed."),
        _metric(
            "mail_notifications_total",
            "counter",
            "mta type",
            "Notifications that the server sent: bounce, delay, success.",
        ),
        _metric("mail_connections_total", "counter", "mta service program", "Connections from clients."),
        _metric(
            "mail_connection_errors_total",
            "counter",
            "mta provider error",
            "Connections that failed on a line of their own: timeout, refused, unreachable, lost, tls, dns.",
        ),
        _metric(
            "mail_tls_connections_total",
            "counter",
            "mta direction protocol trust",
            "TLS sessions, by protocol and by how far the peer was trusted.",
        ),
        _metric(
            "mail_auth_attempts_total",
            "counter",
            "mta service method result",
            "Attempts to authenticate: success counts sessions, failure counts attempts.",
        ),
        _metric(
            "mail_rejects_total",
            "counter",
            "mta service phase reason",
            "Commands and messages that the server refused, by SMTP phase and reason class.",
        ),
        _metric(
            "mail_log_problems_total",
            "counter",
            "mta program severity",
            "Warnings and errors of the server's own programs.",
        ),
        _metric(
            "mail_provider_blocked",
            "gauge",
            "mta provider reason",
            "Whether a provider that accepted our mail refuses it, for our reputation, by policy or for our rate; 0"
            " when that is over.",
        ),
        _metric(
            "mail_provider_blocked_since_timestamp_seconds",
            "gauge",
            "mta provider reason",
            "First refusal of a provider that blocks us, in seconds since the epoch.",
        ),
        _metric(
            "mail_accounts_over_quota",
            "gauge",
            "",
            "Accounts that sent more in the last hour than their quota allows.",
        ),
        _metric(
            "mail_account_max_messages_per_hour",
            "gauge",
            "",
            "Messages of the account that sent most in the last hour.",
        ),
        _metric(
            "mail_accounts_suspicious",
            "gauge",
            "why",
            "Accounts that sent more than usual in the last hour, to or from unusually many, or of which too much"
            " failed; who they are is in the exporter's log.",
        ),
        _metric(
            "mail_auth_attackers",
            "gauge",
            "kind",
            "Client addresses, about so many, of the blocks that tried to guess passwords in the last hour: hammer"
            " (many failures), spray (many users, or users whom many blocks try).",
        ),
        _metric(
            "mail_auth_attacker_blocks",
            "gauge",
            "kind",
            "Blocks of client addresses (/24, /64) that tried to guess passwords in the last hour.",
        ),
        _metric(
            "mail_queue_messages",
            "gauge",
            "mta service queue",
            "Messages in the queue at the last scan.",
        ),
        _metric(
            "mail_queue_bytes",
            "gauge",
            "mta service queue",
            "Size of the messages in the queue at the last scan.",
        ),
        _metric(
            "mail_queue_oldest_age_seconds",
            "gauge",
            "mta service queue",
            "Age of the oldest message in the queue, 0 where there is none.",
        ),
        _metric(
            "mail_queue_age_seconds",
            "gauge",
            "mta service queue le",
            "Messages in the queue that are at most so many seconds old.",
        ),
        _metric(
            "mail_queue_deferred_messages",
            "gauge",
            "mta provider reason",
            "Messages that wait for another attempt, by the reason of the last one.",
        ),
        _metric(
            "mail_queue_scan_duration_seconds",
            "gauge",
            "mta service",
            "Time that the last scan of the queue took.",
        ),
        _metric(
            "mail_queue_scan_success",
            "gauge",
            "mta service",
            "Whether the last scan of the queue was complete.",
        ),
        _metric(
            "mail_queue_scan_timestamp_seconds",
            "gauge",
            "mta service",
            "When the queue's figures were read, in seconds since the epoch.",
        ),
        _metric(
            "mail_probe_success",
            "gauge",
            "probe",
            "Whether the probe's last cycle succeeded: 0 from the first one that failed.",
        ),
        _metric(
            "mail_probe_phase_seconds",
            "gauge",
            "probe phase",
            "Time that the phase took in the probe's last cycle.",
        ),
        _metric(
            "mail_probe_roundtrip_seconds",
            "histogram",
            "probe",
            "Time from sending a probe's message to its arrival.",
            DELAYS,
        ),
        _metric(
            "mail_probe_messages_total",
            "counter",
            "probe result",
            "Messages of the probe: sent, send_failed, arrived, late, lost, spam_folder.",
        ),
        _metric(
            "mail_probe_pending_messages",
            "gauge",
            "probe",
            "Messages of the probe that were sent and neither arrived nor are lost.",
        ),
        _metric(
            "mail_probe_last_success_timestamp_seconds",
            "gauge",
            "probe",
            "End of the probe's last cycle that succeeded, in seconds since the epoch.",
        ),
        _metric(
            "mail_probe_certificate_expiry_timestamp_seconds",
            "gauge",
            "probe",
            "When the first certificate of the server's chain expires, or did, in seconds since the epoch; also where"
            " it is refused.",
        ),
        _metric(
            "mail_probe_mailbox_certificate_expiry_timestamp_seconds",
            "gauge",
            "probe",
            "The same of the server that has the probe's mailbox (IMAP, POP3), where it is spoken to over TLS.",
        ),
        _metric(
            "mail_probe_failure_info",
            "gauge",
            "probe phase reason",
            "Always 1; where and why the probe's last cycle failed, absent while it succeeds.",
        ),
        _metric(
            "mail_probe_authentication_result",
            "gauge",
            "probe check result",
            "Always 1; what the receiver's Authentication-Results said of the last message that arrived (spf, dkim,"
            " dmarc, arc), and whether we find our own DKIM signature good (own_signature).",
        ),
        _metric(
            "mail_probe_spam_score",
            "gauge",
            "probe",
            "What the receiver's spam filter gave the last message that arrived, by the filter's own scale.",
        ),
        _metric(
            "mail_probe_spam_flagged",
            "gauge",
            "probe",
            "Whether the receiver's spam filter called the last message that arrived spam.",
        ),
        _metric(
            "mail_probe_hop_seconds",
            "gauge",
            "probe hop",
            "Time that the last message that arrived took to each server on its way, the first is 1; by clocks set"
            " right as far as can be told.",
        ),
        _metric(
            "mail_probe_hop_clock_skew_seconds",
            "gauge",
            "probe hop",
            "By how much the clock of a server on the way is ahead, behind where it is negative; 0 where it fits.",
        ),
        _metric(
            "mail_probe_hop_tls_info",
            "gauge",
            "probe hop protocol",
            "Always 1; the version of TLS that each server on the way said it got the last message with, none, or"
            " unknown where it only said that there was TLS.",
        ),
        _metric(
            "mail_probe_dns_check",
            "gauge",
            "probe check",
            "Whether what the DNS says of the domain or its addresses is valid: mx, a, ptr, fcrdns, spf, dkim, dmarc,"
            " mta_sts, tls_rpt, tlsa. Absent where nobody can tell.",
        ),
        _metric(
            "mail_probe_dnsbl_listed",
            "gauge",
            "probe zone",
            "Whether a block list has one of the addresses, or the domain. Absent where the list does not pass its"
            " own test.",
        ),
        _metric(
            "mail_probe_refused",
            "gauge",
            "probe check",
            "Whether the server refused what it has to refuse: open_relay, forged_sender, plaintext_auth, vrfy,"
            " smuggling, old_tls. Absent where nobody can tell.",
        ),
        _metric(
            "mailstat_log_lines_total",
            "counter",
            "source mta outcome",
            "Lines read: parsed, ignored (known, of no use), unknown, malformed.",
        ),
        _metric("mailstat_log_read_bytes_total", "counter", "source", "Bytes read from the log."),
        _metric("mailstat_log_rotations_total", "counter", "source", "Rotations of the log that were followed."),
        _metric("mailstat_log_truncations_total", "counter", "source", "Times that the log was cut to nothing."),
        _metric("mailstat_log_skipped_bytes_total", "counter", "source", "Bytes that were lost or too long to read."),
        _metric(
            "mailstat_log_dropped_messages_total",
            "counter",
            "source",
            "Messages that the host had no room for before they could be read: only syslog over UDP loses such.",
        ),
        _metric(
            "mailstat_log_source_restarts_total",
            "counter",
            "source",
            "Times that a source died, and began anew behind where it was: a line was of a kind nobody foresaw,"
            " journalctl ended, a port was not free.",
        ),
        _metric("mailstat_log_lag_bytes", "gauge", "source", "Bytes of the log that are not read yet."),
        _metric(
            "mailstat_log_lag_seconds",
            "gauge",
            "source",
            "Age of the last line read while there is more to read, else 0.",
        ),
        _metric("mailstat_log_source_up", "gauge", "source", "Whether the log can be read."),
        _metric(
            "mailstat_log_last_event_timestamp_seconds",
            "gauge",
            "source",
            "Time stamp of the last line read, in seconds since the epoch.",
        ),
        _metric(
            "mailstat_messages_dropped_total",
            "counter",
            "",
            "Messages in flight that the tracker let go: too many or too old.",
        ),
        _metric(
            "mailstat_series_dropped_total",
            "counter",
            "metric",
            "Observations that were counted as other since their label value did not fit into the series budget.",
        ),
        _metric(
            "mailstat_state_last_save_successful",
            "gauge",
            "",
            "Whether the last attempt to write the state to disk succeeded.",
        ),
        _metric(
            "mailstat_config_last_reload_successful",
            "gauge",
            "",
            "Whether the configuration was accepted, and the web configuration with the files that it names.",
        ),
        _metric("mailstat_build_info", "gauge", "version", "Always 1; the version that runs."),
    )
)
