"""The dense job as Quix Streams' documentation would have it written: a StreamingDataFrame with state, to a topic.

`python -m benchmarks.quix_app JOB`. JSON is orjson's (Quix's own choice). State lies in RocksDB, is written to its changelog
topic at each checkpoint (every 5 s), and offsets are committed after it: at-least-once.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application, State

from benchmarks import job

JOB = job.told()
LEVELS = {stage: level for level, stage in enumerate(JOB.stages)}


def advance(click: dict[str, Any], state: State) -> dict[str, Any] | None:
    """The transition that this event makes, if it makes one."""
    walk, now = state.get("walk"), click["timestamp"]
    reached, since = walk if walk is not None and now - walk[1] <= JOB.window else (0, now)
    if LEVELS.get(click["event"]) != reached:
        return None
    state.set("walk", [reached + 1, since])
    return {
        "session_id": click["session_id"],
        "event_id": click["event_id"],
        "stage": click["event"],
        "timestamp": now,
        "revenue": click.get("revenue"),
        "currency": click.get("currency"),
        "order_id": click.get("order_id"),
    }


def main() -> None:
    app = Application(
        broker_address=JOB.servers,
        consumer_group=JOB.name,
        auto_offset_reset="earliest",
        state_dir=f"{JOB.directory}/state",
        # In its favour: the default of 5 ms sends small batches, which costs a tenth more.
        producer_extra_config={"linger.ms": 100},
    )
    clicks = app.topic(JOB.source, key_deserializer="str", value_deserializer="json")
    transitions = app.topic(JOB.transitions, key_serializer="str", value_serializer="json")
    frame = app.dataframe(clicks)
    frame = frame.apply(advance, stateful=True).filter(lambda transition: transition is not None)
    frame.to_topic(transitions)
    app.run()


if __name__ == "__main__":
    main()
