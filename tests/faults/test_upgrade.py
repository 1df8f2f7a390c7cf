"""A running pair is exchanged, one worker at a time: other definitions, another form of the state."""

from __future__ import annotations

from pathlib import Path

import msgspec

from schemas.topics import state_log
from sinks.embedded.clickhouse import EmbeddedClickHouse
from streams.engine.state import FORMAT
from tests.e2e.oracle import stored_rows
from tests.faults.broker import ProxiedKafka
from tests.faults.flow import SITE, Flow
from tests.faults.monitor import SINK, Monitor

PARTS = 4


def test_workers_on_two_definitions_harm_neither(
    tmp_path: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    """One funnel is changed: while the pair is exchanged, rows of the others are those of batch, and the changed one's are told apart."""
    newer = tmp_path / "newer.toml"
    text = SITE.funnels.read_text()
    assert 'name = "browsing"' in text
    newer.write_text(
        text.replace(
            'name = "browsing"\nunit = "session"\nwindow = "10m"', 'name = "browsing"\nunit = "session"\nwindow = "11m"'
        )
    )
    flow = Flow(3, count=2_000, parts=PARTS)
    with Monitor(tmp_path, kafka, clickhouse, database, SITE) as monitor:
        for name in ("a", "b", SINK):
            monitor.begin(name)
        monitor.until_ready("a", "b", SINK)
        for part in range(PARTS):
            if part in (1, 3):
                exchange(monitor, "a" if part == 1 else "b", newer)
            flow.send(monitor, part)
        monitor.until_stored(monitor, monitor)
        client = monitor.client()
        try:
            stored = stored_rows(client)
            found = client.query("SELECT funnel, uniqExact(version) FROM transitions GROUP BY funnel").result_rows
        finally:
            client.close()
        monitor.end()
    versions = {funnel: count for funnel, count in found}  # noqa: C416  (rows are sequences of any length)
    assert versions == {"purchase": 1, "checkout": 1, "lead": 1, "browsing": 2}
    wanted = flow.answer().rows
    unchanged = {key: row for key, row in stored.items() if row.funnel != "browsing"}
    assert unchanged == {key: row for key, row in wanted.items() if row.funnel != "browsing"}


def exchange(monitor: Monitor, name: str, funnels: Path) -> None:
    """Ends a worker in order, and starts it with other definitions."""
    monitor.leave(name)
    old = monitor.kept[name].child
    assert old.wait(30) == 0
    config = monitor.kept[name].config
    config.write_text(config.read_text().replace(str(SITE.funnels), str(funnels)))
    monitor.begin(name)
    monitor.until(lambda: monitor.kept[name].child is not old, "come back")
    monitor.until_ready(name)


def test_state_of_another_form_is_refused_with_the_remedy_and_stays(
    tmp_path: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    flow = Flow(3, count=2_000, parts=2)
    with Monitor(tmp_path, kafka, clickhouse, database, SITE) as monitor:
        monitor.begin("a")
        monitor.until_ready("a")
        flow.send(monitor, 0)
        monitor.until_followed(monitor)
        monitor.leave("a")
        assert monitor.kept["a"].child.wait(30) == 0
        state = state_log(monitor.prefix, monitor.funnels[0].unit)
        form = msgspec.msgpack.encode([FORMAT - 1, 5, "in another form"])
        monitor.write_to(state, {0: [(b"=someone", form)]})
        before = [record for record in monitor.read_topic(state) if record.partition == 0]
        flow.send(monitor, 1)
        refused = monitor.start("worker", "c", ready=False)
        assert refused.wait(60) == 2
        (line,) = [line for line in refused.text().splitlines() if line.startswith("Error")]
        assert (
            f"state: was written in format {FORMAT - 1}, this version reads {FORMAT}; run the version that wrote it"
            in line
        )
        assert [record for record in monitor.read_topic(state) if record.partition == 0] == before
