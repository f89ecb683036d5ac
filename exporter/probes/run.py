"""One run of a probe: the mail is made, sent, and what that showed is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from exporter.probes.dialogue import Dialogue
from exporter.probes.failure import Failure, ProbeError
from exporter.probes.hint import tell
from exporter.probes.message import Key, Mail, compose, new_id
from exporter.probes.section import Probe, SecretError, Send, secret
from exporter.probes.smtp import Client, Result


@dataclass(frozen=True)
class Outcome:
    """What a run showed; `mail` is None where none is sent."""

    result: Result
    mail: Mail | None
    dialogue: Dialogue


async def send_probe(
    probe: Probe,
    send: Send,
    key: Key,
    now: Callable[[], float],
    seconds: float | None = None,
    before: Callable[[Mail], None] | None = None,
) -> Outcome:
    """Run the dialogue of a probe to this server, within its timeout or the `seconds` given, if these are less.

    `before` is called with the mail before anything is sent; it may raise ProbeError, and then nothing is.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + min(probe.timeout, seconds or probe.timeout)
    dialogue = Dialogue(loop.time)
    mail = None
    try:
        password = secret(send.password_file, send.password_env)
        if send.to:
            mail = compose(probe.name, send, key, new_id(), now())
            if before:
                before(mail)
    except SecretError as error:
        return Outcome(_failed(dialogue, "auth", "no_secret", str(error)), mail, dialogue)
    except ProbeError as error:
        return Outcome(_failed(dialogue, "mail", error.reason, error.text), mail, dialogue)
    result = await Client(send, password, dialogue).run(mail.raw if mail else None, deadline)
    return Outcome(result, mail, dialogue)


def _failed(dialogue: Dialogue, phase: str, reason: str, text: str) -> Result:
    failure = Failure(phase, reason, text)
    tell(failure, dialogue)
    return Result(failure=failure)
