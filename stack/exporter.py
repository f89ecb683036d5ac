"""The exporter of the stack: both logs, both queues, and probes through both servers."""

from __future__ import annotations

import sys
import urllib.request

import yaml

from stack import process
from stack.ground import PATIENCE, Entry, is_listening
from stack.plan import (
    EXIM,
    PASSWORD,
    POSTFIX,
    POSTFIX_SUBMISSION,
    PROBE_USER,
    PROVIDERS,
    RESOLVER,
    STRANGERS,
    Plan,
    exchanger,
)
from stack.resolver import SENDER, ZONE
from stack.world import MAILDIR

NAME = "exporter"
COMMAND = "import sys; from exporter import cli; sys.exit(cli.main())"
# The same, but that it looks for new lines and at the queues more often.
QUICK = (
    "import sys; from exporter import cli, pipeline; from exporter.queues import watch;"
    " pipeline.POLL_SECONDS = 0.1; watch.EVERY = 1.0; sys.exit(cli.main())"
)
BUDGET = 6  # providers with a label of their own, one less than there are


def configure(plan: Plan) -> None:
    """Write its configuration, the providers and the probes' password."""
    folder = plan.folder / NAME
    (folder / "state").mkdir(parents=True)
    (folder / "password").write_text(PASSWORD)
    known = [
        {"name": it, "relays": [exchanger(f"{it}.example")], "domains": [f"{it}.example"], "evidence": "the stack's"}
        for it in PROVIDERS
    ]
    (folder / "providers.yml").write_text(yaml.safe_dump(known))
    every = 10 if plan.is_quick else 60  # no destination gets more than 120 an hour
    config = {
        "sources": [{"file": str(plan.postfix_log)}, {"file": str(plan.exim_log)}],
        "queues": [
            {"postfix": {"spool": str(plan.folder / "postfix/queue"), "service": "postfix"}},
            {"exim": {"spool": str(plan.folder / "exim/spool")}},
        ],
        "timezone": "UTC",
        "providers": str(folder / "providers.yml"),
        "labels": {"providers": BUDGET},
        # Few accounts send all: what would be suspicious elsewhere is usual here.
        "accounts": {"messages": 10_000, "recipients": 5_000, "clients": 1_000, "bounces": 100},
        "blocks": {"minutes": 0 if plan.is_quick else 5},
        "probes": _probes(plan, every),
        "resolver": {"servers": [RESOLVER.host]},
        "posture": [
            {"name": "sender", "domain": SENDER, "addresses": [POSTFIX.host], "zones": [ZONE], "every": "1m"},
        ],
        "negative": [
            {
                "name": "postfix",
                "server": POSTFIX.host,
                "domain": "here.example",
                "smtp_port": POSTFIX.port,
                "submission_port": POSTFIX_SUBMISSION.port,
                "source_address": STRANGERS[0],
                "smuggling": False,  # no message is to come from elsewhere than from clients
                "every": "5m",
            }
        ],
    }
    (folder / "mailstat.yml").write_text(yaml.safe_dump(config, sort_keys=False))


def _probes(plan: Plan, every: int) -> list[dict[str, object]]:
    submission = {
        "server": POSTFIX_SUBMISSION.host,
        "port": POSTFIX_SUBMISSION.port,
        "ca_file": str(plan.folder / "postfix/certificate.pem"),
        "server_name": "mx.here.example",
        "username": PROBE_USER,
        "password_file": str(plan.folder / NAME / "password"),
        "from": "probe@sender.example",
        "to": "probe@probe.example",
    }
    times = {"every": f"{every}s", "late_after": "20s", "lost_after": "60s"}
    arrive = {"maildir": str(plan.folder / MAILDIR), "every": "1s"}
    return [
        {"name": "postfix-roundtrip", **times, "send": submission, "arrive": arrive},
        {"name": "postfix-entrance", **times, "send": _entrance(POSTFIX)},
        {"name": "exim-entrance", **times, "send": _entrance(EXIM)},
    ]


def _entrance(entry: Entry) -> dict[str, object]:
    return {"server": entry.host, "port": entry.port, "tls": "opportunistic", "verify": False}


def start(plan: Plan) -> None:
    """Start it, for the first time or again."""
    if not (plan.folder / NAME).exists():
        configure(plan)
    folder, entry = plan.folder / NAME, plan.entry(NAME)
    options = ("--config.file", folder / "mailstat.yml", "--state.dir", folder / "state")
    command = (
        sys.executable,
        "-c",
        QUICK if plan.is_quick else COMMAND,
        *options,
        "--web.listen-address",
        str(entry),
    )
    process.start(plan.folder, NAME, command, lambda: is_listening(entry))


def end_probes(plan: Plan) -> None:
    """Send no more probes: reload a configuration without any."""
    file = plan.folder / NAME / "mailstat.yml"
    config = yaml.safe_load(file.read_text())
    for key in ("probes", "posture", "negative"):
        del config[key]
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    request = urllib.request.Request(f"{plan.url(NAME)}/-/reload", method="POST")  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        pass
