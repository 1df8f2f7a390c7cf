"""Expected conversions on a real broker, worker and ClickHouse: seeded with four weeks, right in health, and missed under a fault."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from prometheus_client.parser import text_string_to_metric_families

from schemas import metrics as m
from schemas.event import Event
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from streams.commands.seed import seed
from tests.e2e.child import Child
from tests.e2e.stack import Site, Stack
from tests.unit.expectation.shop import DAY, LEVELS, MINUTE, START, Visit, events, hash_of, visits

PARTITIONS = 2
HEALTHY, FALLEN = 240, 180  # minutes
DEFINITIONS = """
[[funnels]]
name = "shop"
unit = "session"
window = "2h"
lateness = "1m"
dimensions = ["channel", "device"]
""" + "".join(f'[[funnels.stages]]\nname = "{name}"\nevents = ["{name}"]\n' for name in LEVELS)


def lines(seen: Sequence[Event], shift: int = 0) -> list[bytes]:
    return [
        msgspec.json.encode(
            {
                "event": one.event, "timestamp": one.ts + shift, "event_id": one.event_id, "session_id": one.session_id,
                "channel": one.channel, "device": one.device,
            }
        )
        for one in seen
    ]  # fmt: skip


def by_partition(seen: Sequence[Event]) -> dict[int, list[KeyValue]]:
    """Keyed by the session."""
    parts: dict[int, list[KeyValue]] = {number: [] for number in range(PARTITIONS)}
    for event, line in zip(seen, lines(seen), strict=True):
        session = event.session_id or ""
        parts[hash_of(session) % PARTITIONS].append((session.encode(), line))
    return parts


def read(worker: Child, metric: m.Metric, stage: str, dimension: str = m.ALL, value: str = m.ALL) -> float:
    """One series of the worker's page; the sum of none is 0."""
    wanted = {m.STAGE: stage, m.DIMENSION: dimension, m.VALUE: value}
    if m.DIMENSION not in metric.labels:
        wanted = {m.STAGE: stage}
    return sum(
        sample.value
        for family in text_string_to_metric_families(worker.get("/metrics")[1])
        for sample in family.samples
        if sample.name == metric.name and wanted.items() <= sample.labels.items()
    )


@pytest.fixture
def stack(broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str, tmp_path: Path) -> Stack:
    (tmp_path / "funnels.toml").write_text(DEFINITIONS)
    site = Site(
        funnels=tmp_path / "funnels.toml", sources={"clicks": 'keyed_by = "session"'}, source_partitions=PARTITIONS
    )
    return Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site)


def test_a_seeded_shop_is_expected_from_its_first_day_on(stack: Stack, tmp_path: Path) -> None:
    rng = random.Random(21)
    with stack:
        history = tmp_path / "history.jsonl"
        history.write_bytes(b"\n".join(lines(events(rng, visits(rng, 28 * 1440, 0.3)), -28 * DAY)) + b"\n")
        answer = CliRunner().invoke(seed, [str(history), "--config", str(stack.config)])
        assert answer.exit_code == 0, answer.output
        assert answer.output.count("pages from now on") == 2

        worker = stack.start("worker")
        assert read(worker, m.EXPECTATION_LEARNING, "view") == 0
        stack.send_all("clicks", by_partition(events(rng, visits(rng, HEALTHY, 15))))
        stack.until_followed(worker)
        for stage in ("view", "cart"):
            for segment in (
                (m.ALL, m.ALL),
                ("channel", "paid"),
                ("device", "mobile"),
                ("channel×device", "email×mobile"),
            ):
                observed = read(worker, m.STAGE_CONVERSIONS, stage, *segment)
                expected = read(worker, m.STAGE_EXPECTED_CONVERSIONS, stage, *segment)
                assert expected > 150, (stage, segment)
                near = 0.12 if segment == (m.ALL, m.ALL) else 0.3  # so short a history draws segments to their stage
                assert observed == pytest.approx(expected, rel=near), (stage, segment)
        assert worker.stop() == 0

        worker = stack.start("worker")  # what was learned and who is there, it has from Kafka alone
        began = START + HEALTHY * MINUTE
        later = [
            Visit(visit.at + HEALTHY * MINUTE, f"later-{visit.session}", visit.channel, visit.device)
            for visit in visits(rng, FALLEN, 15)
        ]
        stack.send_all("clicks", by_partition(events(rng, later, fault=(began, "buy", 0.4))))
        stack.until_followed(worker)
        worker.get("/metrics")  # the first scrape shows what was not there before at 0
        observed, expected = (
            read(worker, metric, "cart") for metric in (m.STAGE_CONVERSIONS, m.STAGE_EXPECTED_CONVERSIONS)
        )
        assert 0.25 < observed / expected < 0.5
        assert read(worker, m.STAGE_CONVERSIONS, "view") == pytest.approx(
            read(worker, m.STAGE_EXPECTED_CONVERSIONS, "view"), rel=0.15
        )
