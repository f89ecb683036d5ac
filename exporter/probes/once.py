"""`--probe.once NAME`: one run of a probe for whoever waits at the terminal, up to the arrival of its mail."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from exporter.probes.dialogue import Dialogue
from exporter.probes.hint import hint
from exporter.probes.mailbox import Mailbox, mailbox
from exporter.probes.status import whereabouts

if TYPE_CHECKING:
    from exporter.probes.end import LogEnds
    from exporter.probes.prober import Prober
    from exporter.probes.section import Arrive, Probe

_LOG_SECONDS = 0.5  # between two looks at the log
_FAILURES = 2  # to look into the mailbox, one after the other, before it is given up


async def once(prober: Prober, probe: Probe, ends: LogEnds, write: Callable[[str], object]) -> bool:
    """Run it, and wait for the mail as long as it is not late; whether all was well. `write` gets each line."""
    if probe.arrive is None:
        return await _send(prober, probe, write)
    dialogue = Dialogue(asyncio.get_running_loop().time, listener=lambda line: write(f"{line}\n"))
    box = mailbox(probe.arrive, dialogue)
    following = asyncio.create_task(_follow(prober, ends))
    try:
        write(f"looking into {where(probe.arrive)}\n")
        # Before anything is sent: what shall receive the mail must listen by then.
        is_well = await _look(prober, probe, box, write)
        return await _send(prober, probe, write) and await _wait(prober, probe, box, write, failures=not is_well)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        box.close()


def where(arrive: Arrive) -> str:
    """The kind of mailbox, in words."""
    if arrive.imap:
        return f"the mailbox at {arrive.imap.server} (IMAP)"
    if arrive.pop3:
        return f"the mailbox at {arrive.pop3.server} (POP3)"
    if arrive.hook:
        return f"what is posted to {arrive.hook.listen}"
    return "the log" if arrive.log else str(arrive.maildir or arrive.mbox or arrive.sink)


async def _send(prober: Prober, probe: Probe, write: Callable[[str], object]) -> bool:
    outcome = await prober.run_once(probe)
    result, failure = outcome.result, outcome.result.failure
    write(outcome.dialogue.text())
    seconds = f"{result.seconds:.3f} seconds"
    if failure:
        write(f"failed at {failure.phase} after {seconds}: {failure.reason}\n")
    else:
        write(f"{'sent' if outcome.mail else 'done'} in {seconds}\n")
    return failure is None


async def _follow(prober: Prober, ends: LogEnds) -> None:
    while True:
        prober.follow(ends.read())
        await asyncio.sleep(_LOG_SECONDS)


async def _look(prober: Prober, probe: Probe, box: Mailbox, write: Callable[[str], object]) -> bool:
    is_well = await prober.look(box, [probe])
    failure = prober.status(probe).mailbox
    if failure:
        write(f"cannot look there: {failure.reason}: {failure.text}\n")
        write(f"{what_to_do}\n" if (what_to_do := hint(failure)) else "")
    return is_well


async def _wait(prober: Prober, probe: Probe, box: Mailbox, write: Callable[[str], object], *, failures: int) -> bool:
    """Wait until the mail is there or late, or the mailbox cannot be looked into twice: who asks for a login again
    and again with the wrong password is locked out."""
    assert probe.arrive is not None, "there is something to wait for"
    write(f"waiting for the mail, up to {probe.late_after:g} seconds\n")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(probe.late_after):
            while prober.ledger.pending(probe.name):
                failures = 0 if await _look(prober, probe, box, write) else failures + 1
                if failures == _FAILURES:
                    break
                if failures:
                    await asyncio.sleep(probe.arrive.every)
                elif prober.ledger.pending(probe.name):
                    await box.wait(min(probe.arrive.every, _LOG_SECONDS))
    return _tell(prober, probe, write)


def _tell(prober: Prober, probe: Probe, write: Callable[[str], object]) -> bool:
    """What became of the mail; whether that is as it should be."""
    missing = prober.ledger.oldest(probe.name)
    status = prober.status(probe)
    if missing and status.mailbox:
        write(f"failed at arrival: {status.mailbox.reason}: it may have arrived, but nobody can look: ")
        write(f"{status.mailbox.text}\n")
        return False
    if missing:
        failure = prober.told(whereabouts(prober.ledger, missing.id, "late", "it has not arrived"))
        write(f"failed at arrival after {probe.late_after:g} seconds: {failure.reason}: {failure.text}\n")
        return False
    seconds = f"{status.arrival_seconds or 0.0:.3f} seconds after it was sent"
    if status.in_junk:
        write(f"failed at arrival: spam_folder: it is in the folder for junk, {seconds}\n")
        return False
    write(f"arrived {seconds}\n")
    return True
