"""What is watched for the operator in the stream of events: providers that block us, accounts that are abused,
addresses that guess passwords.

What is found stands in gauges, in the time of the newest event: the same log gives the same answer when it is read
again. Names of accounts are for the service's log alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from exporter.metrics.series import Labels, family
from parsers import account, attack, onset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client.metrics_core import Metric as Family

    from exporter.config import Accounts, Blocks, Config
    from parsers.events import Auth, Delivery
    from parsers.message import Message

logger = logging.getLogger(__name__)


class Memory(msgspec.Struct, array_like=True):
    """What a Watch knows, to be stored."""

    now: float
    blocks: onset.Memory
    accounts: list[account.Memory]
    attacks: attack.Memory


class Watch:
    """Follows what has been counted. `arrival` is told of each message in the queue of somebody who authenticated,
    `failure` of each attempt to do so that failed."""

    def __init__(self) -> None:
        self.now = 0.0  # the newest event
        self._onset = onset.Onset()
        self._accounts = account.Accounts(on_told=_tell)
        self._attacks = attack.Attacks()
        self.arrival: Callable[[float, Message], None] = self._accounts.arrive
        self.failure: Callable[[Auth], object] = self._attacks.fail

    def configure(self, config: Config) -> None:
        """Judge by the settings of a configuration from now on."""
        self._onset.rule = _rule(config.blocks)
        self._accounts.limits = _limits(config.accounts)
        self._accounts.quotas = quotas(config.accounts)
        self._attacks.limits = attack.Limits(config.attacks.failures, config.attacks.users, config.attacks.blocks)

    def delivery(self, event: Delivery) -> None:
        """See one delivery."""
        if event.provider is not None:  # nobody else is known to block us
            self._onset.observe(event)
        message = event.message
        if message is not None and message.sasl_user:
            self._accounts.deliver(event, message)

    def memory(self) -> Memory:
        """What goes on in another process."""
        return Memory(self.now, self._onset.memory(), self._accounts.memory(), self._attacks.memory())

    def restore(self, memory: Memory) -> None:
        """Go on from there."""
        self.now = memory.now
        self._onset.restore(memory.blocks)
        self._accounts.restore(memory.accounts)
        self._attacks.restore(memory.attacks)

    def collect(self) -> Iterator[Family]:
        """The families of a scrape."""
        blocks = list(self._onset.blocks(self.now))
        states: dict[Labels, float] = {it[:3]: float(not it.is_over) for it in blocks}
        since: dict[Labels, float] = {it[:3]: it.since for it in blocks if not it.is_over}
        yield family("mail_provider_blocked", states)
        yield family("mail_provider_blocked_since_timestamp_seconds", since)
        yield from self._collect_attacks()
        review = self._accounts.review(self.now)
        yield family("mail_accounts_over_quota", {(): review.over_quota})
        yield family("mail_account_max_messages_per_hour", {(): review.most_messages})
        yield family("mail_accounts_suspicious", {(why,): number for why, number in review.suspicious.items()})

    def _collect_attacks(self) -> Iterator[Family]:
        addresses: dict[Labels, float] = {(kind,): 0.0 for kind in attack.KINDS}
        blocks = dict(addresses)
        for _, state in self._attacks.states(self.now):
            if state.kind:
                addresses[(state.kind,)] += state.addresses
                blocks[(state.kind,)] += 1
        yield family("mail_auth_attackers", addresses)
        yield family("mail_auth_attacker_blocks", blocks)


def _tell(name: str, why: str, number: float) -> None:
    """An operator has to know who it is; a label must not."""
    if why == "quota":
        logger.warning("an account is over its quota", extra={"account": name, "messages": number})
    else:
        logger.warning("an account is suspicious", extra={"account": name, "why": why, "number": number})


def _rule(config: Blocks) -> onset.Rule:
    seconds, silence = config.minutes * 60.0, config.silence_hours * 3600.0
    return onset.Rule(messages=config.messages, recovery=config.recovery, seconds=seconds, silence=silence)


def _limits(config: Accounts) -> account.Limits:
    return account.Limits(config.messages, config.surge, config.recipients, config.clients, config.bounces / 100)


def quotas(config: Accounts) -> account.Quotas:
    """The quotas of a configuration."""
    own = {str(it.of).lower(): account.Quota(it.messages, it.recipients) for it in config.quotas}
    return account.Quotas(account.Quota(config.quota.messages, config.quota.recipients), own)
