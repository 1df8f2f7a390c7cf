"""`funnelwatch topics`: the topics that funnelwatch needs, made or printed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from schemas.definitions import load_funnels
from schemas.funnel import Funnel
from schemas.settings import Kafka, Settings
from schemas.topics import created_topics, feeds
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.rights import kafka_commands
from streams.topics import SINK, WORKER, TopicSpec, admin, create, layout, partition_counts

ROLES = (WORKER, SINK)


@click.command("topics")
@settings_options
@click.option("--print", "only_print", is_flag=True, help="Print the commands that make them, and make nothing.")
def topics(config: Path | None, pairs: tuple[str, ...], only_print: bool) -> None:
    """Make the topics that are missing, or print how to make them."""
    with user_errors():
        settings = read_settings(config, pairs)
        funnels = load_funnels(settings.funnels)
        prefix = settings.kafka.topic_prefix
        names = [source.topic for source in settings.sources]
        names += created_topics(feeds(settings.sources, funnels, prefix), prefix)
        with admin(settings.kafka) as client:
            counts = partition_counts(client, names)
            _, specs = layout(settings, funnels, counts)
            missing = [spec for spec in specs if spec.name not in counts]
            if only_print or not settings.create:
                click.echo("\n".join(commands(missing, settings.kafka)) or "# all topics are there")
                click.echo("\n".join(permissions(settings, funnels)))
                return
            for spec in missing:
                create(client, spec, settings.kafka.replication_factor)
    for spec in specs:
        done = "made" if spec in missing else "there"
        click.echo(f"{done:<6}{spec.name}  {counts.get(spec.name, spec.partitions)} partitions")


def permissions(settings: Settings, funnels: Sequence[Funnel]) -> list[str]:
    """Kafka's own commands that allow worker and sink what they need."""
    principal = f"User:{settings.kafka.user or 'funnelwatch'}"
    return [
        line
        for role in ROLES
        for line in (f"# the {role}", *kafka_commands(f"run --only {role}", settings, funnels, principal))
    ]


def commands(specs: Iterable[TopicSpec], kafka: Kafka) -> list[str]:
    """Kafka's own commands that make these topics."""
    return [
        f"kafka-topics.sh --bootstrap-server {','.join(kafka.servers)} --create --topic {spec.name} "
        f"--partitions {spec.partitions} --replication-factor {kafka.replication_factor}"
        + "".join(f" --config {key}={value}" for key, value in spec.configs.items())
        for spec in specs
    ]
