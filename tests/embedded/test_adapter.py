"""The embedded ClickHouse beyond what it shares with a server: faults on demand, crashes, the end of its owner."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from schemas.errors import SinkError
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.codec import METHODS, CodecError, choose, decode, packer
from sinks.embedded.faults import Faults

ROOT = Path(__file__).parents[2]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    """An engine that the test may kill."""
    pytest.importorskip("chdb", reason="no embedded ClickHouse: chdb is not installed (funnelwatch[embedded])")
    with EmbeddedClickHouse(tmp_path / "clickhouse") as running:
        yield running


@pytest.fixture
def faulty(clickhouse: EmbeddedClickHouse) -> Iterator[EmbeddedClickHouse]:
    yield clickhouse
    clickhouse.inject(Faults())


def gone(pid: int, seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_cut_insert_was_applied_and_the_driver_sends_it_again(faulty: EmbeddedClickHouse, client: Client) -> None:
    client.command("CREATE TABLE plain (n UInt64) ENGINE = MergeTree ORDER BY n")
    client.command("CREATE TABLE once (n UInt64) ENGINE = ReplacingMergeTree ORDER BY n")
    for table in ("plain", "once"):
        faulty.inject(Faults(cut_inserts=1))
        client.insert(table, [[1], [2]], column_names=["n"])
    assert client.query("SELECT count() FROM plain").result_rows == [(4,)]
    assert client.query("SELECT count() FROM once FINAL").result_rows == [(2,)]


def test_a_refusal_is_a_503_as_often_as_asked_for(faulty: EmbeddedClickHouse) -> None:
    faulty.inject(Faults(refuse=2))
    statuses = []
    for _ in range(3):
        connection = http.client.HTTPConnection(faulty.host, faulty.port, timeout=10)
        connection.request("POST", "/", "SELECT 1")
        statuses.append(connection.getresponse().status)
        connection.close()
    assert statuses == [503, 503, 200]


def test_a_stall_outlasts_the_clients_patience(faulty: EmbeddedClickHouse) -> None:
    faulty.inject(Faults(stall=1, stall_seconds=3.0))
    connection = http.client.HTTPConnection(faulty.host, faulty.port, timeout=0.5)
    connection.request("POST", "/", "SELECT 1")
    with pytest.raises(TimeoutError):
        connection.getresponse()
    connection.close()


def test_an_order_of_an_unknown_fault_is_refused_and_without_the_flag_there_is_none(own: EmbeddedClickHouse) -> None:
    connection = http.client.HTTPConnection(own.host, own.port, timeout=10)
    connection.request("POST", "/faults", b'{"refuse": 1}')
    assert connection.getresponse().status == 404
    connection.close()


def test_what_the_table_refuses_is_an_error_and_settings_may_stand_before_the_format(
    client: Client, clickhouse: EmbeddedClickHouse
) -> None:
    client.command("CREATE TABLE settings (n UInt64, CONSTRAINT small CHECK n < 100) ENGINE = MergeTree ORDER BY n")
    client.insert("settings", [[1], [2]], column_names=["n"])
    with pytest.raises(DatabaseError, match="VIOLATED_CONSTRAINT"):
        client.insert("settings", [[3], [100]], column_names=["n"])
    connection = http.client.HTTPConnection(clickhouse.host, clickhouse.port, timeout=10)
    text = f"INSERT INTO {client.database}.settings SETTINGS max_insert_threads = 1 FORMAT CSV\n7\n"
    connection.request("POST", "/", text)
    assert connection.getresponse().status == 200
    connection.close()
    assert client.query("SELECT n FROM settings ORDER BY n").result_rows == [(1,), (2,), (7,)]


def test_get_only_reads(clickhouse: EmbeddedClickHouse) -> None:
    for path, status in (("/ping", 200), ("/", 200), ("/?query=SELECT%201", 200), ("/?query=DROP%20DATABASE%20x", 500)):
        connection = http.client.HTTPConnection(clickhouse.host, clickhouse.port, timeout=10)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (path, answer.status) == (path, status)
        assert (answer.getheader("X-ClickHouse-Exception-Code") == "164") is (status == 500)
        answer.read()
        connection.close()


def test_data_survive_a_crash_and_the_port_stays(own: EmbeddedClickHouse) -> None:
    url = own.url
    with clickhouse_connect.get_client(dsn=own.url, autogenerate_session_id=False) as client:
        client.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        client.insert("t", [[1], [2]], column_names=["n"])
        own.kill()
        assert not own.running
        with pytest.raises((OperationalError, DatabaseError)):
            client.query("SELECT 1")
        own.start()
        assert own.url == url
        assert client.query("SELECT count() FROM t").result_rows == [(2,)]


def test_a_paused_engine_can_be_stopped(own: EmbeddedClickHouse) -> None:
    pid = own.pid
    own.pause()
    own.stop()
    assert gone(pid)


def test_a_second_engine_on_the_same_folder_is_one_clear_line(own: EmbeddedClickHouse) -> None:
    with pytest.raises(SinkError, match=r"the embedded ClickHouse did not start; its log .* ends: ") as caught:
        EmbeddedClickHouse(own.directory).start()
    assert "\n" not in str(caught.value)


def test_the_engine_ends_when_its_owner_is_killed(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="no embedded ClickHouse: chdb is not installed (funnelwatch[embedded])")
    script = (
        "import sys, time; from pathlib import Path; from sinks.embedded.clickhouse import EmbeddedClickHouse\n"
        "server = EmbeddedClickHouse(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        os.kill(pid, 0)
        owner.send_signal(signal.SIGKILL)
    assert gone(pid)


@pytest.mark.parametrize("method", [*METHODS, ""])
def test_what_is_packed_in_pieces_is_unpacked_whole(method: str) -> None:
    pack = packer(method)
    packed = pack.pack(b"abc" * 1000) + pack.pack(b"") + pack.pack(b"\x00\xff") + pack.last()
    assert decode(packed, method) == b"abc" * 1000 + b"\x00\xff"


@pytest.mark.parametrize(("body", "method"), [(b"not gzip", "gzip"), (b"x", "zstd"), (b"x", "snappy")])
def test_a_body_that_can_not_be_unpacked_is_refused(body: bytes, method: str) -> None:
    with pytest.raises(CodecError, match=method):
        decode(body, method)


@pytest.mark.parametrize(
    ("accepted", "method"),
    [("lz4,br,zstd,gzip,deflate", "zstd"), ("gzip;q=1.0, br", "gzip"), ("identity", ""), ("", "")],
)
def test_the_best_method_that_the_client_takes_is_chosen(accepted: str, method: str) -> None:
    assert choose(accepted) == method
