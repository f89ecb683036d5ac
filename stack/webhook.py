"""Whoever is told of alerts, as a process that writes down what it is told: `python -m stack.webhook FOLDER`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TextIO

from aiohttp import web

from stack import plan as plans
from stack import process
from stack.ground import is_listening
from stack.plan import Plan

NAME = "webhook"
FILE = "alerts.jsonl"


def start(plan: Plan) -> None:
    """Let it listen."""
    command = (sys.executable, "-m", "stack.webhook", plan.folder)
    process.start(plan.folder, NAME, command, lambda: is_listening(plan.entry(NAME)))


def told(plan: Plan) -> list[dict[str, str]]:
    """All that it was told: receiver, status (firing or resolved), when, and the labels of the alert."""
    file = plan.folder / FILE
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def application(out: TextIO) -> web.Application:
    """Takes what Alertmanager posts, a line for each alert."""

    async def take(request: web.Request) -> web.Response:
        told = await request.json()
        for alert in told["alerts"]:
            about = {"receiver": told["receiver"], "status": alert["status"], "startsAt": alert["startsAt"]}
            out.write(json.dumps({**about, **alert["labels"]}) + "\n")
        return web.Response()

    app = web.Application()
    app.router.add_post("/{receiver}", take)
    return app


def main() -> None:
    """Listen until ended."""
    plan = plans.load(Path(sys.argv[1]))
    with (plan.folder / FILE).open("a", buffering=1) as out:
        web.run_app(application(out), host=plan.entry(NAME).host, port=plan.entry(NAME).port, print=None)


if __name__ == "__main__":
    main()
