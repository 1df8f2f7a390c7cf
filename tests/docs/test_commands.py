"""Every command of the documentation is run, page by page, in a folder with the examples, beside real servers.

What can't be run so stands in elsewhere.py with its reason; a command that is in no such list runs, or fails the page.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
import uuid
from pathlib import Path

import click
import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from streams.cli import cli
from streams.demo.place import free_addresses
from streams.traffic import Traffic, TrafficConfig
from tests.docs.elsewhere import ELSEWHERE
from tests.docs.pages import PAGES, ROOT, Command, code, commands, other_blocks

START, HOUR = 1_772_409_600_000, 3_600_000
#: What stands for a name of the reader's own.
FOR_EXAMPLE = {"FILE…": "events.jsonl", "NAME": "purchase", "INSTANCE…": "worker-9"}
#: Commands that stay until a signal, by their beginning.
LASTING = ("funnelwatch run", "funnelwatch traffic")
WITH_COMMANDS = [page for page in PAGES if commands(page)]
EVERY = [command for page in PAGES for command in commands(page)]
#: How a line looks that somebody might type.
COMMAND = re.compile(r"\s*(\$ )?(funnelwatch|make|docker|kubectl|curl|python|promtool|pip)\s")


def elsewhere(command: Command) -> str | None:
    """Why a command is not run here, or None."""
    return next((one.reason for one in ELSEWHERE if re.search(one.pattern, command.text)), None)


@pytest.fixture(scope="module")
def environment(
    broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """Settings that lead the examples to the tests' own servers, and the commands of this installation."""
    name = f"docs{uuid.uuid4().hex[:8]}"
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        client.create_topics([NewTopic(f"{name}-clickstream", 2, 1)])
    finally:
        client.close()
    worker, sink = free_addresses(2)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FUNNELWATCH_", "PYTHON"))}
    return kept | {
        "PATH": f"{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}",
        "COLUMNS": "100",
        "FUNNELWATCH_KAFKA_SERVERS": broker.bootstrap_servers,
        "FUNNELWATCH_KAFKA_REPLICATION_FACTOR": "1",
        "FUNNELWATCH_KAFKA_TOPIC_PREFIX": f"{name}.",
        "FUNNELWATCH_KAFKA_GROUP_PREFIX": f"{name}.",
        "FUNNELWATCH_SOURCES_0_TOPIC": f"{name}-clickstream",
        "FUNNELWATCH_SOURCES_0_KEYED_BY": "session",
        "FUNNELWATCH_CLICKHOUSE_URL": clickhouse.url,
        "FUNNELWATCH_CLICKHOUSE_DATABASE": name,
        "FUNNELWATCH_WEB_LISTEN": worker,
        "FUNNELWATCH_WEB_SINK_LISTEN": sink,
    }


def prepared(folder: Path) -> Path:
    """A folder as a reader of the documentation has it: a clone, settings and definitions, files of events."""
    for name in ("examples", "deploy", "grafana"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    shutil.copy(ROOT / "examples" / "demo" / "funnels.toml", folder)
    text = (ROOT / "examples" / "funnelwatch.toml").read_text()
    (folder / "funnelwatch.toml").write_text(text.replace("demo/funnels.toml", "funnels.toml"))
    shop = Traffic(TrafficConfig(seed=3, start_ms=START, visitors_per_day=2_000, bad_share=0))
    (folder / "events.jsonl").write_bytes(b"\n".join(record.data for record in shop.records(START + 4 * HOUR)))
    shutil.copy(ROOT / "examples" / "tutorial" / "access.log.gz", folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_run(page: Path, environment: dict[str, str], tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    for command in commands(page):
        if elsewhere(command) is not None or (command.text.startswith("promtool") and shutil.which("promtool") is None):
            continue
        text = command.text
        for placeholder, value in FOR_EXAMPLE.items():
            text = text.replace(placeholder, value)
        if text.startswith(LASTING):
            lasts(text, folder, environment)
            continue
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command.name}: {text}\n{done.stdout}{done.stderr}"
        if command.shown is not None:
            assert trimmed(done.stdout) == trimmed(command.shown), f"{command.name}: prints something else"


def trimmed(text: str) -> list[str]:
    """Lines without the spaces at their ends."""
    return [line.rstrip() for line in text.rstrip().splitlines()]


def lasts(text: str, folder: Path, environment: dict[str, str]) -> None:
    """Starts it, waits until it is ready, and ends it by SIGTERM."""
    log = folder / "lasting.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            shlex.split(text, comments=True), cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        if text.startswith("funnelwatch run"):
            for listen in (environment["FUNNELWATCH_WEB_LISTEN"], environment["FUNNELWATCH_WEB_SINK_LISTEN"]):
                until_ready(f"http://{listen}/readyz", process, log)
        else:
            time.sleep(3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()


def until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_with_commands_is_marked_as_such(page: Path) -> None:
    """In a block that is not `sh` a command would be run by nobody."""
    assert not [line for line in other_blocks(page) if COMMAND.match(line)]


def test_what_is_not_run_is_tried_elsewhere_and_still_written() -> None:
    for one in ELSEWHERE:
        assert (ROOT / one.test).is_file(), one.test
        assert any(re.search(one.pattern, command.text) for command in EVERY), f"{one.pattern}: no page has it any more"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_text_exist(page: Path) -> None:
    """`funnelwatch report --by` in a sentence: the subcommand is there and has these options."""
    for text in code(page):
        words = text.split()
        if len(words) < 2 or words[0] != "funnelwatch" or not re.fullmatch(r"[a-z-]+", words[1]):
            continue
        command = cli.get_command(click.Context(cli), words[1])
        if isinstance(command, click.Group) and len(words) > 2 and not words[2].startswith("-"):
            command = command.get_command(click.Context(command), words[2])
        assert command is not None, f"{page.name}: {text}"
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        used = {word.partition("=")[0].rstrip(",") for word in words[2:] if word.startswith("-") and word != "-"}
        assert used <= known | {"--help"}, f"{page.name}: {text}"


def test_commands_named_in_messages_exist() -> None:
    """What an error or a hint tells people to type."""
    context = click.Context(cli)
    files = [path for folder in ("streams", "sinks", "schemas", "grafana") for path in (ROOT / folder).rglob("*.py")]
    named = {name for path in files for name in re.findall(r"`funnelwatch ([a-z][a-z-]*)", path.read_text())}
    assert len(named) > 8
    assert {name for name in named if cli.get_command(context, name) is None} == set()
