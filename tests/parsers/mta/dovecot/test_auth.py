"""What the authentication processes say of a try, alone and together with those that clients log in to."""

from __future__ import annotations

from collections import Counter
from datetime import UTC

import pytest

from parsers.clock import Clock
from parsers.events import Auth, Event, Origin
from parsers.mta.dovecot.session import SESSIONS, Sessions
from parsers.reader import LogReader, understand

ORIGIN = Origin("dovecot", "mail", "dovecot", "dovecot", 7)
NOW = 1795284304.0


def read_log(*lines: str) -> list[Event]:
    """The events of lines, each `second text`."""
    split = [line.partition(" ") for line in lines]
    text = "".join(f"Nov  1 00:00:{int(second):02} mail dovecot: {words}\n" for second, _, words in split)
    return LogReader(Clock(UTC, lambda: NOW)).read(text)


def counts(events: list[Event]) -> Counter[tuple[str, str]]:
    """Attempts by service and result."""
    found: Counter[tuple[str, str]] = Counter()
    for event in events:
        assert type(event) is Auth
        found[event.origin.service, event.result] += event.attempts
    return found


CLIENT = "user=<kim>, method=PLAIN, rip=192.0.2.7, lip=192.0.2.1, TLS, session=<Yx7+W8+I/o>"
LOGIN = f"imap-login: Login: {CLIENT}"


# --- clients of a mail server ---


@pytest.mark.parametrize(
    ("text", "user", "method", "reply"),
    [
        ("auth: passwd-file(kim,192.0.2.7): unknown user", "kim", None, "unknown user"),
        ("auth: Info: passwd-file(kim,192.0.2.7): Password mismatch", "kim", None, "Password mismatch"),
        ("auth: cram-md5(kim,192.0.2.7): Password mismatch", "kim", "CRAM-MD5", "Password mismatch"),
        (
            "auth: ldap(kim,192.0.2.7,): invalid credentials (given password: geheim)",
            "kim",
            None,
            "invalid credentials",
        ),
        (
            "auth: ldap(kim,192.0.2.7): Login attempt with empty password",
            "kim",
            None,
            "Login attempt with empty password",
        ),
        ("auth: deny(kim,192.0.2.7): User found from deny passdb", "kim", None, "User found from deny passdb"),
        ("auth: oauth2(kim,192.0.2.7): oauth2 failed: Token is expired", "kim", None, "oauth2 failed"),
        ("auth(default): pam(kim,192.0.2.7): pam_authenticate() failed: x", "kim", None, "pam_authenticate() failed"),
        ("dovecot: auth(default): sql(kim,192.0.2.7): unknown user", "kim", None, "unknown user"),
        ("auth-worker(304): sql(kim,192.0.2.7): Password mismatch (SHA1 of x: f6)", "kim", None, "Password mismatch"),
        (
            "auth-worker(5): conn unix:auth-worker (pid=2,uid=9): auth-worker<55>: pam(kim,192.0.2.7): unknown user",
            "kim",
            None,
            "unknown user",
        ),
        (
            "auth(kim,192.0.2.7,sasl:login): Info: sql: Password mismatch (given password: x)",
            "kim",
            "LOGIN",
            "Password mismatch",
        ),
        (
            "auth-worker(kim,192.0.2.7)<69>: request [1]: pam: pam_authenticate() failed: x",
            "kim",
            None,
            "pam_authenticate() failed",
        ),
        (
            "auth(?,192.0.2.7,sasl:plain): plain: Username character disallowed by auth_username_chars: 0x28",
            None,
            "PLAIN",
            "Username character disallowed",
        ),
        ("auth: sql(kim,rip=192.0.2.66,192.0.2.7): unknown user", "kim,rip=192.0.2.66", None, "unknown user"),
    ],
)
def test_a_client_without_a_session_is_one_of_a_mail_server(
    text: str, user: str | None, method: str | None, reply: str
) -> None:
    (event,) = read_log(f"0 {text}")
    assert isinstance(event, Auth)
    assert (event.result, event.client_ip, event.attempts) == ("failure", "192.0.2.7", 1)
    assert (event.sasl_user, event.sasl_method, event.reply) == (user, method, reply)
    assert (event.origin.service, event.origin.program) == (
        "smtp",
        text.removeprefix("dovecot: ").split("(")[0].split(":")[0],
    )


def test_a_password_in_a_line_is_not_in_its_event() -> None:
    (event,) = read_log("0 auth: sql(kim,192.0.2.7): Password mismatch (given password: geheim)")
    assert "geheim" not in repr(event)


def test_each_database_that_was_asked_speaks_of_the_same_try() -> None:
    tries = [
        f"{second} auth: {database}(kim,192.0.2.7): unknown user" for second in (0, 2) for database in ("pam", "sql")
    ]
    assert counts(read_log(*tries)) == {("smtp", "failure"): 2}
    assert counts(read_log(*(tries[0], tries[0]))) == {("smtp", "failure"): 2}


POSTFIX = (
    "Nov  1 00:00:0{second} mail postfix/smtpd[7]: connect from unknown[192.0.2.7]",
    "Nov  1 00:00:0{second} mail dovecot: auth: sql(kim,192.0.2.7): Password mismatch",
    "Nov  1 00:00:0{second} mail postfix/smtpd[7]: warning: unknown[192.0.2.7]: SASL PLAIN authentication failed: x",
)


def test_a_mail_server_tells_of_its_clients_itself() -> None:
    log = "".join(f"{line.format(second=second)}\n" for second in range(3) for line in POSTFIX)
    events = LogReader(Clock(UTC, lambda: NOW)).read(log)
    assert [event.origin.mta for event in events if type(event) is Auth] == ["postfix"] * 3
    (event, *_) = LogReader(Clock(UTC, lambda: NOW), mta="dovecot").read(log)
    assert event.origin.mta == "dovecot"


def test_a_mail_server_tells_of_its_clients_in_another_log() -> None:
    met: set[str] = set()
    dovecot = LogReader(Clock(UTC, lambda: NOW), met=met)
    assert len(dovecot.read(POSTFIX[1].format(second=0))) == 1
    LogReader(Clock(UTC, lambda: NOW), met=met).read(POSTFIX[0].format(second=0))
    assert dovecot.read(POSTFIX[1].format(second=1)) == []


@pytest.mark.parametrize(
    "text",
    [
        "auth: sql(kim): unknown user",
        "auth(kim): sql: unknown user",
        "auth: sql(kim,192.0.2.7): Allowed something",
        "auth-worker(12): Info: sql(kim,192.0.2.7): query took 3 seconds",
        "auth: ldap: connected",
        "auth: Debug: auth client connected (pid=17)",
    ],
)
def test_what_is_no_verdict_on_a_client_is_of_no_use(text: str) -> None:
    assert understand(text, 1.0, ORIGIN) == ("ignored", [])


@pytest.mark.parametrize("text", ["auth: sql(kim,192.0.2): unknown user", "auth: sql(a,b): unknown user"])
def test_an_address_that_is_none_is_malformed(text: str) -> None:
    assert understand(text, 1.0, ORIGIN) == ("malformed", [])


def test_what_libpam_says_beside_dovecot_is_of_no_use() -> None:
    line = "@4000000069055e0a077a9e94 dovecot-auth: pam_unix(dovecot:auth): authentication failure; rhost=192.0.2.7\n"
    reader = LogReader(Clock(UTC, lambda: NOW))
    assert reader.read(line) == []
    assert reader.tallies["dovecot"].ignored == 1


# --- clients of Dovecot itself ---

SESSION = "<Yx7+W8+I/o>"
OLD = f"auth: sql(kim,192.0.2.7,{SESSION}): Password mismatch"
NEW = f"auth(kim,192.0.2.7,sasl:plain){SESSION}: sql: Password mismatch"
OLD_WORKER = f"auth-worker(5): conn unix:w (pid=2,uid=9): auth-worker<55>: pam(kim,192.0.2.7,{SESSION}): unknown user"
NEW_WORKER = f"auth-worker(kim,192.0.2.7)<69>{SESSION}: request [1]: pam: unknown user"


@pytest.mark.parametrize("verdict", [OLD, NEW, OLD_WORKER, NEW_WORKER])
def test_a_failure_that_a_login_process_tells_of_counts_once(verdict: str) -> None:
    end = f"imap-login: Disconnected (auth failed, 2 attempts in 6 secs): {CLIENT}"
    assert counts(read_log(f"0 {verdict}", f"3 {verdict}", f"6 {end}")) == {("imap", "failure"): 2}
    assert read_log(f"0 {verdict}") == []


@pytest.mark.parametrize("verdict", [OLD, NEW, OLD_WORKER, NEW_WORKER])
def test_who_logs_in_at_last_has_failed_before(verdict: str) -> None:
    events = read_log(f"0 {verdict}", f"2 {verdict}", f"8 {LOGIN}")
    assert counts(events) == {("imap", "failure"): 2, ("imap", "success"): 1}
    failed = events[0]
    assert isinstance(failed, Auth)
    assert (failed.result, failed.client_ip, failed.sasl_user, failed.sasl_method) == (
        "failure",
        "192.0.2.7",
        "kim",
        "PLAIN",
    )


def test_a_database_that_does_not_know_the_user_is_no_failure_where_the_next_one_does() -> None:
    assert counts(read_log(f"0 {OLD_WORKER}", f"0 {LOGIN}")) == {("imap", "success"): 1}
    tries = (f"0 {OLD_WORKER}", f"0 {OLD}", f"3 {OLD_WORKER}", f"3 {OLD}", f"6 {OLD_WORKER}", f"6 {LOGIN}")
    assert counts(read_log(*tries)) == {("imap", "failure"): 2, ("imap", "success"): 1}


def test_a_session_is_forgotten_when_it_ends() -> None:
    end = f"imap-login: Disconnected (auth failed, 1 attempts in 2 secs): {CLIENT}"
    assert counts(read_log(f"0 {OLD}", f"2 {end}", f"9 {LOGIN}")) == {("imap", "failure"): 1, ("imap", "success"): 1}


def test_what_is_remembered_is_bounded() -> None:
    sessions = Sessions()
    for number in range(SESSIONS + 50):
        for text in (f"sql(kim,192.0.2.7,<{number}>)", f"sql(kim{number},192.0.2.7)"):
            sessions.join(understand(f"auth: {text}: unknown user", 1.0, ORIGIN)[1])
    assert len(sessions._tries) == len(sessions._clients) == SESSIONS
