"""A secret is planted in each setting that is one, and all output is searched: what will run, failures at the start, pages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.errors import ConfigError
from schemas.settings import load_settings
from schemas.settings.keys import SECTIONS, keys_of
from tests.e2e.child import SOURCES, free_port
from tests.stream.letters_key import KEY
from tests.stream.shop import FUNNELS

PLANTED = "pl4nted-in-{}-qX9"
#: What a key must look like.
SHAPED = {"privacy.dead_letter_key": KEY}


def secrets() -> dict[str, str]:
    """The variables of all secret settings, and what is planted there."""
    keys = [key for section in SECTIONS for key in keys_of(section) if key.secret]
    assert len(keys) >= 8
    return {key.variable: SHAPED.get(key.path, PLANTED.format(key.path.replace(".", "-"))) for key in keys}


def environment() -> dict[str, str]:
    """Nothing that is named can be reached: every start fails."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNNELWATCH_")}
    return kept | secrets() | {
        "PYTHONPATH": str(SOURCES), "FUNNELWATCH_FUNNELS": str(FUNNELS), "FUNNELWATCH_SOURCES_0_TOPIC": "clicks",
        "FUNNELWATCH_KAFKA_SERVERS": "127.0.0.1:1", "FUNNELWATCH_CLICKHOUSE_URL": "http://127.0.0.1:1",
        "FUNNELWATCH_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "FUNNELWATCH_KAFKA_USER": "watcher",
        "FUNNELWATCH_WEB_LISTEN": f"127.0.0.1:{free_port()}", "FUNNELWATCH_WEB_SINK_LISTEN": f"127.0.0.1:{free_port()}",
        "FUNNELWATCH_LOG_LEVEL": "debug", "FUNNELWATCH_CLICKHOUSE_TIMEOUT": "2s",
    }  # fmt: skip


def started(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    """A command under way."""
    return subprocess.Popen(
        [sys.executable, "-m", "streams.cli", *arguments], env=environment(), cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def said(process: subprocess.Popen[str], seconds: float) -> str:
    """All that it writes until it ends, or is ended."""
    try:
        return process.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        process.terminate()
        return process.communicate(timeout=60)[0]


def assert_none_in(text: str) -> None:
    assert [name for name, secret in secrets().items() if secret in text] == []


COMMANDS = (
    ["check"], ["rights"], ["topics"], ["lag"], ["report", "purchase"], ["dead-letters", "list"], ["forget", "somebody"],
)  # fmt: skip
ROLES = (["run", "--only", "worker"], ["run", "--only", "sink"])


def test_no_command_and_no_process_tells_a_secret(tmp_path: Path) -> None:
    processes = [started(arguments, tmp_path) for arguments in (*ROLES, *COMMANDS)]
    ended = [said(process, 120) for process in processes[len(ROLES) :]]
    tried = [said(process, 1) for process in processes[: len(ROLES)]]
    for arguments, text in zip((*COMMANDS, *ROLES), (*ended, *tried), strict=True):
        assert text.strip(), arguments
        assert "Traceback" not in text, arguments
        assert_none_in(text)
    assert "password (secret)" in ended[0]
    assert all(text.startswith("Error: ") or "127.0.0.1:1" in text for text in ended[2:])
    assert all("trying again" in text for text in tried)


@pytest.mark.parametrize("variable", sorted(secrets()))
def test_a_mistake_in_a_secret_does_not_repeat_it(variable: str) -> None:
    given = {name: value for name, value in environment().items() if name.startswith("FUNNELWATCH_")}
    with pytest.raises(ConfigError) as error:
        load_settings(None, given | {variable: "wr0ng\x07secret"}, {})
    assert variable in str(error.value)
    assert "wr0ng" not in str(error.value)
    assert_none_in(str(error.value))


def test_a_traceback_with_the_settings_in_it_holds_no_secret(tmp_path: Path) -> None:
    code = (
        "import os, msgspec, pathlib\nfrom schemas.settings import load_settings\n"
        "settings = load_settings(None, os.environ, {})\nprint(settings, repr(settings), [str(settings.kafka)])\n"
        "raise RuntimeError(settings)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "Traceback" in done.stderr
    assert "(secret)" in done.stdout
    assert_none_in(done.stdout + done.stderr)
