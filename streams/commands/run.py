"""`funnelwatch run`: the worker and the sink, each a process of its own, restarted when one fails."""

from __future__ import annotations

import ctypes
import logging
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from schemas.definitions import load_funnels
from schemas.errors import SinkError, config_error_behind
from schemas.funnel import Funnel
from schemas.settings import Settings
from schemas.settings.keys import secrets_of
from streams import logs
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.memory import one_heap, spare_the_collector
from streams.topics import SINK, WORKER, Layout, prepare

log = logging.getLogger("funnelwatch.run")

ROLES = (WORKER, SINK)
WRONG = 2  # exit code: the user's settings are wrong, trying again is no use
#: Seconds before a process that failed is started again: doubled each time, forgotten once it has run for a while.
FIRST_PAUSE, LAST_PAUSE, STEADY = 1.0, 60.0, 60.0
#: Seconds that a process which has stopped may take to end.
LAST_WORDS = 5.0


@click.command("run")
@settings_options
@click.option("--only", type=click.Choice(ROLES), help="This process alone, in the foreground (one container each).")
@click.option("--supervised", is_flag=True, hidden=True)
def run(config: Path | None, pairs: tuple[str, ...], only: str | None, supervised: bool) -> None:
    """Follow the funnels: the worker, and the sink that writes into ClickHouse.

    Both end cleanly at SIGTERM or Ctrl-C; a second signal ends them at once.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        funnels = load_funnels(settings.funnels)
    logs.set_up(settings.log, secrets_of(settings))
    if only is None:
        sys.exit(supervise([command(role, config, pairs) for role in ROLES]))
    if supervised:
        die_with_parent()
    one_heap()  # before any thread has got one of its own, which the next thread would inherit
    with user_errors():
        start(only, settings, funnels, wait_for(lambda: prepare(settings, funnels)))


def command(role: str, config: Path | None, pairs: Sequence[str]) -> list[str]:
    """The command line of one role's process."""
    options = [] if config is None else ["--config", str(config)]
    options += [part for pair in pairs for part in ("--set", pair)]
    return [sys.executable, "-m", "streams.cli", "run", "--only", role, "--supervised", *options]


def wait_for(prepare_topics: Callable[[], Layout]) -> Layout:
    """Tries until Kafka answers, and says what it waits for."""
    pause = FIRST_PAUSE
    while True:
        try:
            return prepare_topics()
        except SinkError as error:
            log.warning("%s; trying again in %.0f s", error, pause)
            time.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)


def start(role: str, settings: Settings, funnels: tuple[Funnel, ...], layout: Layout) -> None:
    """Runs one role until it is told to stop."""
    from streams.stream.faust_fixes import BoundedWorker

    if role == WORKER:
        from streams.worker import build

        app = build(settings, funnels, layout).app
        spare_the_collector()
    else:
        from streams.sink import build as build_sink

        app = build_sink(settings, funnels, layout)
    process = BoundedWorker(app, override_logging=False, redirect_stdouts=False, quiet=True)
    process.spinner = None  # it would write terminal codes into the log
    try:
        process.execute_from_commandline()
    except SystemExit as ended:
        reason = config_error_behind(ended)
        code = ended.code if isinstance(ended.code, int) else 1
        process.limit(LAST_WORDS, "a thread did not end", code if reason is None else WRONG)
        if reason is None:
            raise
        raise reason from None  # one line and exit code 2: starting it again would not help


class Child(msgspec.Struct):
    """One supervised process."""

    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0


def supervise(commands: Sequence[list[str]]) -> int:
    """Keeps the processes running until a signal comes; returns the exit code."""
    children = [Child(command) for command in commands]
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: signals.append(received))
    told, outcome = 0, 0
    while True:
        if len(signals) > told:
            told = len(signals)
            for child in children:
                if child.process is not None and child.process.poll() is None:
                    child.process.send_signal(signal.SIGTERM if told == 1 else signal.SIGKILL)
        alive = [child for child in children if child.process is not None and child.process.poll() is None]
        if signals and not alive:
            return outcome
        if not signals:
            for child in children:
                if revive(child) == WRONG:
                    outcome = WRONG
                    signals.append(signal.SIGTERM)  # the next pass ends the other one; a signal after that kills it
                    break
        time.sleep(0.1)


def revive(child: Child) -> int | None:
    """Starts the process if it is due; returns the exit code of one that has just ended."""
    now = time.monotonic()
    code = None
    if child.process is not None:
        code = child.process.poll()
        if code is None:
            return None
        child.pause = FIRST_PAUSE if now - child.started > STEADY else min(child.pause * 2, LAST_PAUSE)
        child.process, child.due = None, now + child.pause
        if code != WRONG:
            log.error("the %s ended with code %s; starting it again in %.0f s", child.command[5], code, child.pause)
    if now >= child.due and code is None:
        child.process = subprocess.Popen(child.command, start_new_session=True)
        child.started = now
    return code


def die_with_parent() -> None:
    """On Linux: no process outlives the one that supervises it, however that one ends."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
