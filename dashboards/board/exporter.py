"""Whether what the exporter says can be believed."""

from __future__ import annotations

from dashboards.layout import Board, Row
from dashboards.panel import BAD, GOOD, PLAIN, SMALL, THIRD, WARN, About, lines, number, rows
from dashboards.query import rate, ratio, select, total

_TARGET = 'job=~"$job", instance=~"$instance"'
_ALL_READ = "nothing of the kind happened"

BOARD = Board(
    "exporter",
    "Exporter",
    "Whether what the exporter says can be believed: lag, lines, series, resources.",
    ("mta",),
    (
        Row(
            "Now",
            (
                number(
                    About(
                        "Exporters up",
                        "Share of the exporters that can be scraped.",
                        "percentunit",
                        runbooks=("MailExporterDown",),
                        span=SMALL,
                        steps=((1, GOOD),),
                        base=BAD,
                    ),
                    f"avg({select('up')})",
                ),
                number(
                    About(
                        "Logs that can be read",
                        "Share of the sources.",
                        "percentunit",
                        runbooks=("MailLogUnreadable",),
                        span=SMALL,
                        steps=((1, GOOD),),
                        base=BAD,
                    ),
                    f"avg({select('mailstat_log_source_up')})",
                ),
                number(
                    About(
                        "Furthest behind",
                        "Age of the last line read of the log that is furthest behind.",
                        "s",
                        runbooks=("MailLogLag",),
                        span=SMALL,
                        steps=((60, WARN), (300, BAD)),
                    ),
                    f"max({select('mailstat_log_lag_seconds')})",
                ),
                number(
                    About(
                        "Not understood",
                        "Share of the lines of the last hour.",
                        "percentunit",
                        "no line was read in the last hour",
                        ("MailLogUnknownLines",),
                        SMALL,
                        ((0.01, WARN), (0.05, BAD)),
                    ),
                    f"max({select('source:mailstat_log_unread:ratio_rate1h')})",
                ),
                number(
                    About(
                        "Configuration, state",
                        "1 where everywhere the last file was accepted and the state is saved.",
                        runbooks=("MailConfigRefused", "MailStateNotSaved"),
                        span=SMALL,
                        steps=((1, GOOD),),
                        base=BAD,
                    ),
                    f"min({select('mailstat_config_last_reload_successful')}"
                    f" * {select('mailstat_state_last_save_successful')})",
                ),
                number(
                    About("Lines", "Read, a second.", "cps", span=SMALL, base=PLAIN),
                    total("", rate("mailstat_log_lines_total")),
                ),
            ),
        ),
        Row(
            "Reading",
            (
                lines(
                    About("Lines", "By outcome: parsed, ignored (of no use), unknown, malformed.", "cps"),
                    {"{{outcome}}": total("outcome", rate("mailstat_log_lines_total"))},
                    is_stacked=True,
                ),
                lines(
                    About(
                        "Not understood",
                        "Share of the lines that are unknown or malformed, by source.",
                        "percentunit",
                        "every line was understood",
                        ("MailLogUnknownLines",),
                        steps=((0.05, BAD),),
                    ),
                    {
                        "{{instance}} {{source}}": ratio(
                            total(
                                "instance, source",
                                rate("mailstat_log_lines_total", 'outcome=~"unknown|malformed"'),
                            ),
                            total("instance, source", rate("mailstat_log_lines_total")),
                        )
                    },
                ),
                lines(
                    About("Behind", "Age of the last line read while there is more.", "s", runbooks=("MailLogLag",)),
                    {"{{instance}} {{source}}": select("mailstat_log_lag_seconds")},
                ),
                lines(
                    About("Unread", "Bytes of the log that are not read yet.", "bytes", runbooks=("MailLogLag",)),
                    {"{{instance}} {{source}}": select("mailstat_log_lag_bytes")},
                ),
                lines(
                    About("Read", "Bytes of the log.", "Bps", span=THIRD),
                    {"{{instance}} {{source}}": rate("mailstat_log_read_bytes_total")},
                ),
                lines(
                    About("Since the last line", "Time since the time stamp of the last line read.", "s", span=THIRD),
                    {"{{instance}} {{source}}": f"time() - {select('mailstat_log_last_event_timestamp_seconds')}"},
                ),
                lines(
                    About(
                        "Rotations and losses",
                        "Rotations, cuts, sources begun anew, kibibytes and messages lost, an hour.",
                        "short",
                        _ALL_READ,
                        ("MailLogSkipped",),
                        THIRD,
                    ),
                    {
                        "rotated": f"3600 * {total('', rate('mailstat_log_rotations_total'))}",
                        "cut": f"3600 * {total('', rate('mailstat_log_truncations_total'))}",
                        "begun anew": f"3600 * {total('', rate('mailstat_log_source_restarts_total'))}",
                        "KiB lost": f"3600 / 1024 * {total('', rate('mailstat_log_skipped_bytes_total'))}",
                        "messages lost": f"3600 * {total('', rate('mailstat_log_dropped_messages_total'))}",
                    },
                ),
            ),
        ),
        Row(
            "Itself",
            (
                rows(
                    About("Versions", "Of each exporter.", span=THIRD),
                    select("mailstat_build_info"),
                    ("Value",),
                ),
                lines(
                    About(
                        "No room",
                        "Label values counted as other, by metric, and messages that were let go.",
                        "cps",
                        _ALL_READ,
                        ("MailSeriesBudgetReached", "MailMessagesDropped"),
                        THIRD,
                    ),
                    {
                        "{{metric}}": total("metric", rate("mailstat_series_dropped_total")),
                        "messages": total("", rate("mailstat_messages_dropped_total")),
                    },
                ),
                lines(
                    About("Series", "Samples on the page, as Prometheus counts them.", span=THIRD),
                    {"{{instance}}": f"scrape_samples_scraped{{{_TARGET}}}"},
                ),
                lines(
                    About("Processor", "Seconds of processor time a second.", "percentunit", span=THIRD),
                    {"{{instance}}": f"rate(process_cpu_seconds_total{{{_TARGET}}}[$__rate_interval])"},
                ),
                lines(
                    About(
                        "State saved", "1 where the last attempt to write the state to disk succeeded.", span=THIRD
                    ),
                    {"{{instance}}": select("mailstat_state_last_save_successful")},
                ),
                lines(
                    About("Memory", "Resident.", "bytes", span=THIRD),
                    {"{{instance}}": f"process_resident_memory_bytes{{{_TARGET}}}"},
                ),
            ),
        ),
    ),
)
