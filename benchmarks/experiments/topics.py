"""What a topic held, and when: offsets, and the times of its appends; who is in a group."""

from __future__ import annotations

from itertools import pairwise

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition

MS = 1000


class Ends:
    """The ends of a topic's partitions, asked again and again."""

    def __init__(self, servers: str, topic: str, partitions: int) -> None:
        self._places = [TopicPartition(topic, number) for number in range(partitions)]
        self._consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)

    def now(self) -> dict[int, int]:
        """Offset after the last record, by partition."""
        return {place.partition: end for place, end in self._consumer.end_offsets(self._places).items()}

    def close(self) -> None:
        self._consumer.close()


class Group:
    """A consumer group, asked again and again."""

    def __init__(self, servers: str, name: str) -> None:
        self._name, self._admin = name, KafkaAdminClient(bootstrap_servers=servers)

    def members(self) -> set[str]:
        """The ids of its members (a new one at each start of a process); none while they agree on who has what."""
        found = self._admin.describe_groups([self._name])[self._name]
        return {member["member_id"] for member in found["members"]} if found["group_state"] == "Stable" else set()

    def close(self) -> None:
        self._admin.close()


def append_times(servers: str, topic: str, begin: dict[int, int]) -> dict[int, list[float]]:
    """When each record from these offsets on was appended, in seconds since 1970 UTC, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, max_poll_records=20_000)
    try:
        places = {number: TopicPartition(topic, number) for number in begin}
        ends = consumer.end_offsets(list(places.values()))
        found: dict[int, list[float]] = {number: [] for number in begin}
        for number, place in places.items():
            consumer.assign([place])
            consumer.seek(place, begin[number])
            while consumer.position(place) < ends[place]:
                for batch in consumer.poll(timeout_ms=500).values():
                    found[number] += [record.timestamp / MS for record in batch]
        return found
    finally:
        consumer.close()


class Pause(msgspec.Struct, frozen=True):
    """The longest time without an append. `start`, `end`: seconds since 1970 UTC."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        return self.end - self.start


def longest_pause(times: list[float], begin: float, end: float) -> Pause:
    """The longest pause of ascending times that touches begin…end. It may have begun before; what comes after `end` is not looked at."""
    before = max((at for at in times if at <= begin), default=begin)
    marks = [before, *(at for at in times if begin < at < end), end]
    return max((Pause(a, b) for a, b in pairwise(marks)), key=lambda pause: pause.seconds)
