"""Time zones: of this host, and by name."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo


def read_zone(name: str) -> tzinfo:
    """The zone of an IANA name. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path; a folder of zones
        raise ValueError(f"{name!r} is no time zone; say one like Europe/Berlin or UTC") from None


def host_zone(environment: Mapping[str, str] = os.environ, file: Path = Path("/etc/localtime")) -> tzinfo:
    """The zone of this host: TZ, then the host's file, with its rules for summer time; else today's offset."""
    try:
        if environment.get("TZ"):
            return read_zone(environment["TZ"].removeprefix(":"))
        with file.open("rb") as stream:
            return ZoneInfo.from_file(stream, key="localtime")
    except (ValueError, OSError):
        zone = datetime.now().astimezone().tzinfo  # asks for the host's zone
        assert zone is not None
        return zone
