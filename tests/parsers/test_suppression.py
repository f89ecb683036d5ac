"""Nobody should stop writing to an address for a reply that is about the sender, his host or his login."""

from __future__ import annotations

import pytest

from parsers.reason import reason_of
from parsers.reply import read_reply

DEAD = {"user_unknown", "mailbox_disabled", "domain_not_found", "no_mx"}


@pytest.mark.parametrize(
    "text",
    [
        "550 The address 203.0.113.7 is not registered with our whitelist",
        "554 The user isn't allowed to relay through this host",
        "550 unknown client, your host is not registered",
        "550 invalid user of this relay",
        "550 account of the sender is not valid",
        "550 Mail from an unknown mailbox provider is refused",
        "550 HELO user does not exist in DNS",
        "550 mail from non-existent domain is not accepted",
        "550 We don't know your domain: it does not exist",
        "550 Your mail address could not be verified: unknown mailbox",
        "550 unknown error",
        "550 invalid message: address in From unknown",
        "554 5.7.1 user authentication invalid",
        "550 no such account for SMTP login",
        "550 invalid recipient limit for this user",
        "550 5.7.1 The domain of the sender is unknown",
        "550 rejected: the recipient system has you on an unknown hosts list",
        "554 invalid IP address format in HELO",
        "550 Message with invalid address in To header",
        "550 mailbox server is unknown state",
        "451 user database not available",
        "550 your account does not exist here, log in first",
        "550 The sending user does not exist",
        "421 domain temporarily disabled: too many messages",
        "550 message refused, client address no longer trusted",
        "550 account limit for your domain expired",
        "554 Unable to verify that user kim may send: not found",
        "550 reverse lookup: host not found",
        "550 client host name not found",
        "550 Connection from unknown host rejected",
        "553 your domain is unknown to us",
        "550 no such local sender",
        "550 Originator address does not exist",
        "550 DKIM: no such key for domain",
        "550 SPF: domain does not exist",
        "554 no MX for the domain in From",
        "550 Postmaster of your domain does not exist",
        "550 sending domain does not resolve",
        "554 Return-path mailbox does not exist",
        "550 unauthenticated user unknown, please log in",
        "550 The license of this domain has expired",
    ],
)
def test_it_is_no_word_on_the_recipient(text: str) -> None:
    code, dsn = read_reply(text)
    assert reason_of(text, code, dsn, None) not in DEAD
