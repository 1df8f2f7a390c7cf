"""The dense job as Faust's documentation would have it written: models, one event at a time, a windowed table, send.

`python -m benchmarks.idiomatic_app SERVERS SOURCE NAME`. It does less than the worker: no drop-offs (Faust's windows expire by the
wall clock), no late events, no duplicates, no breakdown, no metrics, and nothing awaits its changelog.
"""

# No `from __future__ import annotations`: Faust looks at the models' types.
import logging
import sys
from datetime import timedelta
from typing import Any

import faust

from benchmarks.definitions import DENSE
from benchmarks.workloads import PARTITIONS
from streams.commands.run import die_with_parent

STAGES = DENSE[0].stages
DAY = timedelta(days=1)
#: Faust forgets windows this long after they began by today's clock, and these events are from a fixed day of the past.
EXPIRES = timedelta(days=36_500)


class Click(faust.Record, serializer="json"):
    """An event of the source."""

    event_id: str
    event: str
    timestamp: int
    session_id: str
    revenue: float | None = None
    currency: str | None = None
    order_id: str | None = None


class Transition(faust.Record, serializer="json"):
    """A stage that a session has entered."""

    session_id: str
    event_id: str
    stage: str
    timestamp: int
    revenue: float | None = None
    currency: str | None = None
    order_id: str | None = None


def create_app(servers: str, source: str, name: str) -> faust.App:
    """The app `name`; its transitions go to the topic `{name}.transitions`."""
    app = faust.App(
        name,
        broker=f"kafka://{servers}",
        store="memory://",
        topic_partitions=PARTITIONS,
        web_enabled=False,
        # Faust's own 0 sends nearly every record as a request of its own: in its favour.
        producer_linger=0.005,
        producer_max_batch_size=262_144,
    )
    clicks = app.topic(source, key_type=str, value_type=Click)
    transitions = app.topic(f"{name}.transitions", key_type=str, value_type=Transition, partitions=PARTITIONS)
    windows: Any = app.Table("walks", default=int, partitions=PARTITIONS).tumbling(DAY, expires=EXPIRES)
    walks = windows.relative_to(lambda event: event.value.timestamp / 1000)

    @app.agent(clicks)
    async def follow(stream: Any) -> None:
        async for event in stream.events():
            click = event.value
            session = click.session_id
            reached = walks[session].value()
            if reached < len(STAGES) and click.event == STAGES[reached]:
                walks[session] = reached + 1
                await transitions.send(
                    key=session,
                    value=Transition(
                        session_id=session,
                        event_id=click.event_id,
                        stage=click.event,
                        timestamp=click.timestamp,
                        revenue=click.revenue,
                        currency=click.currency,
                        order_id=click.order_id,
                    ),
                )

    @app.on_rebalance_complete.connect(weak=False)
    async def begun(*_: Any, **__: Any) -> None:
        print("ready", flush=True)

    return app


if __name__ == "__main__":
    die_with_parent()
    logging.disable(logging.WARNING)
    faust.Worker(
        create_app(*sys.argv[1:4]), loglevel="error", quiet=True, redirect_stdouts=False
    ).execute_from_commandline()
