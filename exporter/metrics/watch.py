"""What is watched for the operator in the stream of events: providers that block us.

What is found stands in gauges, in the time of the newest event: the same log gives the same answer when it is read
again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.metrics.series import Labels, family
from parsers import onset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric as Family

    from exporter.config import Blocks, Config
    from parsers.events import Delivery


class Watch:
    """Follows what has been counted."""

    def __init__(self) -> None:
        self._onset = onset.Onset()

    def configure(self, config: Config) -> None:
        """Judge by the settings of a configuration from now on."""
        self._onset.rule = _rule(config.blocks)

    def delivery(self, event: Delivery) -> None:
        """See one delivery."""
        self._onset.observe(event)

    def collect(self) -> Iterator[Family]:
        """The families of a scrape."""
        blocks = list(self._onset.blocks())
        states: dict[Labels, float] = {it[:3]: float(not it.is_over) for it in blocks}
        since: dict[Labels, float] = {it[:3]: it.since for it in blocks if not it.is_over}
        yield family("mail_provider_blocked", states)
        yield family("mail_provider_blocked_since_timestamp_seconds", since)


def _rule(config: Blocks) -> onset.Rule:
    seconds, silence = config.minutes * 60.0, config.silence_hours * 3600.0
    return onset.Rule(messages=config.messages, recovery=config.recovery, seconds=seconds, silence=silence)
