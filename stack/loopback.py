"""The addresses of the outside world, on the loopback device alone."""

from __future__ import annotations

from pathlib import Path

from stack.ground import absent, run

NETWORKS = ("198.51.100.192/26", "203.0.113.192/26")


def missing() -> list[str]:
    """The programs that this needs and that are not here."""
    return absent("ip", "unshare", "mount")


def route(folder: Path) -> None:
    """Route the networks to the loopback device, as ip-route(8) does with `local`; note those that were not."""
    there = run("ip", "route", "show", "table", "local")
    for network in NETWORKS:
        if f"local {network} dev lo" in there:
            continue
        run("ip", "route", "add", "local", network, "dev", "lo")
        with (folder / "routes").open("a") as noted:
            noted.write(f"{network}\n")


def unroute(folder: Path) -> None:
    """Take away the routes that were noted."""
    noted = folder / "routes"
    there = run("ip", "route", "show", "table", "local")
    for network in noted.read_text().split() if noted.exists() else ():
        if f"local {network} dev lo" in there:
            run("ip", "route", "del", "local", network, "dev", "lo")
    noted.unlink(missing_ok=True)
