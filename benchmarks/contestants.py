"""The other frameworks on the dense workload: each in a process of its own, measured and checked as the worker is."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import broker
from benchmarks.child import SOURCES, Child, Usage
from benchmarks.definitions import DENSE, WINDOW
from benchmarks.job import Job
from benchmarks.oracle import Expected, WrongCounts
from benchmarks.product import Backlog, Run
from benchmarks.records import PARTITIONS
from sinks.embedded.kafka import EmbeddedKafka

#: Made by `make bench`: the frameworks' own pins would fight with the worker's.
ENVIRONMENT = SOURCES / ".cache" / "bench" / "bin" / "python"


class Contestant(msgspec.Struct, frozen=True):
    """A framework. `package`: its distribution. `began`: the line with which its app says that it works.

    `ends`: how its run ends; returns what it has used. `changelog`: the topic with its state, `store`: the folder.
    """

    name: str
    package: str
    began: str
    ends: Callable[[Child, Callable[[], bool]], Usage]
    changelog: str = ""
    store: str | None = None


def when_written(app: Child, written: Callable[[], bool]) -> Usage:
    """All transitions are in Kafka; nothing is waited for beyond that."""
    return app.wait(written, 0.25)


def when_stopped(app: Child, written: Callable[[], bool]) -> Usage:
    """Then it is asked to end, as in production: it writes its last checkpoint."""
    app.wait(written, 0.25)
    app.terminate()
    return app.ended()


def when_over(app: Child, _written: Callable[[], bool]) -> Usage:
    """It ends with the topic."""
    return app.ended()


#: In the order of the report. Faust: its commits can't be waited for, they may stall.
CONTESTANTS = (
    Contestant("faust", "faust-streaming", "ready", when_written, changelog="{name}-walks-changelog"),
    Contestant(
        "quix", "quixstreams", "The application started and is now processing incoming messages", when_stopped,
        changelog="changelog__{name}--{source}--default",
    ),
    Contestant("bytewax", "bytewax", "ready", when_over, store="recovery"),
)  # fmt: skip


class Installed(msgspec.Struct, frozen=True):
    """Where a framework can be run, or why not. `versions`: of what decides its speed, as one text."""

    python: Path | None
    versions: str


@cache
def installed(package: str) -> Installed:
    """Looks for it in the environment of `make bench`, then in this one."""
    for python in (ENVIRONMENT, Path(sys.executable)):
        if python.is_file():
            found = subprocess.run(
                [python, "-c", _VERSIONS, package],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            if found.returncode == 0:
                return Installed(python, found.stdout.strip())
    return Installed(
        None,
        f"left out: {package} is not installed; `make bench` puts it into .cache/bench where it has a wheel for this Python "
        f"({sys.version_info.major}.{sys.version_info.minor})",
    )


_VERSIONS = """
import importlib.metadata as found, sys
print(found.version(sys.argv[1]), end="")
for name in {"faust-streaming": ["aiokafka", "orjson"], "quixstreams": ["confluent-kafka", "rocksdict", "orjson"],
             "bytewax": ["confluent-kafka", "msgspec"]}[sys.argv[1]]:
    try:
        print(",", name, found.version(name), end="")
    except found.PackageNotFoundError:
        pass
"""


class Sent(msgspec.Struct):
    """What is checked of a transition."""

    stage: str


decode = msgspec.json.Decoder(Sent).decode


def run(contestant: Contestant, kafka: EmbeddedKafka, directory: Path, backlog: Backlog, name: str) -> Run:
    """Follows the preloaded topic from its beginning, in topics and a group named after `name`.

    Wall time begins with its first record: a consumer group may take seconds to form before that. Raises WrongCounts if the stages
    counted are not the workload's.
    """
    servers, python = kafka.bootstrap_servers, installed(contestant.package).python
    assert python is not None
    home, transitions = directory / name, f"{name}.transitions"
    home.mkdir()
    broker.create(servers, transitions)
    told = Job(servers, backlog.topic, transitions, name, str(home), DENSE[0].stages, WINDOW, PARTITIONS)
    command = [str(python), "-m", f"benchmarks.{contestant.name}_app", msgspec.json.encode(told).decode()]
    with Child(command, home / "app.log") as app:
        began = app.wait(lambda: app.said(contestant.began), 0.02)
        written = broker.Written(servers, transitions)
        first = app.wait(lambda: written.count() > 0, 0.1).at
        # Every event of the dense workload is a transition.
        used = contestant.ends(app, lambda: written.count() >= backlog.expected.events)
        written.close()
    check(servers, transitions, backlog.expected, contestant.name)
    over, state = durable(contestant, kafka, told, used)
    made = Run(
        backlog.expected.events, used.cpu - began.cpu, over - first, began.cpu, used.peak_rss,
        broker.bytes_on_disk(kafka.directory, [transitions]), state,
    )  # fmt: skip
    broker.delete(servers, name)
    return made


def durable(contestant: Contestant, kafka: EmbeddedKafka, told: Job, used: Usage) -> tuple[float, int]:
    """When the last of its state was written (seconds since 1970 UTC), and the bytes of all of it."""
    if contestant.store is not None:
        files = (path for path in (Path(told.directory) / contestant.store).rglob("*") if path.is_file())
        return used.at, sum(path.stat().st_size for path in files)
    changelog = contestant.changelog.format(name=told.name, source=told.source)
    size = broker.bytes_on_disk(kafka.directory, [changelog])
    if not size:
        raise WrongCounts(f"{contestant.name}: its changelog {changelog} is empty, so its state was not durable")
    return broker.last_written(told.servers, changelog), size


def check(servers: str, topic: str, expected: Expected, name: str) -> None:
    """Holds the transitions counted by stage against the plain count."""
    entered: Counter[str] = Counter()

    def take(record: Any) -> None:
        entered[decode(record.value).stage] += 1

    broker.read_back(servers, topic, take)
    wanted = {stage: count for (_, stage), count in expected.entered.items()}
    if entered != wanted:
        raise WrongCounts(f"{name}'s counts are wrong: {dict(entered)}, not {wanted}")
