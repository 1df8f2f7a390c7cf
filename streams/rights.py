"""The least that each command needs: ACLs of Kafka, grants of ClickHouse. What `topics --print` and `migrate --print` write is this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from shlex import quote

import msgspec

from schemas import topics as names
from schemas.funnel import Funnel
from schemas.settings import ClickHouse, Settings
from schemas.topics import feeds
from sinks.clickhouse.migrate import quote_name
from streams.topics import SINK, WORKER, group

TOPIC, GROUP = "topic", "group"
READ, WRITE, DESCRIBE, CREATE, CONFIGS = "Read", "Write", "Describe", "Create", "DescribeConfigs"
#: Commands that reach Kafka, in the order in which they are listed. `run` is two processes.
COMMANDS = (
    "inspect",
    "topics",
    "run --only worker",
    "run --only sink",
    "leave",
    "lag",
    "replay",
    "traffic",
    "annotate",
    "dead-letters list",
    "dead-letters replay",
    "forget",
    "seed",
)


class Acl(msgspec.Struct, frozen=True, order=True):
    """What must be allowed on one topic or group, or, if `prefixed`, on all whose name begins so."""

    resource: str
    name: str
    operations: tuple[str, ...]
    prefixed: bool = False

    def command(self, servers: Sequence[str], principal: str) -> str:
        """As Kafka's own command."""
        kind = " --resource-pattern-type prefixed" if self.prefixed else ""
        operations = "".join(f" --operation {operation}" for operation in self.operations)
        return (
            f"kafka-acls.sh --bootstrap-server {','.join(servers)} --add --allow-principal {quote(principal)}{operations} "
            f"--{self.resource} {self.name}{kind}"
        )


class Grant(msgspec.Struct, frozen=True):
    """A right in ClickHouse, on tables of its database; none: on the database itself."""

    right: str
    tables: tuple[str, ...] = ()

    def statements(self, clickhouse: ClickHouse) -> Iterator[str]:
        """As SQL."""
        database, user = quote_name(clickhouse.database), quote_name(clickhouse.user)
        cluster = f" ON CLUSTER {quote_name(clickhouse.cluster)}" if clickhouse.cluster else ""
        for table in self.tables or ("*",):
            yield f"GRANT{cluster} {self.right} ON {database}.{table} TO {user}"


def acls(command: str, settings: Settings, funnels: Sequence[Funnel]) -> tuple[Acl, ...]:
    """What a command needs of Kafka. With `create = false` nothing may be created."""
    kafka, prefix = settings.kafka, settings.kafka.topic_prefix
    found = feeds(settings.sources, funnels, prefix)
    sources = [source.topic for source in settings.sources]
    letters, transitions, drops = names.dead_letters(prefix), names.transitions(prefix), names.drop_offs(prefix)
    logs = [feed.topic for feed in found if not feed.direct]
    direct = [feed.topic for feed in found if feed.direct]
    states = [names.state_log(prefix, feed.unit) for feed in found]
    stored = sources if settings.clickhouse.events else []
    # Each process looks at the beginning whether all topics are there, and where new groups begin (`start = "latest"`).
    seen = [Acl(TOPIC, prefix, (DESCRIBE, CREATE) if settings.create else (DESCRIBE,), prefixed=True)]
    seen += topics(sources, DESCRIBE)
    groups = [Acl(GROUP, group(kafka, role), (READ, DESCRIBE)) for role in (WORKER, SINK)]
    known_groups = [Acl(GROUP, each.name, (DESCRIBE,)) for each in groups]
    written = topics([transitions, drops, letters], WRITE, DESCRIBE)
    baselines = names.baselines(prefix)
    announced = topics([names.annotation_log(prefix)], READ, DESCRIBE)
    needed: dict[str, list[Acl]] = {
        "topics": seen,
        "run --only worker": [
            *seen, *topics(sources, READ), *topics([*logs, *states, names.live(prefix)], READ, WRITE), *written, *announced,
            *topics([baselines], READ), *groups,
        ],
        "run --only sink": [
            *seen, *topics([*stored, transitions, letters], READ), *announced, *topics([baselines], WRITE), *groups,
        ],
        "inspect": topics(sources, READ, DESCRIBE),
        "leave": groups,
        "seed": [*seen, *topics([baselines], WRITE)],
        "lag": [*topics([*sources, *logs, transitions, letters], DESCRIBE), *known_groups],
        "replay": topics(sources, WRITE, DESCRIBE),
        "traffic": topics(sources, WRITE, DESCRIBE),
        "annotate": topics([names.annotation_log(prefix)], READ, WRITE, DESCRIBE),
        "dead-letters list": topics([letters], READ, DESCRIBE),
        "dead-letters replay": topics([*sources, letters], READ, WRITE, DESCRIBE),
        "forget": [
            *topics(sources, READ, DESCRIBE, CONFIGS), *topics(direct or sources[:1], WRITE), *topics([letters], READ, WRITE, DESCRIBE),
            *topics([*logs, transitions, drops], DESCRIBE, CONFIGS), *known_groups,
        ],
    }  # fmt: skip
    return tuple(needed.get(command, ()))


def topics(which: Iterable[str], *operations: str) -> list[Acl]:
    """The same on each topic."""
    return [Acl(TOPIC, name, operations) for name in dict.fromkeys(which)]


def merged(needed: Iterable[Acl]) -> list[Acl]:
    """One for each topic and group, with all that is needed of it."""
    found: dict[tuple[str, str, bool], dict[str, None]] = {}
    for acl in needed:
        found.setdefault((acl.resource, acl.name, acl.prefixed), {}).update(dict.fromkeys(acl.operations))
    return [Acl(resource, name, tuple(held), prefixed) for (resource, name, prefixed), held in found.items()]


_PERSONAL = ("transitions", "attempts", "events", "dead_letters")
#: What each command needs of ClickHouse. Views are read with the reader's own rights.
GRANTS: dict[str, tuple[Grant, ...]] = {
    "migrate": (Grant("CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP VIEW, SELECT, INSERT"),),
    "run --only sink": (
        Grant(
            "INSERT",
            ("transitions", "progress", "dead_letters", "events", "definitions", "annotations", "expectation_counts"),
        ),
        Grant("SELECT", ("transitions", "progress", "expectation_counts")),
    ),
    "seed": (Grant("SELECT, INSERT", ("expectation_counts",)),),
    "report": (
        Grant(
            "SELECT",
            ("attempts", "attempts_v", "transitions", "transitions_v", "progress", "progress_v", "definitions"),
        ),
    ),
    "dead-letters list": (Grant("SELECT", ("dead_letters", "dead_letters_v")),),
    "forget": (Grant("SELECT, ALTER DELETE", _PERSONAL),),
}


def kafka_commands(command: str, settings: Settings, funnels: Sequence[Funnel], principal: str) -> list[str]:
    """Kafka's own commands that allow a command what it needs."""
    return [acl.command(settings.kafka.servers, principal) for acl in merged(acls(command, settings, funnels))]


def grant_statements(command: str, clickhouse: ClickHouse) -> list[str]:
    """SQL that allows a command what it needs."""
    return [statement for grant in GRANTS.get(command, ()) for statement in grant.statements(clickhouse)]
