"""`funnelwatch report NAME`: the report of `batch`, from ClickHouse."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from schemas.durations import parse_duration
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.report import Report
from schemas.tally import dimension_indexes
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.queries import read_report, versions_with_attempts
from streams.commands.configuration import find_funnel, read_settings, settings_options, user_errors
from streams.report_csv import report_csv
from streams.terminal import json_text, print_report


@click.command("report")
@click.argument("name")
@settings_options
@click.option("--since", help='Attempts that entered since then: "24h", "7d", or a date such as 2026-03-01 (UTC).')
@click.option(
    "--by", multiple=True, metavar="DIMENSION", help="Break down by this dimension; may be given several times."
)
@click.option("--json", "as_json", is_flag=True, help="JSON, at full precision.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV, one line for each stage and value.")
def report(
    name: str,
    config: Path | None,
    pairs: tuple[str, ...],
    since: str | None,
    by: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
) -> None:
    """The funnel NAME as ClickHouse has it: rates, drop-offs and their reasons, times, revenue."""
    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    with user_errors():
        settings = read_settings(config, pairs)
        funnel = find_funnel(settings, name)
        dimension_indexes(funnel, by)
        since_ms = None if since is None else since_time(since, int(time.time() * 1000))
        client = connect(settings.clickhouse)
        try:
            found = read_report(client, funnel, since_ms, by)
            if not found.attempts:
                _tell_of_other_versions(client, funnel)
        finally:
            client.close()
    show_report(found, as_json=as_json, as_csv=as_csv)


def show_report(report: Report, *, as_json: bool = False, as_csv: bool = False) -> None:
    """Writes `report` to standard output: drawn, as JSON (one document, indented), or as CSV."""
    if as_json:
        click.echo(json_text(report.document()))
    elif as_csv:
        click.echo(report_csv(report), nl=False)
    else:
        print_report(report, Console(file=sys.stdout))


def since_time(text: str, now: int) -> int:
    """The time (ms UTC) that `text` means: a duration before `now`, or an ISO date or time (without a zone: UTC).

    Raises ConfigError.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return max(0, now - parse_duration(text, "--since"))
        except ConfigError as error:
            raise ConfigError(
                "--since", f"{text!r} is neither a duration nor a date", 'write one such as "24h", "7d" or 2026-03-01'
            ) from error
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, int(aware.timestamp() * 1000))


def _tell_of_other_versions(client: Client, funnel: Funnel) -> None:
    others = [version for version in versions_with_attempts(client, funnel.name) if version != funnel.version]
    if others:
        click.echo(
            f"ClickHouse has attempts of other versions of {funnel.name!r} ({', '.join(others)}), and none of the "
            f"version in the definitions ({funnel.version}): it was changed, and begins with no history.",
            err=True,
        )
