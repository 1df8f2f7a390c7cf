"""Stopping, and the lag of a worker that is stuck."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from schemas.metrics import CONSUMER_LAG
from sinks.embedded.clickhouse import EmbeddedClickHouse
from tests.faults.broker import ProxiedKafka
from tests.faults.flow import PARTITIONS, SITE, Flow
from tests.faults.monitor import Monitor
from tests.faults.proxy import Action, Api, Rule


def lag(page: str) -> int:
    """Of all partitions together."""
    lines = [line for line in page.splitlines() if line.startswith(f"{CONSUMER_LAG.name}{{")]
    return sum(int(float(line.split()[-1])) for line in lines)


def test_a_stuck_worker_tells_its_lag_and_a_second_signal_ends_it(
    tmp_path: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    flow = Flow(3, count=2_000, parts=2)
    with Monitor(tmp_path, kafka, clickhouse, database, SITE) as monitor:
        monitor.begin("a")
        monitor.until_ready("a")
        worker = monitor.kept["a"].child
        flow.send(monitor, 0)
        monitor.until_followed(monitor)
        monitor.until(lambda: lag(worker.get("/metrics")[1]) == 0, "tell that nothing is left")
        kafka.proxies["a"].arm(Rule(Api.PRODUCE, Action.HOLD, 60.0))
        flow.send(monitor, 1)
        sent = 1_000 + PARTITIONS  # with the heartbeats
        monitor.until(lambda: lag(worker.get("/metrics")[1]) == sent, "tell all that was appended since", 20)
        monitor.leave("a")
        time.sleep(1.0)
        assert worker.alive  # it waits for what is under way
        worker.signal(signal.SIGTERM)
        assert worker.wait(5) == 128 + signal.SIGTERM
        kafka.proxies["a"].cut()
        assert "a second signal came; what was not acknowledged is read again" in worker.text()
