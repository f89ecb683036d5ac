"""What signs mail by DKIM and logs it: one file for each, found by listing this folder. Each offers `SIGNER`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from parsers.signature import Signer

SIGNERS: dict[str, Signer] = {
    program: signer
    for signer in (import_module(f"{__name__}.{module.name}").SIGNER for module in iter_modules(__path__))
    for program in signer.programs
}
"""By the names that they log by."""
