"""One run of idiomatic Faust on the dense workload, measured as the worker is."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import msgspec

from benchmarks import broker
from benchmarks.child import Child
from benchmarks.product import Run, wait
from benchmarks.workloads import Workload
from sinks.embedded.kafka import EmbeddedKafka


class Sent(msgspec.Struct):
    """What is checked of a transition."""

    stage: str


decode = msgspec.json.Decoder(Sent).decode


def run(kafka: EmbeddedKafka, directory: Path, source: str, workload: Workload, name: str) -> Run:
    """Follows the preloaded topic `source`. Raises AssertionError if the stages counted are not the workload's."""
    servers, transitions = kafka.bootstrap_servers, f"{name}.transitions"
    broker.create(servers, transitions)
    command = [sys.executable, "-m", "benchmarks.idiomatic_app", servers, source, name]
    with Child(command, directory / f"{name}.log") as app:
        began = wait(app, lambda: app.said("ready"), 0.02)
        # Every event of the dense workload is a transition. (Its commits can't be waited for: they may stall.)
        wait(app, lambda: broker.count(servers, transitions) >= len(workload.steps), 0.25)
        ended, peak = app.usage(), app.peak_rss()
    entered = Counter(decode(record.value).stage for record in broker.read_back(servers, transitions))
    expected = {stage: count for (_, stage), count in workload.expected().entered.items()}
    assert entered == expected, f"idiomatic Faust's counts are wrong: {dict(entered)}, not {expected}"
    changelog = f"{name}-walks-changelog"
    return Run(
        len(workload.steps), ended.cpu - began.cpu, broker.last_written(servers, transitions) - began.at, began.cpu,
        peak, broker.bytes_on_disk(kafka.directory, [transitions]), broker.bytes_on_disk(kafka.directory, [changelog]),
    )  # fmt: skip
