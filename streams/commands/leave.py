"""`funnelwatch leave INSTANCE…`: takes members out of their groups, so that the others get their partitions at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.errors import NoError

from schemas.errors import ConfigError, SinkError
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.topics import SINK, WORKER, admin, group

REASON = "funnelwatch leave"


@click.command("leave")
@click.argument("instances", nargs=-1, required=True, metavar="INSTANCE…")
@settings_options
def leave(instances: tuple[str, ...], config: Path | None, pairs: tuple[str, ...]) -> None:
    """Tell Kafka that the workers or sinks INSTANCE (their kafka.instance_id) will not come back.

    A worker that ends keeps its partitions for kafka.session_timeout, so that a restart moves nothing. After scaling in,
    this hands them to the others at once. One that still runs comes back by itself.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        with admin(settings.kafka) as client:
            groups = [group(settings.kafka, role) for role in (WORKER, SINK)]
            known = {name: members(client, name) for name in groups}
            for instance in instances:
                for name in groups_of(instance, known):
                    remove(client, name, instance)
                    click.echo(f"{instance} has left {name}")


def members(client: KafkaAdminClient, name: str) -> tuple[str, ...]:
    """The instances that the group `name` has."""
    described = client.describe_groups([name])
    found = [member["group_instance_id"] for one in described.values() for member in one["members"]]
    return tuple(sorted(filter(None, found)))


def groups_of(instance: str, known: dict[str, tuple[str, ...]]) -> list[str]:
    """The groups that have `instance`. Raises ConfigError if none has."""
    found = [name for name, names in known.items() if instance in names]
    if not found:
        listed = ", ".join(sorted({name for names in known.values() for name in names})) or "none"
        raise ConfigError("INSTANCE", f"no group has a member {instance!r}", f"members with a name: {listed}")
    return found


def remove(client: KafkaAdminClient, name: str, instance: str) -> None:
    """Removes one member. Raises SinkError."""
    answers: Sequence[type[Exception]] = list(
        client.remove_group_members(name, [MemberToRemove(group_instance_id=instance, reason=REASON)]).values()
    )
    for answer in answers:
        if answer is not NoError:
            raise SinkError(f"Kafka does not let {instance} leave {name} ({answer.__name__})")
