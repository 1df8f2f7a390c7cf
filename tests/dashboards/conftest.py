"""A Prometheus that has scraped the story, and a ClickHouse that has its rows."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.settings.sections import ClickHouse
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.migrate import bring_up_to_date
from sinks.clickhouse.writer import Writer
from sinks.embedded.clickhouse import EmbeddedClickHouse
from tests.dashboards import story
from tests.e2e.child import free_port


class Prometheus:
    """A running Prometheus' HTTP interface."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    @property
    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._url}/-/ready", timeout=5):
                return True
        except OSError:
            return False

    def at(self, expression: str, when: int) -> list[dict[str, Any]]:
        """The series of an instant query; `when` in ms."""
        return self._ask("query", {"query": expression, "time": str(when / 1000)})

    def between(self, expression: str, since: int, until: int, step: int) -> list[dict[str, Any]]:
        """The series of a range query; times and step in ms."""
        span = {"start": str(since / 1000), "end": str(until / 1000), "step": str(step / 1000)}
        return self._ask("query_range", {"query": expression, **span})

    def _ask(self, what: str, fields: dict[str, str]) -> list[dict[str, Any]]:
        body = urllib.parse.urlencode(fields).encode()
        try:
            with urllib.request.urlopen(f"{self._url}/api/v1/{what}", body, timeout=60) as answer:
                found: list[dict[str, Any]] = msgspec.json.decode(answer.read())["data"]["result"]
                return found
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"{error.read().decode()}\n{fields['query']}") from None


@pytest.fixture(scope="session")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus over the story's scrapes; skips where it is not installed."""
    if not shutil.which("prometheus") or not shutil.which("promtool"):
        pytest.skip("Prometheus is not installed (Debian: apt install prometheus)")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "story.om").write_text("".join(story.scrapes()) + "# EOF\n")
    blocks = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "story.om"), str(folder / "data")]
    subprocess.run(blocks, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("global: {}\n")
    port = free_port()
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        "--storage.tsdb.retention.time=36500d", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        served = Prometheus(port)
        _wait(served, process, folder / "log")
        yield served
    finally:
        process.terminate()
        process.wait(30)


def _wait(served: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while not served.ready:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


@pytest.fixture(scope="session")
def shop(clickhouse: EmbeddedClickHouse) -> Iterator[Client]:
    """A client on the story's rows."""
    settings = ClickHouse(url=clickhouse.url, database="dashboards")
    bring_up_to_date(settings)
    with connect(settings) as client:
        writer = Writer(client)
        writer.register(story.FUNNELS)
        writer.write_rows(story.rows())
        writer.write_progress(story.progress())
        writer.write_dead_letters(story.letters())
        yield client
        client.command("DROP DATABASE dashboards SYNC")
