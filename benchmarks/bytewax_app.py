"""The dense job as Bytewax's documentation would have it written: Kafka source, stateful_flat_map by session, Kafka sink.

`python -m benchmarks.bytewax_app JOB`. JSON is msgspec's. State is snapshotted into a recovery store (SQLite) once an epoch. The
dataflow ends with the topic: its last snapshot is then written. Larger batches than the source's 1,000 gained nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSink, KafkaSinkMessage, KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.run import cli_main

from benchmarks import job

JOB = job.told()
LEVELS = {stage: level for level, stage in enumerate(JOB.stages)}
#: The default epoch of a dataflow.
SNAPSHOTS = timedelta(seconds=10)

Walk = tuple[int, int]  # stages reached, time of the first


class Click(msgspec.Struct, gc=False):
    """An event of the source."""

    event_id: str
    event: str
    timestamp: int
    session_id: str
    revenue: float | None = None
    currency: str | None = None
    order_id: str | None = None


class Transition(msgspec.Struct, gc=False):
    """A stage that a session has entered."""

    session_id: str
    event_id: str
    stage: str
    timestamp: int
    revenue: float | None = None
    currency: str | None = None
    order_id: str | None = None


decode = msgspec.json.Decoder(Click).decode
encode = msgspec.json.Encoder().encode


def keyed(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, Click]:
    click = decode(message.value)
    return click.session_id, click


def advance(walk: Walk | None, click: Click) -> tuple[Walk | None, Iterable[Transition]]:
    """The session's new state, and the transition that this event makes, if it makes one."""
    now = click.timestamp
    reached, since = walk if walk is not None and now - walk[1] <= JOB.window else (0, now)
    if LEVELS.get(click.event) != reached:
        return walk, ()
    made = Transition(click.session_id, click.event_id, click.event, now, click.revenue, click.currency, click.order_id)
    return (reached + 1, since), (made,)


def message(pair: tuple[str, Transition]) -> KafkaSinkMessage[bytes, bytes]:
    return KafkaSinkMessage(pair[0].encode(), encode(pair[1]))


def main() -> None:
    brokers, store = [JOB.servers], Path(JOB.directory) / "recovery"
    store.mkdir()
    init_db_dir(store, 1)
    flow = Dataflow("funnel")
    source = KafkaSource(brokers, [JOB.source], tail=False)
    clicks = op.map("decode", op.input("clicks", flow, source), keyed)
    made = op.stateful_flat_map("walk", clicks, advance)
    op.output("transitions", op.map("encode", made, message), KafkaSink(brokers, JOB.transitions))
    job.ready()
    cli_main(flow, epoch_interval=SNAPSHOTS, recovery_config=RecoveryConfig(store, timedelta(0)))


if __name__ == "__main__":
    main()
