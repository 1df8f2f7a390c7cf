"""The dense job as Faust's documentation would have it written: models, one event at a time, a windowed table, send.

`python -m benchmarks.faust_app JOB`. JSON is orjson's where it is installed (Faust's own choice). It does less than the worker:
no drop-offs (Faust's windows expire by the wall clock), no late events, no duplicates, no breakdown, no metrics, and nothing
awaits its changelog.
"""

# No `from __future__ import annotations`: Faust looks at the models' types.
import logging
from datetime import timedelta
from typing import Any

import faust

from benchmarks import job

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


def create_app(told: job.Job) -> faust.App:
    """The app of this job."""
    stages = told.stages
    app = faust.App(
        told.name,
        broker=f"kafka://{told.servers}",
        store="memory://",
        datadir=told.directory,
        topic_partitions=told.partitions,
        web_enabled=False,
        # Faust's own 0 sends nearly every record as a request of its own: in its favour.
        producer_linger=0.005,
        producer_max_batch_size=262_144,
    )
    clicks = app.topic(told.source, key_type=str, value_type=Click)
    transitions = app.topic(told.transitions, key_type=str, value_type=Transition, partitions=told.partitions)
    windows: Any = app.Table("walks", default=int, partitions=told.partitions).tumbling(DAY, expires=EXPIRES)
    walks = windows.relative_to(lambda event: event.value.timestamp / 1000)

    @app.agent(clicks)
    async def follow(stream: Any) -> None:
        async for event in stream.events():
            click = event.value
            session = click.session_id
            reached = walks[session].value()
            if reached < len(stages) and click.event == stages[reached]:
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
        job.ready()

    return app


if __name__ == "__main__":
    told = job.told()
    logging.disable(logging.WARNING)
    faust.Worker(create_app(told), loglevel="error", quiet=True, redirect_stdouts=False).execute_from_commandline()
