"""A whole monitor for one test: topics of its own, the worker and the sink as processes, and what they have answered."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from schemas import topics as names
from schemas.definitions import load_funnels
from schemas.event import HEARTBEAT
from schemas.funnel import Funnel
from schemas.settings import Settings, load_settings
from schemas.topics import feeds
from sinks.clickhouse.client import Client, connect
from sinks.kafka import BatchWriter, KeyValue
from tests.e2e.child import NO_VARIABLES, Child, free_port

#: The least that a broker allows: a worker that was killed is missed soon.
SESSION_TIMEOUT = "6s"


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """What a test's monitor is told. `sources`: TOML of each [[sources]] but its topic, by the topic's plain name;
    `extra`: TOML that is put at the end."""

    funnels: Path
    sources: dict[str, str]
    source_partitions: int = 4
    partitions: int = 3
    chunk_records: int = 10_000
    extra: str = ""


class Waiting(Protocol):
    """Who can wait for a condition: a process, which fails if it ends meanwhile."""

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None: ...


class Stack:
    """Use in a `with`: at its end everything that still runs is killed by its own pid.

    Topics, groups and tables are this test's alone. If the test fails, the ends of all logs are printed.
    """

    def __init__(self, directory: Path, servers: str, clickhouse_url: str, database: str, site: Site) -> None:
        self.directory, self.servers, self.clickhouse_url = directory, servers, clickhouse_url
        self.database, self.site = database, site
        self.prefix = f"t{uuid.uuid4().hex[:8]}."
        self.children: list[Child] = []
        self.config = self.write_config("a")
        self.settings: Settings = load_settings(self.config, {}, {})
        self.funnels: tuple[Funnel, ...] = load_funnels(self.settings.funnels)
        self.create_sources()

    def topic(self, plain: str) -> str:
        """The real name of the source topic `plain`."""
        return f"{self.prefix[:-1]}-{plain}"

    def write_config(self, instance: str) -> Path:
        """A settings file for a worker of that name, on ports of its own."""
        path = self.directory / f"{instance}.toml"
        sources = "".join(
            f'[[sources]]\ntopic = "{self.topic(name)}"\n{more}\n' for name, more in self.site.sources.items()
        )
        path.write_text(
            f'funnels = "{self.site.funnels}"\n'
            f'[kafka]\nservers = ["{self.servers}"]\nreplication_factor = 1\npartitions = {self.site.partitions}\n'
            f'topic_prefix = "{self.prefix}"\ngroup_prefix = "{self.prefix}"\ninstance_id = "{instance}"\n'
            f'session_timeout = "{SESSION_TIMEOUT}"\nrebalance_timeout = "20s"\nrequest_timeout = "10s"\n'
            f"chunk_records = {self.site.chunk_records}\n"
            f'{sources}[clickhouse]\nurl = "{self.clickhouse_url}"\ndatabase = "{self.database}"\nflush_after = "200ms"\n'
            f'timeout = "10s"\n'
            "events_ttl_days = 0\ntransitions_ttl_days = 0\nattempts_ttl_days = 0\ndead_letters_ttl_days = 0\n"
            f'[web]\nlisten = "127.0.0.1:{free_port()}"\nsink_listen = "127.0.0.1:{free_port()}"\n{self.site.extra}'
        )
        return path

    def create_sources(self) -> None:
        """The topics that a site has before funnelwatch comes."""
        self.create_topics(self.topic(name) for name in self.site.sources)

    def create_topics(self, topics: Iterable[str]) -> None:
        """Topics with the site's number of partitions that keep records for ever."""
        configs = {"retention.ms": "-1", "max.message.bytes": str(16 * 1024 * 1024)}
        made = [NewTopic(topic, self.site.source_partitions, 1, topic_configs=configs) for topic in topics]
        admin = KafkaAdminClient(bootstrap_servers=self.servers)
        try:
            admin.create_topics(made)
        finally:
            admin.close()

    # -- processes

    def start(
        self, role: str, instance: str = "a", *, ready: bool = True, variables: Mapping[str, str] = NO_VARIABLES
    ) -> Child:
        """Starts a worker or sink, and waits for /readyz unless told otherwise. `variables`: of its environment, beside ours."""
        config = self.config if instance == "a" else self.write_config(instance)
        web = load_settings(config, {}, {}).web
        port = int((web.listen if role == "worker" else web.sink_listen).rpartition(":")[2])
        log = self.directory / f"{role}-{instance}-{len(self.children)}.log"
        child = Child(role, config, log, port, variables=variables)
        self.children.append(child)
        if ready:
            child.until_ready()
        return child

    def start_both(self) -> tuple[Child, Child]:
        """The worker and the sink, started side by side; both ready."""
        worker, sink = self.start("worker", ready=False), self.start("sink", ready=False)
        worker.until_ready()
        sink.until_ready()
        return worker, sink

    def start_all(self) -> Child:
        """`funnelwatch run` as users start it: it keeps the worker and the sink running. Serves the worker's pages."""
        port = int(self.settings.web.listen.rpartition(":")[2])
        child = Child(None, self.config, self.directory / f"run-{len(self.children)}.log", port)
        self.children.append(child)
        child.until_ready()
        return child

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self.children:
            child.kill()
            if error is not None:
                print(child.tail())

    # -- records

    def send(self, plain: str, partition: int, records: Sequence[KeyValue]) -> None:
        """Writes records to one partition of a source."""
        self.send_all(plain, {partition: records})

    def send_all(self, plain: str, records: Mapping[int, Sequence[KeyValue]]) -> None:
        """Writes records by partition, all durable when it returns."""
        asyncio.run(write_records(self.settings, self.topic(plain), records))

    def write_to(self, topic: str, records: Mapping[int, Sequence[KeyValue]]) -> None:
        """The same for any topic, by its real name."""
        asyncio.run(write_records(self.settings, topic, records))

    def heartbeat(self, plain: str, ts: int) -> None:
        """Says on every partition of a source that nothing older comes."""
        value = msgspec.json.encode({"event": HEARTBEAT, "timestamp": ts})
        self.send_all(plain, {number: [(None, value)] for number in range(self.site.source_partitions)})

    # -- how far it is

    def until_followed(self, worker: Waiting, seconds: float = 120.0) -> None:
        """Waits until the worker has committed all of its sources, and then all of its internal logs."""
        sources = [self.topic(name) for name in self.site.sources]
        found = feeds(self.settings.sources, self.funnels, self.prefix)
        self._until_committed("worker", sources, worker, seconds)
        self._until_committed("worker", [feed.topic for feed in found if not feed.direct], worker, seconds)

    def until_stored(self, worker: Waiting, sink: Waiting, seconds: float = 120.0) -> None:
        """The same, and then until the sink has stored and committed all that the worker wrote."""
        self.until_followed(worker, seconds)
        outputs = [names.transitions(self.prefix), names.dead_letters(self.prefix)]
        self._until_committed("sink", outputs + [self.topic(name) for name in self.site.sources], sink, seconds)

    def _until_committed(self, group: str, topics: Sequence[str], child: Waiting, seconds: float) -> None:
        if not topics:
            return
        consumer = KafkaConsumer(
            bootstrap_servers=self.servers, group_id=f"{self.prefix}{group}", enable_auto_commit=False,
            consumer_timeout_ms=1_000,
        )  # fmt: skip
        try:
            partitions = [
                TopicPartition(topic, n) for topic in topics for n in sorted(consumer.partitions_for_topic(topic))
            ]

            def behind() -> dict[str, int]:
                time.sleep(0.2)  # offsets are committed once a second
                ends = consumer.end_offsets(partitions)
                left = {f"{tp.topic}:{tp.partition}": ends[tp] - (consumer.committed(tp) or 0) for tp in partitions}
                return {place: count for place, count in left.items() if count > 0}

            try:
                child.until(lambda: not behind(), f"catch up with {', '.join(topics)}", seconds)
            except AssertionError as error:
                raise AssertionError(f"{error}\nbehind: {behind()}") from None
        finally:
            consumer.close()

    # -- answers

    def client(self) -> Client:
        """ClickHouse's client on this test's database. Close it."""
        return connect(self.settings.clickhouse)

    def read_topic(self, topic: str) -> list[Any]:
        """All records of a topic, partition after partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.servers, auto_offset_reset="earliest")
        try:
            partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
            consumer.assign(partitions)
            ends = consumer.end_offsets(partitions)
            found: list[Any] = []
            deadline = time.monotonic() + 60
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                assert time.monotonic() < deadline, f"{topic} can't be read to its end"
                for batch in consumer.poll(timeout_ms=200).values():
                    found.extend(batch)
        finally:
            consumer.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))


async def write_records(settings: Settings, topic: str, records: Mapping[int, Sequence[KeyValue]]) -> None:
    """Writes records by partition of a topic, as batches."""
    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        for partition, values in records.items():
            await writer.write(topic, partition, values)
    finally:
        await writer.stop()


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Waits for a condition that no process of the test's is answerable for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.05)
