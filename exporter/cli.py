"""`mailstat_exporter`: the service's command line."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from time import monotonic, time
from typing import TYPE_CHECKING

from exporter import compat
from exporter.config import Config, JournalSource, LogSource, StdinSource, load_config
from exporter.door.door import Door
from exporter.door.reception import MOST, Reception
from exporter.extra import missing_extras
from exporter.finder import find_logs, has_journal, read_error
from exporter.log import LEVELS, configure
from exporter.pipeline import Pipeline, settle
from exporter.queues.attempt import next_attempt
from exporter.queues.place import find_queues, places, sources
from exporter.schema import InvalidError
from exporter.state import InUseError
from exporter.web import ListenError, application, serve
from parsers import __version__

if TYPE_CHECKING:
    from exporter.probes.end import LogEnds
    from exporter.probes.inspector import Inspector
    from exporter.probes.prober import Prober

logger = logging.getLogger(__name__)

ADDRESS = ":9587"
DEMO_RATE = 5.0  # messages a second
DEMO_ROTATION = 180.0  # seconds
_BACK = 1 << 20  # bytes of each log that tell who signs mail, where a domain is looked at once


def parser() -> argparse.ArgumentParser:
    """The command line, in Prometheus' style."""
    made = argparse.ArgumentParser(
        prog="mailstat_exporter",
        description="Follows the logs of mail servers and serves what they tell as Prometheus metrics.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add(
        "--config.file",
        dest="config_file",
        type=Path,
        metavar="FILE",
        help="without it, what is found is followed",
    )
    add(
        "--config.check",
        dest="check",
        action="store_true",
        help="name all that is wrong with the file, and end",
    )
    add(
        "--web.listen-address",
        dest="addresses",
        action="append",
        metavar="HOST:PORT",
        help=f"where to listen, also unix:/PATH; may be repeated (default {ADDRESS})",
    )
    add(
        "--web.config.file",
        dest="web_config_file",
        type=Path,
        metavar="FILE",
        help="TLS, client certificates and passwords, in the form of Prometheus' exporters",
    )
    add(
        "--web.max-connections",
        dest="connections",
        type=_count,
        default=MOST,
        metavar="N",
        help="so many connections at once; who waits longest without a request goes first (default %(default)s)",
    )
    add("--web.telemetry-path", dest="path", default="/metrics", metavar="PATH", help="default %(default)s")
    add(
        "--state.dir",
        dest="state_dir",
        type=Path,
        metavar="DIR",
        help="where to remember how far the logs are read (default $STATE_DIRECTORY, else /var/lib/mailstat)",
    )
    add(
        "--compat",
        action="append",
        choices=compat.names(),
        default=[],
        help="show the metrics under the names of this exporter as well; may be repeated",
    )
    add("--log.level", dest="level", default="info", choices=tuple(LEVELS), help="default %(default)s")
    add("--log.format", dest="format", default="logfmt", choices=("logfmt", "json"), help="default %(default)s")
    add(
        "--demo",
        nargs="?",
        const="yes",
        choices=("yes", "auto"),
        help="follow a made-up Postfix log that grows; auto: only where this host has no mail log",
    )
    add(
        "--probe.once",
        dest="probe_once",
        metavar="NAME",
        help="run one probe, print what is said, wait for its mail, and end",
    )
    add("log", nargs="?", type=_standard_input, metavar="-", help="read standard input, and no other log")
    add("--version", action="version", version=f"mailstat_exporter {__version__}")
    return made


def main(argv: list[str] | None = None) -> int:
    """Run the service. Returns the exit status: 0 ended on request, 1 could not start, 2 wrong usage."""
    _fill_standard_descriptors()
    options = parser().parse_args(argv)
    configure(options.level, options.format)
    with _hangups_held():
        try:
            return _run(options)
        except KeyboardInterrupt:
            return 130


def _fill_standard_descriptors() -> None:
    """Where whoever starts us has closed them, what is opened next would be taken for standard input or output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest that is free, and so this one


@contextlib.contextmanager
def _hangups_held() -> Iterator[None]:
    """Until somebody listens for it, SIGHUP waits: by itself it would end whoever is asked to read a file again."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _run(options: argparse.Namespace) -> int:
    try:
        config = _configured(options)
        door = Door(options.web_config_file, monotonic)
    except InvalidError as error:
        sys.stderr.writelines(f"{line}\n" for line in error.errors)
        return 1
    if options.check and (missing := missing_extras(config)):
        sys.stderr.writelines(f"{options.config_file}: {line}\n" for line in missing)
        return 1
    if options.check:
        sys.stdout.write(f"{options.config_file or 'the default configuration'}: good\n")
        if options.web_config_file:
            sys.stdout.write(f"{options.web_config_file}: good\n")
        return 0
    _learn(config)
    if options.probe_once is not None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # the terminal is gone: so is who waits there
        return _probe_once(config, options)
    with contextlib.ExitStack() as stack:
        try:
            demo = _demo_log(options, config, stack)
            asyncio.run(_serve(options, _with_sources(config, demo), demo, door))
        except (ListenError, InUseError, ValueError) as error:
            sys.stderr.write(f"mailstat_exporter: {error}\n")
            return 1
    return 0


def _configured(options: argparse.Namespace) -> Config:
    """What the file says, and the command line above it. Raises ConfigError."""
    config = load_config(options.config_file) if options.config_file else Config()
    return replace(config, sources=(LogSource(stdin=StdinSource()),)) if options.log else config


def _probe_once(config: Config, options: argparse.Namespace) -> int:
    """Run one probe for whoever waits at the terminal: 0 where it succeeds, else 1; 2 where there is none."""
    from exporter.probes.end import LogEnds  # noqa: PLC0415 - only where there are probes
    from exporter.probes.once import once  # noqa: PLC0415
    from exporter.probes.prober import Prober  # noqa: PLC0415

    logs = [file for source in config.sources if (file := getattr(source, "file", None))] or find_logs()
    others = [it.name for it in config.posture] + [it.name for it in config.negative]
    if options.probe_once in others:
        return _inspect_once(config, options.probe_once, LogEnds(logs, time, back=_BACK))
    probe = next((probe for probe in config.probes if probe.name == options.probe_once), None)
    if probe is None:
        names = ", ".join([*(probe.name for probe in config.probes), *others]) or "none"
        sys.stderr.write(f"mailstat_exporter: no probe of this name is configured; there are: {names}\n")
        return 2
    logging.getLogger("exporter.probes").setLevel(logging.ERROR)  # what is logged is shown, with all that was said
    with contextlib.closing(Prober((probe,), None)) as prober:
        prober.next_attempt = partial(next_attempt, places(_with_queues(config).queues))
        try:
            is_well = asyncio.run(once(prober, probe, LogEnds(logs, time), _write))
        except KeyboardInterrupt:
            return 130
    return 0 if is_well else 1


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _inspect_once(config: Config, name: str, logs: LogEnds) -> int:
    """Look at a domain or a server once: 0 where all is as it should be, else 1."""
    from exporter.probes.inspector import inspect_once  # noqa: PLC0415 - only where it is configured

    try:
        lines, is_good = asyncio.run(inspect_once(config, name, logs))
    except ImportError as error:
        sys.stderr.write(f"mailstat_exporter: posture: install mailstat[posture] ({error})\n")
        return 1
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0 if is_good else 1


def _learn(config: Config) -> None:
    """Put the operator's own rules and providers into force, and say what of the configuration cannot work."""
    for line in missing_extras(config):
        logger.warning("a part of the configuration cannot work", extra={"error": line})
    if config.reasons or config.providers or "exporter.lore" in sys.modules:
        from exporter import lore  # noqa: PLC0415 - the rules are read only where somebody has more of them

        lore.install(config.reasons, config.providers)


def _demo_log(options: argparse.Namespace, config: Config, stack: contextlib.ExitStack) -> Path | None:
    """The file for the made-up log, where one is wanted. Raises ValueError."""
    has_log = config.sources or any(read_error(path) is None for path in find_logs()) or has_journal()
    if options.demo is None or (options.demo == "auto" and has_log):
        return None
    try:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mailstat-demo-")))
    except OSError as error:
        raise ValueError(f"--demo needs a folder to write in, as TMPDIR names one: {error}") from error
    options.state_dir = folder
    demo = folder / "mail.log"
    demo.touch()  # or the first thing that is said of it is that it is missing
    return demo


def _with_sources(config: Config, demo: Path | None) -> Config:
    """The configuration, with what this host has where it names no source."""
    if demo:
        logger.info("following a made-up log", extra={"path": demo})
        return replace(config, sources=(LogSource(file=demo),))
    config = _with_queues(config)
    if config.sources:
        return config
    found = find_logs()
    for path in found:
        error = read_error(path) or ""
        logger.log(logging.WARNING if error else logging.INFO, "found a log", extra={"path": path, "error": error})
    if not found and has_journal():
        logger.info("found mail in the systemd journal")
        return replace(config, sources=(LogSource(journal=JournalSource()),))
    if not found:
        logger.warning("no mail log found: name one in a configuration file, or try --demo")
    return replace(config, sources=tuple(LogSource(file=path) for path in found))


def _with_queues(config: Config) -> Config:
    """The configuration, with the queues that this host has where it names none."""
    return config if config.queues else replace(config, queues=sources(find_queues()))


def _state_dir(wanted: Path | None) -> Path:
    """The folder to write in: the wanted one, systemd's, the usual one."""
    return wanted or Path(os.environ.get("STATE_DIRECTORY") or "/var/lib/mailstat")


async def _serve(options: argparse.Namespace, config: Config, demo: Path | None, door: Door) -> None:
    """Follow and answer until SIGTERM or SIGINT."""
    from exporter.probes.inspector import Inspector  # noqa: PLC0415 - so that --help and --version are quick
    from exporter.probes.prober import Prober  # noqa: PLC0415 - so that --help and --version are quick

    state_dir = _state_dir(options.state_dir)
    with (
        contextlib.closing(Pipeline(config, state_dir)) as pipeline,
        contextlib.closing(Prober(config.probes, state_dir)) as prober,
    ):
        prober.next_attempt = partial(next_attempt, places(config.queues))
        await _follow(pipeline, prober, Inspector(config, pipeline.signatures), options, demo, door)


async def _follow(
    pipeline: Pipeline,
    prober: Prober,
    inspector: Inspector,
    options: argparse.Namespace,
    demo: Path | None,
    door: Door,
) -> None:
    from exporter.probes.page import ProbePage  # noqa: PLC0415 - so that --help and --version are quick

    loop = asyncio.get_running_loop()

    async def reload() -> list[str]:
        return _reload(pipeline, prober, inspector, options, demo)

    app = application(
        pipeline,
        options.path,
        reload,
        probe=ProbePage(prober).answer,
        compat=options.compat,
        probes=prober.views,
        door=door,
    )
    reception = await serve(app, options.addresses or [ADDRESS], options.connections)
    logger.info("listening", extra={"address": ", ".join(addresses(reception)), "version": __version__})
    pipeline.is_door_current = door.is_current
    pipeline.registry.register(prober)
    pipeline.registry.register(inspector)
    prober.arrivals.hooks.append(inspector.observe_arrival)
    pipeline.hooks.append(prober.follow)
    prober.is_log_read = pipeline.is_ready
    tasks = [loop.create_task(it.run()) for it in (pipeline, prober, inspector)]
    if demo:
        tasks.append(loop.create_task(_write_demo(demo)))
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, _stop, tasks)
    loop.add_signal_handler(signal.SIGHUP, _reload, pipeline, prober, inspector, options, demo)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
    settle()
    try:
        await asyncio.gather(*tasks)
    except asyncio.CancelledError:
        logger.info("ended on request")
    finally:
        _stop(tasks)
        await reception.cleanup()


def addresses(reception: Reception) -> list[str]:
    """Where it listens in the end: of `:9587` one for each family, of port 0 the one that was given."""
    return [_written(place) for place in reception.addresses]


def _written(place: str | tuple[str, int]) -> str:
    if isinstance(place, str):
        return f"unix:{place}"
    host, port, *_ = place
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _standard_input(text: str) -> str:
    if text != "-":
        raise argparse.ArgumentTypeError(
            f"a log stands in the file of --config.file, as: sources: [{{file: {text}}}]"
        )
    return text


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 7 and int(text)):
        raise argparse.ArgumentTypeError("expected a whole number from 1 on")
    return int(text)


def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def _write_demo(path: Path) -> None:
    from exporter.demo import write_demo  # noqa: PLC0415 - its tables are read only where they are wanted

    await write_demo(path, rate=DEMO_RATE, rng=Random(), clock=time, rotate_every=DEMO_ROTATION)  # noqa: S311 - a demo


def _reload(
    pipeline: Pipeline, prober: Prober, inspector: Inspector, options: argparse.Namespace, demo: Path | None
) -> list[str]:
    """Put the configuration file into force as it is now; a bad one leaves everything as it is."""
    path = options.config_file
    if path is None:
        return []
    try:
        config = _configured(options)
        _learn(config)
        config = _with_sources(config, demo)
        pipeline.configure(config)
        prober.configure(config.probes)
        prober.next_attempt = partial(next_attempt, places(config.queues))
        inspector.configure(config)
        errors = []
    except InvalidError as error:  # of the rules, too, where they changed since they were looked at
        errors = error.errors
    pipeline.was_reloaded = not errors
    for line in errors:
        logger.error("the configuration is refused", extra={"error": line})
    if not errors:
        logger.info("configuration reloaded", extra={"path": path})
    return errors
