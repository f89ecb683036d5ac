"""What became of an attempt: the texts of qmail-remote and qmail-local, all from their sources (documented), and of
patches where a comment says so."""

from __future__ import annotations

import pytest

from parsers.events import Delivery, Origin
from parsers.mta.qmail.delivery import FAILURES, REPORTS, read_failure
from tests import reading

ORIGIN = Origin("qmail", "mail.example.com", "qmail", "qmail")


def read(message: str) -> Delivery:
    event = reading.read(message, ORIGIN)
    assert isinstance(event, Delivery)
    return event


def test_a_remote_success() -> None:
    event = read(
        "delivery 7: success: 192.0.2.25_accepted_message./Remote_host_said:_250_2.0.0_Ok:_queued_as_4dHvRr2Z/"
    )
    assert event == Delivery(
        1.0,
        ORIGIN,
        "7",
        None,
        "sent",
        "outbound",
        relay_ip="192.0.2.25",
        reply_code=250,
        reply="250 2.0.0 Ok: queued as 4dHvRr2Z",
        new_queue_id="4dHvRr2Z",
    )


@pytest.mark.parametrize(
    ("before", "ip"),
    [
        ("192.0.2.25", "192.0.2.25"),
        ("2001:db8::25", "2001:db8::25"),
        ("(kim@example.org)_192.0.2.25", "192.0.2.25"),  # VERP
        (
            "User_and_password_not_set,_continuing_without_authentication./192.0.2.25",
            "192.0.2.25",
        ),  # qmail-remote-auth
        ("300.0.2.25", None),
        ("mx.example.org", None),
    ],
)
def test_the_address_of_the_host_that_took_it(before: str, ip: str | None) -> None:
    assert read(f"delivery 7: success: {before}_accepted_message./Remote_host_said:_250_ok/").relay_ip == ip


@pytest.mark.parametrize(
    ("text", "new_queue_id"),
    [
        ("250_OK_id=1xUpUs-0000000024t-37JL/", "1xUpUs-0000000024t-37JL"),
        ("250_ok_1795284304_qp_4711/", None),
        ("250_2.0.0_OK__1795284304_a1b2c3_-_gsmtp/", None),
    ],
)
def test_the_id_at_the_next_hop(text: str, new_queue_id: str | None) -> None:
    event = read(f"delivery 7: success: 192.0.2.25_accepted_message./Remote_host_said:_{text}")
    assert event.new_queue_id == new_queue_id
    assert event.reply_code == 250


@pytest.mark.parametrize(
    ("text", "reply"),
    [("did_1+0+0/", "did 1+0+0"), ("did_0+1+0/qp_31067/", "did 0+1+0/qp 31067"), ("", "")],
)
def test_a_local_success(text: str, reply: str) -> None:
    event = read(f"delivery 7: success: {text}")
    assert event == Delivery(1.0, ORIGIN, "7", None, "sent", "local", reply=reply)


REFUSED = "192.0.2.25_does_not_like_recipient./Remote_host_said:_"
GIVING_UP = "/Giving_up_on_192.0.2.25./"
CONNECTED = "Connected_to_192.0.2.25_but_"


@pytest.mark.parametrize(
    ("text", "phase", "code", "dsn", "reason", "reply"),
    [
        (
            REFUSED + "550_5.1.1_<kim@example.org>:_User_unknown" + GIVING_UP,
            *("rcpt", 550, "5.1.1", "user_unknown", "550 5.1.1 <kim@example.org>: User unknown"),
        ),
        (
            REFUSED + "550_sorry,_no_mailbox_here_by_that_name._(#5.1.1)" + GIVING_UP,
            *("rcpt", 550, "5.1.1", "user_unknown", "550 sorry, no mailbox here by that name. (#5.1.1)"),
        ),
        (
            REFUSED + "450-4.2.0_Greylisted,_see/450_4.2.0_http://example.org/x/" + GIVING_UP,
            *("rcpt", 450, "4.2.0", "greylisted", "450-4.2.0 Greylisted, see 450 4.2.0 http://example.org/x"),
        ),
        (
            CONNECTED + "greeting_failed./Remote_host_said:_421_4.7.0_Too_many_connections/",
            *("banner", 421, "4.7.0", "rate_limited", "421 4.7.0 Too many connections"),
        ),
        (
            CONNECTED + "my_name_was_rejected./Remote_host_said:_501_Syntax_error_in_your_helo/",
            *("ehlo", 501, None, "rdns_helo", "501 Syntax error in your helo"),
        ),
        (
            CONNECTED + "sender_was_rejected./Remote_host_said:_553_5.1.8_Domain_of_sender_does_not_exist/",
            *("mail", 553, "5.1.8", "sender_rejected", "553 5.1.8 Domain of sender does not exist"),
        ),
        (
            "192.0.2.25_failed_on_DATA_command./Remote_host_said:_452_4.3.1_Out_of_memory/",
            *("data", 452, "4.3.1", "system_error", "452 4.3.1 Out of memory"),
        ),
        (
            "192.0.2.25_failed_after_I_sent_the_message./Remote_host_said:_554_5.7.1_spam/",
            *("end_of_data", 554, "5.7.1", "spam_content", "554 5.7.1 spam"),
        ),
        (
            CONNECTED + "connection_died._(#4.4.2)/",
            *(None, None, "4.4.2", "connection_failed", "Connected to 192.0.2.25 but connection died. (#4.4.2)"),
        ),
        (
            CONNECTED + "connection_died._Possible_duplicate!_(#4.4.2)/",
            *("end_of_data", None, "4.4.2", "connection_failed"),
            "Connected to 192.0.2.25 but connection died. Possible duplicate! (#4.4.2)",
        ),
        (  # the TLS patch
            "TLS_connect_failed:_certificate_verify_failed;_connecting_to_192.0.2.25./",
            *("starttls", None, None, "tls_failure"),
            "TLS connect failed: certificate verify failed; connecting to 192.0.2.25.",
        ),
    ],
)
def test_a_failure_at_a_remote_host(
    text: str, phase: str | None, code: int | None, dsn: str | None, reason: str, reply: str
) -> None:
    event = read(f"delivery 7: deferral: {text}")
    assert (event.status, event.direction, event.relay_ip) == ("deferred", "outbound", "192.0.2.25")
    assert (event.phase, event.reply_code, event.dsn, event.reason, event.reply) == (phase, code, dsn, reason, reply)


@pytest.mark.parametrize(
    ("text", "direction", "phase", "dsn", "reason"),
    [
        ("Sorry,_I_couldn't_find_any_host_named_a.test._(#5.1.2)/", "outbound", "dns", "5.1.2", "domain_not_found"),
        ("Sorry,_I_couldn't_find_any_host_by_that_name._(#4.1.2)/", "outbound", "dns", "4.1.2", "dns_failure"),
        ("CNAME_lookup_failed_temporarily._(#4.4.3)/", "outbound", "dns", "4.4.3", "dns_failure"),
        ("Sorry,_I_couldn't_find_a_mail_exchanger_or_IP_address._(#5.4.4)/", "outbound", "dns", "5.4.4", "no_mx"),
        (
            "Sorry._Although_I'm_listed_as_a_best-preference_MX_or_A_for_that_host,/it_isn't_in_my_control/locals_file,"
            "_so_I_don't_treat_it_as_local._(#5.4.6)/",
            *("outbound", "dns", "5.4.6", "loop"),
        ),
        (
            "Sorry,_I_wasn't_able_to_establish_an_SMTP_connection._(#4.4.1)/",
            *("outbound", "connect", "4.4.1", "connection_failed"),
        ),
        (
            "SMTP_cannot_transfer_messages_with_partial_final_lines._(#5.6.2)/",
            *("local", None, "5.6.2", "malformed_message"),
        ),
        ("Sorry,_no_mailbox_here_by_that_name._(#5.1.1)/", "local", None, "5.1.1", "user_unknown"),
        ("This_message_is_looping:_it_already_has_my_Delivered-To_line._(#5.4.6)/", "local", None, "5.4.6", "loop"),
        ("Unable_to_chdir_to_maildir._(#4.2.1)/", "local", None, "4.2.1", "system_error"),
        ("Uh-oh:_.qmail_file_is_writable._(#4.7.0)/", "local", None, "4.7.0", "system_error"),
        ("qmail-remote_crashed./", "local", None, None, "system_error"),
        ("Unable_to_switch_to_/home/kim:_access_denied._(#4.3.0)/", "local", None, "4.3.0", "system_error"),
        ("Unable_to_open_.qmail:_file_does_not_exist._(#4.3.0)/", "local", None, "4.3.0", "system_error"),
        ("Timeout_on_maildir_delivery._(#4.3.0)/", "local", None, "4.3.0", "system_error"),
        ("System_resources_temporarily_unavailable._(#4.3.0)/", "local", None, "4.3.0", "system_error"),
        ("user_is_over_quota/", "local", None, None, "mailbox_full"),  # vpopmail
    ],
)  # fmt: skip
def test_our_own_words(text: str, direction: str, phase: str | None, dsn: str | None, reason: str) -> None:
    event = read(f"delivery 7: failure: {text}")
    assert (event.status, event.direction) == ("bounced", direction)
    assert (event.phase, event.reply_code, event.dsn, event.reason) == (phase, None, dsn, reason)
    assert event.relay_ip is None


GAVE_UP = "I'm_not_going_to_try_again;_this_message_has_been_in_the_queue_too_long./"


@pytest.mark.parametrize(
    ("text", "reason", "reply"),
    [
        (
            CONNECTED + "greeting_failed./Remote_host_said:_421_4.7.0_Too_many_connections/",
            *("rate_limited", "421 4.7.0 Too many connections"),
        ),
        ("Unable_to_chdir_to_maildir._(#4.2.1)/", "system_error", "Unable to chdir to maildir. (#4.2.1)"),
        ("", "expired", "I'm not going to try again; this message has been in the queue too long."),
    ],
)
def test_an_expired_recipient_has_what_its_last_attempt_had(text: str, reason: str, reply: str) -> None:
    event = read(f"delivery 7: failure: {text}{GAVE_UP}")
    assert (event.status, event.reason, event.reply) == ("expired", reason, reply)


def test_a_mangled_report_is_deferred() -> None:
    event = read("delivery 7: report mangled, will defer")
    assert (event.status, event.reason, event.reply) == ("deferred", "system_error", "report mangled, will defer")


@pytest.mark.parametrize("number", ["7", "1.5"])
def test_indimail_names_the_queue_behind_the_text(number: str) -> None:
    event = read(f"delivery {number}: success: did_0+0+1/ queue5")
    assert (event.queue_id, event.reply) == (number, "did 0+0+1")


@pytest.mark.parametrize(
    "line",
    [
        "delivery 7: succ",
        "delivery 7",
        "delivery x: success: did_1+0+0/",
        "delivery : success: did_1+0+0/",
        "delivery 1.2.3: success: did_1+0+0/",
        "delivery 7: triumph: did_1+0+0/",
    ],
)
def test_a_cut_line_and_one_without_a_number_are_errors(line: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        reading.read(line, ORIGIN)


@pytest.mark.parametrize("code", ["099", "12", "999", "2xx"])
def test_an_impossible_code_is_none(code: str) -> None:
    event = read(f"delivery 7: success: 192.0.2.25_accepted_message./Remote_host_said:_{code}_ok/")
    assert event.reply_code is None
    event = read(f"delivery 7: failure: {REFUSED}{code}_no{GIVING_UP}")
    assert (event.reply_code, event.dsn) == (None, None)


def test_the_texts_that_are_kept_are_bounded() -> None:
    for number in range(3 * REPORTS):
        read(f"delivery {number}: failure: Sorry,_no_{number}/")
    assert len(FAILURES) <= REPORTS
    assert FAILURES["Sorry,_no_1/"] == read_failure("Sorry,_no_1/")
