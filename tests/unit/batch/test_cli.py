"""The command group: what it lists, and how errors, interrupts and closed pipes end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from schemas.errors import FunnelwatchError
from streams import cli
from streams.engine.usual import COMPILED


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_each_command_is_there_under_its_name(name: str) -> None:
    command = cli.cli.get_command(click.Context(cli.cli), name)
    assert command is not None
    assert command.name == name
    assert command.help


def test_help_lists_all_commands_and_imports_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.exit_code(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in cli.COMMANDS)
    look = "import sys; from streams.cli import exit_code; exit_code(['--help']); print('HEAVY', [m for m in ('faust', 'clickhouse_connect', 'rich', 'aiokafka') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("HEAVY []\n")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.exit_code(["--version"]) == 0
    how = "compiled" if COMPILED else "pure"
    assert capsys.readouterr().out == f"funnelwatch, version {version('funnelwatch')}, {how}\n"


def test_version_says_that_the_compiled_part_is_left_out() -> None:
    look = "from streams.cli import exit_code; exit_code(['--version'])"
    environment = os.environ | {"FUNNELWATCH_PURE": "1"}
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == f"funnelwatch, version {version('funnelwatch')}, pure\n"


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.exit_code(["bach"]) == 2
    assert "No such command 'bach'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error,code,said",
    [
        (FunnelwatchError("kafka: is away; start it"), 2, "Error: kafka: is away; start it\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (click.Abort(), 130, ""),
        (click.exceptions.Exit(2), 2, ""),
    ],
)
def test_how_a_command_ends(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    @click.command("check")
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda *_: broken)
    assert cli.exit_code(["check"]) == code
    assert capsys.readouterr().err == said


def test_a_closed_pipe_is_quiet() -> None:
    program = "import sys, click, streams.cli as c\n@click.command('check')\ndef noise():\n    [click.echo('x' * 1000) for _ in range(1000)]\nc.LazyGroup.get_command = lambda *_: noise\nsys.argv[1:] = ['check']\nc.main()"
    running = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stderr is not None
    running.stdout.readline()
    running.stdout.close()
    assert running.stderr.read() == b""
    running.stderr.close()
    assert running.wait(30) == 1


def test_an_interrupt_ends_with_130_and_without_a_traceback(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "streams.cli", "batch", str(tmp_path / "pipe"), "--stages", "view"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[3],
        # Where the tests run in the background, shells have them ignore Ctrl-C, and their children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - it starts no thread
    )  # fmt: skip
    try:
        with (tmp_path / "pipe").open("wb"):  # opens once the command waits for the pipe's content
            running.send_signal(signal.SIGINT)
            output, said = running.communicate(timeout=60)
    finally:
        running.kill()
        running.wait()
    assert running.returncode == 130
    assert (output, said.strip()) == (b"", b"")
