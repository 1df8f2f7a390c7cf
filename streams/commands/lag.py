"""`funnelwatch lag`: how far worker and sink are behind."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from schemas import topics as names
from schemas.definitions import load_funnels
from schemas.settings import Settings
from schemas.topics import feeds
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.topics import SINK, WORKER, admin, group, lags


@click.command("lag")
@settings_options
def lag(config: Path | None, pairs: tuple[str, ...]) -> None:
    """Show how many records worker and sink have not worked on yet, by topic and partition."""
    with user_errors():
        settings = read_settings(config, pairs)
        table = Table("process", "topic", "partition", "behind", box=None, pad_edge=False)
        with admin(settings.kafka) as client:
            for role, topics in reads(settings).items():
                found = lags(client, group(settings.kafka, role), topics)
                for place, behind in sorted(found.items()):
                    shown = "nothing read yet" if behind is None else f"{behind:,}"
                    table.add_row(role, place.topic, str(place.partition), shown)
    Console().print(table)


def reads(settings: Settings) -> dict[str, list[str]]:
    """The topics that each process reads."""
    prefix = settings.kafka.topic_prefix
    sources = [source.topic for source in settings.sources]
    logs = [feed.topic for feed in feeds(settings.sources, load_funnels(settings.funnels), prefix) if not feed.direct]
    stored = sources if settings.clickhouse.events else []
    return {
        WORKER: [*sources, *logs],
        SINK: [names.transitions(prefix), names.dead_letters(prefix), names.annotation_log(prefix), *stored],
    }
