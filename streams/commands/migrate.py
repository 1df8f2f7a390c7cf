"""`funnelwatch migrate`: makes or brings up to date the tables in ClickHouse."""

from __future__ import annotations

from pathlib import Path

import click

from sinks.clickhouse.migrate import Layout, bring_up_to_date, ddl
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.rights import grant_statements


@click.command("migrate")
@settings_options
@click.option("--print", "only_print", is_flag=True, help="Print the SQL and run nothing.")
def migrate(config: Path | None, pairs: tuple[str, ...], only_print: bool) -> None:
    """Makes the database and its tables, or brings them up to date. Safe to run again."""
    with user_errors():
        settings = read_settings(config, pairs)
        if only_print or not settings.create:
            click.echo(ddl(settings.clickhouse.database, Layout.of(settings.clickhouse)), nl=False)
            click.echo("\n-- What the sink and `report` need (all commands: `funnelwatch rights`):")
            for command in ("run --only sink", "report"):
                for statement in grant_statements(command, settings.clickhouse):
                    click.echo(f"-- {statement};")
            return
        applied = bring_up_to_date(settings.clickhouse)
    for migration in applied:
        click.echo(f"applied {migration.name}")
    if not applied:
        click.echo(f"database {settings.clickhouse.database} is up to date")
