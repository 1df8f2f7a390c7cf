"""Where the shipped examples are, and a command line to call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.commands.batch import batch

ROOT = Path(__file__).parents[3]

Call = Callable[..., Result]


@pytest.fixture(scope="session")
def examples() -> Path:
    """The examples that come with the project."""
    return ROOT / "examples"


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Runs `funnelwatch batch` with these arguments in an empty folder, 80 columns wide; `input` is standard input."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "FUNNELWATCH_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object, input: bytes | None = None) -> Result:  # noqa: A002 - click's own word
        return CliRunner().invoke(batch, [str(argument) for argument in arguments], input=input)

    return run
