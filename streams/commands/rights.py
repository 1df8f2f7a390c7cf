"""`funnelwatch rights`: the least that each command needs of Kafka and ClickHouse."""

from __future__ import annotations

from pathlib import Path

import click

from schemas.definitions import load_funnels
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.rights import COMMANDS, GRANTS, grant_statements, kafka_commands


@click.command("rights")
@click.argument("command", required=False, type=click.Choice(tuple(dict.fromkeys((*COMMANDS, *GRANTS)))))
@settings_options
@click.option("--principal", help="Kafka's name of the user (default: User: and kafka.user).")
def rights(command: str | None, config: Path | None, pairs: tuple[str, ...], principal: str | None) -> None:
    """List the ACLs and grants that a command needs (default: all), as Kafka's commands and as SQL. Connects to nothing."""
    with user_errors():
        settings = read_settings(config, pairs)
        funnels = load_funnels(settings.funnels)
    who = principal or f"User:{settings.kafka.user or 'funnelwatch'}"
    for name in dict.fromkeys((*COMMANDS, *GRANTS)) if command is None else (command,):
        click.echo(f"# funnelwatch {name}")
        for line in kafka_commands(name, settings, funnels, who):
            click.echo(line)
        for statement in grant_statements(name, settings.clickhouse):
            click.echo(f"{statement};")
