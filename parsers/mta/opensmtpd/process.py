"""What OpenSMTPD's processes say of themselves (log_warnx, fatal), and what they say when asked to.

With `-v` and `-T` the processes tell each other's messages, the users' credentials among them: nobody is shown those.
"""

from __future__ import annotations

from parsers.events import Origin, Problem
from parsers.shape import shape


def not_returned(time: float, origin: Origin, words: str, queue_id: str, rest: str) -> Problem:
    """A notification that its recipient's server refused, or that could not be made: nobody will be told."""
    text = f"{words} injecting failure report on message {queue_id} to {rest}"
    return Problem(time, origin, "warning", text, queue_id)


def broken(time: float, origin: Origin, words: str, text: str) -> Problem:
    """What a process could not do, and says without a word of how bad that is (log_warn, log_warnx)."""
    return Problem(time, origin, "warning", words + text)


def dead(time: float, origin: Origin, process: str, text: str) -> Problem:
    """The last words of a process (fatal, fatalx of log.c), behind its name."""
    return Problem(time, origin, "fatal", f"{process}: {text}")


def wrong_file(time: float, origin: Origin, path: str, words: str, text: str) -> Problem:
    """A file or a directory of ours that is not as it has to be."""
    return Problem(time, origin, "warning", f"{path} {words}{text}")


SHAPES = (
    # The failure of a notification has a line of its own.
    shape("warn: queue: {_:no return path!|double bounce!}", "warn: queue: no return path!"),
    # The answer that the client gets follows.
    shape("warn: loop detected", "warn: loop detected"),
    shape(
        "warn: {words:PermFail|TempFail} injecting failure report on message {queue_id} to {rest}",
        "warn: PermFail injecting failure report on message fedcba98 to <kim@example.com> for 1 envelope:"
        " 550 Invalid recipient: <kim@example.com>",
        not_returned,
    ),
    shape(
        "warn: {text}", "warn: lost child: pony express exited abnormally", Problem, general=True, severity="warning"
    ),
    shape("fatal: {text}", "fatal: smtpd: bind: Address already in use", Problem, severity="fatal"),
    shape("fatal in {text}", "fatal in queue: queue: chroot: No such file", Problem, severity="fatal"),
    shape(
        "queue: {text}",
        "queue: tempfail: failed to load envelope",
        Problem,
        general=True,
        severity="warning",
    ),
    shape(
        "queue: queue {_:compression|encryption} enabled",
        "queue: queue compression enabled",
    ),
    shape(
        "{process:pony express|dispatcher|klondike|crypto|control|processor|[priv]|smtpd}: {text}",
        "dispatcher: smtpd: bind: Address already in use",
        dead,
    ),
    # Others than these trace what they do under the same names.
    shape(
        "{process:lookup|scheduler}: {text:lka: |scheduler: |control: |table-proc: |imsg|msg |fatal}{_}",
        "lookup: table-proc: no services registered",
        dead,
    ),
    shape(
        "{words:getaddrinfo: |getnameinfo: |envelope: invalid|filter: datalen|io_dispatch_connect|SRS failed"
        "|mda_expand_format|fts_open: |mkdir: |chown: |chmod: |rmdir: |unlink: |stat: |rename: |snprintf: |cannot"
        " create"
        "|queue-proc: |failed to push|ca name |pki name |smtp_session_imsg|table-proc: |table-db: }{text}",
        "cannot create temporary file /tmp/smtpd.Xyz: No space left on device",
        broken,
    ),
    shape(
        "{path} {words:is not a directory|is not owned by|must be |invalid map entry|syntax error}{text}",
        "/var/spool/smtpd/offline must be rwxrwx--- (0770)",
        wrong_file,
        unkeyed=True,
    ),
    shape(
        "info: {words:Failed to update table|parse error in forward|forward file e}{text}",
        'info: Failed to update table "aliases"',
        broken,
    ),
    shape("info: {_}", "info: OpenSMTPD 7.6.0 starting", general=True),
    shape(
        "{_:debug|mproc|imsg|ramstat|scheduler|lookup|expand|smtp|mta|mda|lka|bounce|queue-backend|profile-imsg|filter|"
        "stat}: {_}",
        "debug: lka: authenticating for creds:kim",
        general=True,
    ),
    shape("filters {_}", "filters init type=builtin, name=rbl, hooks=00000001"),
    shape("{_} filters {_}", "0123456789abcdef filters session-begin"),
    shape("proxy {_} event={_}", 'proxy 0x12345678 event=closed address=203.0.113.7 reason="protocol error"'),
    shape("rule #{_}", "rule #1 matched: match from any for domain example.com action local"),
    shape("commands executed from aliases run with {_}", "commands executed from aliases run with smtpd privileges"),
    shape("terminated; signal {_}", "terminated; signal 15"),
    shape("Exiting", "Exiting"),
)
