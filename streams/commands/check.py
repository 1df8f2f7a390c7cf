"""`funnelwatch check`: what is wrong with settings and definitions, or what will run. Connects to nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from schemas.decode import load_mapping
from schemas.definitions import load_funnels
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.problems import Problems
from schemas.settings import Settings, find_settings, load_settings
from streams.commands.overview import overview

_WRONG = 2  # exit code: the user's files are wrong


def checked(
    config: Path | None, definitions: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]
) -> list[str]:
    """The lines that say what will run with these settings and definitions (None: those that the settings name).

    Raises ConfigError, or ConfigErrors with all mistakes of settings, definitions and mappings.
    """
    problems = Problems()
    nothing: tuple[Funnel, ...] = ()
    settings = problems.caught(Settings(), load_settings, config, environ, overrides)
    path = definitions or settings.funnels
    if definitions is not None or not problems:  # with broken settings, nobody knows where the definitions are
        funnels = problems.caught(nothing, load_funnels, path)
    if not problems:
        problems.caught(None, settings.calendar.check, funnels)
    for source in settings.sources:
        if source.mapping is not None:
            problems.caught(None, load_mapping, source.mapping)
    problems.raise_any()
    return overview(settings, funnels, [str(file) for file in (config, path) if file is not None])


def parse_overrides(pairs: Sequence[str]) -> dict[str, str]:
    """`section.key=value` texts of a repeated flag as a mapping. Raises ConfigError."""
    overrides = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ConfigError("flag --set", "has no value", "write --set kafka.servers=broker:9092")
        overrides[key.strip()] = value
    return overrides


@click.command()
@click.argument("definitions", metavar="[FUNNELS.TOML]", required=False, type=click.Path(path_type=Path))
@click.option("--config", type=click.Path(path_type=Path), help="The settings file (default: funnelwatch.toml here).")
@click.option(
    "--set", "pairs", multiple=True, metavar="KEY=VALUE", help="A setting, such as kafka.servers=broker:9092."
)
def check(definitions: Path | None, config: Path | None, pairs: tuple[str, ...]) -> None:
    """Say what is wrong with settings and funnel definitions, or what will run.

    Reads files and the environment only: no Kafka and no ClickHouse is needed. Exit code 2 if anything is wrong.
    """
    try:
        path = find_settings(config, os.environ, Path())
        lines = checked(path, definitions, os.environ, parse_overrides(pairs))
    except ConfigError as error:
        click.echo(str(error), err=True)
        raise click.exceptions.Exit(_WRONG) from None
    click.echo("\n".join(lines))
