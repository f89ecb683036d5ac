"""What a configuration asks for that only an extra of the distribution can do."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.config import Config

_MODULES = {
    "posture": ("checkdmarc", "cryptography", "dkim", "dns", "spf"),
    "dkim": ("dkim",),
    "sink": ("aiosmtpd",),
}


def missing_extras(config: Config) -> list[str]:
    """A line for each part of a configuration that will not work as we are installed, with what mends it."""
    return [
        f"{place}: not without the extra: pip install 'mailstat[{extra}]'"
        for place, extra in _wanted(config)
        if not all(map(find_spec, _MODULES[extra]))
    ]


def _wanted(config: Config) -> Iterator[tuple[str, str]]:
    if config.posture:
        yield "posture", "posture"
    for number, probe in enumerate(config.probes):
        if probe.send.dkim:
            yield f"probes[{number}].send.dkim", "dkim"
        if probe.arrive and probe.arrive.sink:
            yield f"probes[{number}].arrive.sink", "sink"
