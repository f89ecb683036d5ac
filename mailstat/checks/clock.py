"""Whether the host's clock is kept, and the times of the logs are in the zone that we take them to be in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mailstat.account import quoted
from mailstat.host import Finding, Host

_QUARTER = 900.0  # seconds: zones differ by these
_SLACK = 120.0  # seconds between a line and the change of its file
_FURTHEST = 14 * 3600.0  # from UTC
_KEEPERS = ("run/systemd/timesync/synchronized", "run/chrony/chronyd.pid", "run/chronyd.pid", "run/ntpd.pid",
            "run/ntp.pid", "run/openntpd.pid")  # fmt: skip
_CONTAINERS = ("run/.containerenv", ".dockerenv")


def check(host: Host) -> Iterator[Finding]:
    """The clock, then each log."""
    yield _kept(host)
    for log in host.logs:
        try:
            changed, told = log.stat().st_mtime, host.look(log).last_time
        except OSError:
            continue
        if told:
            yield _of_log(host, log, changed, told)


def _kept(host: Host) -> Finding:
    if host.has(*_CONTAINERS):
        return Finding("good", "clock", "a container has the clock of its host")
    if host.has(*_KEEPERS):
        return Finding("good", "clock", "it is kept by a time server")
    text = "nothing is found that keeps it: times of delivery, and of probes, will be wrong"
    if host.has("usr/lib/systemd/systemd-timesyncd", "lib/systemd/systemd-timesyncd"):
        return Finding("warning", "clock", text, "timedatectl set-ntp true")
    return Finding("warning", "clock", text, "apt-get install --yes chrony || dnf install --assumeyes chrony")


def _of_log(host: Host, log: Path, changed: float, told: float) -> Finding:
    """What a line says, against when the file changed: the system's own time, which has no zone."""
    name, ahead = host.shown(log), told - changed
    quarters = round(ahead / _QUARTER)
    is_zone = quarters and abs(ahead - quarters * _QUARTER) <= _SLACK and abs(ahead) <= _FURTHEST + _SLACK
    if is_zone:
        zone = str(host.zone_of(log))
        text = f"its times are {_hours(quarters * _QUARTER)} {'ahead' if ahead > 0 else 'behind'} when read as {zone}"
        return Finding("error", name, text, _zone(host, name, quarters * _QUARTER))
    if ahead > _SLACK:
        text = f"its last line is from {ahead:.0f} seconds after the file was changed"
        return Finding("warning", name, text, "date --iso-8601=seconds && timedatectl status")
    return Finding("good", name, "the times of its lines are those of the host")


def _zone(host: Host, name: str, ahead: float) -> str:
    """The setting that takes so many seconds away; where the hours are whole, with the zone that has that offset."""
    config = host.config_file or Path("/etc/mailstat.yml")
    hours, rest = divmod(ahead, 3600.0)
    # POSIX: Etc/GMT-2 is two hours east of Greenwich. What is a half hour off has no such name.
    zone = f"Etc/GMT{-hours:+.0f}" if not rest and hours else "UTC"
    if rest or str(host.zone_of(Path(name))) != "UTC":
        return f"timedatectl list-timezones # and then: timezone: ZONE in {quoted(config)}"
    return f"printf 'timezone: {zone}\\n' >> {quoted(config)}"


def _hours(seconds: float) -> str:
    return f"{abs(seconds) / 3600:g} hours"
