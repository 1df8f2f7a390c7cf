"""Where an experiment takes place: the broker, its topics, and the settings of the workers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from benchmarks.definitions import Walk
from benchmarks.product import free_port
from schemas import topics
from schemas.definitions import load_funnels
from schemas.funnel import Funnel
from schemas.settings import Kafka
from sinks.embedded.kafka import EmbeddedKafka

SOURCES = Path(__file__).parents[2]
#: Kafka's own time of the append, instead of the writer's: what latencies and pauses are measured against.
APPEND_TIME = {"message.timestamp.type": "LogAppendTime"}
MARKER = "marker"  # event, and name of the funnel of one stage that counts it


class Config(msgspec.Struct, frozen=True):
    """One worker's settings file, and where it and its sink listen."""

    path: Path
    port: int
    sink_port: int


class Site(msgspec.Struct, frozen=True):
    """What the processes of one experiment share: topics and groups that begin with `prefix`, the funnels, the settings."""

    home: Path
    servers: str
    prefix: str
    topic: str
    partitions: int
    settings: str

    @property
    def transitions(self) -> str:
        return topics.transitions(self.prefix)

    @property
    def group(self) -> str:
        """Of the workers."""
        return f"{self.prefix}worker"

    def config(self, number: int = 0) -> Config:
        """The settings of one more worker; the same file again is the same member of the group."""
        made = Config(self.home / f"worker-{number}.toml", free_port(), free_port())
        web = f'[web]\nlisten = "127.0.0.1:{made.port}"\nsink_listen = "127.0.0.1:{made.sink_port}"\n'
        made.path.write_text(self.settings + web)
        return made


class Place:
    """A broker and a folder. `site` gives each experiment topics of its own."""

    def __init__(self, kafka: EmbeddedKafka, directory: Path) -> None:
        self.kafka, self.directory = kafka, directory

    @property
    def servers(self) -> str:
        return self.kafka.bootstrap_servers

    @property
    def settings(self) -> Kafka:
        """For clients of ours."""
        return Kafka(servers=(self.servers,))

    def create(self, topic: str, partitions: int, configs: Mapping[str, str] = APPEND_TIME) -> None:
        """Makes a topic."""
        admin = KafkaAdminClient(bootstrap_servers=self.servers)
        try:
            admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=dict(configs))])
        finally:
            admin.close()

    def site(
        self, name: str, funnels: str, *, partitions: int = 4, kafka: str = "", clickhouse: str = "", labels: str = "",
        timed: bool = False, topic_configs: Mapping[str, str] = APPEND_TIME,
    ) -> Site:  # fmt: skip
        """A source topic keyed by session, and settings for workers on it. `kafka`, `clickhouse`, `labels`: further lines.

        `timed`: rows carry the time of their append, where the worker passes on that of their events. `topic_configs`: of the source.
        """
        home = self.directory / name
        home.mkdir()
        (home / "funnels.toml").write_text(funnels)
        topic, prefix = f"events.{name}", f"{name}."
        self.create(topic, partitions, topic_configs)
        if timed:
            sizes = {"max.message.bytes": str(16 * 1024 * 1024)}  # as the worker would make it
            self.create(topics.transitions(prefix), partitions, APPEND_TIME | sizes)
        settings = (
            f'funnels = "{home / "funnels.toml"}"\n[kafka]\nservers = ["{self.servers}"]\n'
            f'topic_prefix = "{prefix}"\ngroup_prefix = "{prefix}"\nreplication_factor = 1\npartitions = {partitions}\n{kafka}'
            f'[[sources]]\ntopic = "{topic}"\nkeyed_by = "session"\n'
            + (f"[clickhouse]\n{clickhouse}" if clickhouse else "")
            + labels
        )
        return Site(home, self.servers, prefix, topic, partitions, settings)


def definition(walk: Walk, *, window: str = "24h", lateness: str = "10m", dimensions: Sequence[str] = ()) -> str:
    """One funnel as a user would write it: each stage has its event's name."""
    listed = ", ".join(f'"{name}"' for name in dimensions)
    stages = "".join(f'[[funnels.stages]]\nname = "{stage}"\nevents = ["{stage}"]\n' for stage in walk.stages)
    return (
        f'[[funnels]]\nname = "{walk.name}"\nunit = "session"\nwindow = "{window}"\nlateness = "{lateness}"\n'
        f"dimensions = [{listed}]\n{stages}"
    )


def marker_funnel() -> str:
    """A goal that counts markers, by the partition that they name as their campaign."""
    return definition(
        Walk(MARKER, (MARKER,), 1.0, 1.0), window="10s", lateness="1s", dimensions=("campaign",)
    )  # fmt: skip


def marker_labels(partitions: int) -> str:
    """Allows each partition as a label value, so that its series stands at 0 from the start."""
    listed = ", ".join(f'"p{number}"' for number in range(partitions))
    return f"[labels.values]\ncampaign = [{listed}]\n"


def loaded(text: str, directory: Path) -> tuple[Funnel, ...]:
    """The funnels of a text, as the worker reads them."""
    path = directory / "funnels.toml"
    path.write_text(text)
    return load_funnels(path)


def environment() -> dict[str, str]:
    """Ours, without settings for another worker, and with this very source on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNNELWATCH_")}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCES), os.getenv("PYTHONPATH")]))}
