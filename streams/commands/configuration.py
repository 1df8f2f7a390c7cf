"""What commands share: where the settings come from, which funnel is meant, and how a user's mistake ends a command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import click

from schemas.definitions.funnels import load_funnels
from schemas.errors import ConfigError, FunnelwatchError
from schemas.funnel import Funnel
from schemas.settings import Settings, find_settings, load_settings
from streams.commands.check import parse_overrides

F = TypeVar("F", bound=Callable[..., Any])


class Refused(click.ClickException):
    """A command that can't do what was asked: its message on standard error, exit code 2."""

    exit_code = 2


def settings_options(command: F) -> F:
    """Adds `--config FILE` and `--set KEY=VALUE`, as `config` and `pairs`."""
    pairs = click.option(
        "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting, such as clickhouse.user=marketing."
    )
    path = click.Path(path_type=Path)
    return click.option("--config", type=path, help="The settings file (default: funnelwatch.toml here).")(
        pairs(command)
    )


@contextmanager
def user_errors() -> Iterator[None]:
    """Ends the command with the error's own line, and no traceback."""
    try:
        yield
    except FunnelwatchError as error:
        raise Refused(str(error)) from error


def read_settings(config: Path | None, pairs: Sequence[str] = ()) -> Settings:
    """The settings of file, environment and flags. Raises ConfigError."""
    return load_settings(find_settings(config, os.environ, Path()), os.environ, parse_overrides(pairs))


def find_funnel(settings: Settings, name: str) -> Funnel:
    """The funnel `name` of the definitions. Raises ConfigError if there is none."""
    funnels = load_funnels(settings.funnels)
    for funnel in funnels:
        if funnel.name == name:
            return funnel
    names = [funnel.name for funnel in funnels]
    near = get_close_matches(name, names, 1)
    remedy = f"did you mean {near[0]!r}?" if near else f"it has: {', '.join(names) or 'no funnel'}"
    raise ConfigError(str(settings.funnels), f"has no funnel {name!r}", remedy)
