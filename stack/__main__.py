"""`python -m stack up|down [FOLDER]`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path

from stack import control
from stack.plan import EXIM, EXIM_SUBMISSION, PASSWORD, POSTFIX, POSTFIX_SUBMISSION, USER, Plan
from stack.webhook import FILE

FOLDER = Path("/var/tmp/mailstat-stack")  # noqa: S108 - mail servers that are not root have to enter it


def main() -> int:
    """Start or end; the exit status is 1 where that cannot be."""
    parser = ArgumentParser(prog="python -m stack", description=sys.modules["stack"].__doc__)
    parser.add_argument("what", choices=("up", "down"))
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER, help="default %(default)s")
    parser.add_argument("--quick", action="store_true", help="rules, routes and scrapes sixty times as fast")
    options = parser.parse_args()
    try:
        return _up(options.folder, options.quick) if options.what == "up" else _down(options.folder)
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1


def _up(folder: Path, is_quick: bool) -> int:
    if needed := control.missing():
        print(f"not here: {', '.join(needed)} (tools/mail_servers.sh and .ci/run fetch them)", file=sys.stderr)
        return 1
    if folder.exists():
        print(f"{folder} is there already: make stack-down ends what runs in it", file=sys.stderr)
        return 1
    print(_addresses(control.up(folder, is_quick=is_quick, is_kept=True)))
    return 0


def _down(folder: Path) -> int:
    if not (folder / "plan.json").exists():
        print(f"no stack runs in {folder}", file=sys.stderr)
        return 1
    print(f"ended: {', '.join(control.down(folder)) or 'nothing ran any more'}")
    return 0


def _addresses(plan: Plan) -> str:
    rows = {
        "exporter": plan.url("exporter"),
        "Prometheus": plan.url("prometheus"),
        "Alertmanager": plan.url("alertmanager"),
        "Postfix": f"{POSTFIX}, submission {POSTFIX_SUBMISSION}, log {plan.postfix_log}",
        "Exim": f"{EXIM}, submission {EXIM_SUBMISSION}, log {plan.exim_log}",
        "account": f"{USER}@here.example (Exim: {USER}), password {PASSWORD!r}",
        "alerts": f"{plan.folder / FILE}, a line for each that somebody is told",
        "faults": f"{plan.faults}: touch spray, crowd, old-tls, silence; see stack/fault.py",
    }
    return "\n".join(f"{name:13} {text}" for name, text in rows.items())


if __name__ == "__main__":
    sys.exit(main())
