"""Programs from Debian: what is installed, or else the package, unpacked beside the data."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from subprocess import CalledProcessError, run

DATA = Path(__file__).parent / "data"
UNPACKED = DATA / "peers"
SEARCH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


class MissingError(Exception):
    """A program that is not here and that Debian's archive did not give us."""


def program(name: str, *packages: str) -> Path:
    """The program of that name, from `packages` where it is not installed. Raises MissingError."""
    installed = shutil.which(name, path=SEARCH)
    return Path(installed) if installed else file(f"usr/*bin/{name}", *packages)


def file(pattern: str, *packages: str) -> Path:
    """A file that `packages` bring, by its path from the root. Raises MissingError."""
    for root in (Path("/"), UNPACKED):
        for found in root.glob(pattern):
            return found
    _unpack(packages)
    for found in UNPACKED.glob(pattern):
        return found
    raise MissingError(f"{pattern} is not in {', '.join(packages)}")


def perl_path() -> str:
    """Where perl finds the modules that were unpacked."""
    return os.pathsep.join(str(path) for path in (UNPACKED / "usr/share/perl5", *UNPACKED.glob("usr/lib/*/perl5/*")))


def _unpack(packages: tuple[str, ...]) -> None:
    downloads = UNPACKED / "deb"
    downloads.mkdir(parents=True, exist_ok=True)
    try:
        for package in packages:
            if not any(downloads.glob(f"{package}_*.deb")):
                run(["apt-get", "download", package], cwd=downloads, check=True, capture_output=True)  # noqa: S603, S607
            (archive, *_) = downloads.glob(f"{package}_*.deb")
            run(["dpkg", "-x", str(archive), str(UNPACKED)], check=True, capture_output=True)  # noqa: S603, S607
    except (OSError, CalledProcessError) as error:
        raise MissingError(f"{package} could not be had from Debian's archive: {error}") from error
