"""The demo's folder: claimed by one demo at a time, emptied only if it is the demo's own, and the files written into it."""

from __future__ import annotations

import fcntl
import shutil
import socket
from importlib.resources import files
from pathlib import Path
from typing import IO

import msgspec

from schemas.errors import ConfigError
from schemas.toml import toml_value

TOPIC = "clickstream"
DATABASE = "funnelwatch"
PARTITIONS = 2
#: A folder with this file was made by the demo, and may be emptied by it.
MARK = ".funnelwatch-demo"

#: So many euros is one unit: rates of about the time of the demo's making, to show revenue in one currency.
_RATES = {"USD": 0.8511, "GBP": 1.1466, "CHF": 1.0743, "SEK": 0.0909}


class Addresses(msgspec.Struct, frozen=True):
    """Where the demo's parts listen: host:port, a URL, and of host:port worker, sink and Alertmanager ("": there is none)."""

    kafka: str
    clickhouse: str
    worker: str
    sink: str
    alertmanager: str = ""


def claim(directory: Path, *, keep: bool) -> IO[str]:
    """Makes `directory`, or empties it unless `keep`; holds it until the returned file is closed.

    Raises ConfigError for a folder that holds anything but a demo, is in use by another one, or can't be written.
    """
    where = str(directory)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()) and not (directory / MARK).is_file():
            raise ConfigError(where, "holds files that are no demo's", "name another --directory")
        held = (directory / MARK).open("a", encoding="utf-8")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.close()
            raise ConfigError(where, "another demo runs in it", "end that one, or name another --directory") from None
        if not keep:
            _empty(directory)
        return held
    except OSError as error:
        raise ConfigError(
            where, f"can't be made ready ({error.strerror or error})", "name another --directory"
        ) from None


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != MARK:
            entry.unlink()


def free_addresses(count: int) -> list[str]:
    """`count` addresses of loopback that nobody holds now."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{probe.getsockname()[1]}" for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def write_files(directory: Path, at: Addresses) -> Path:
    """Writes funnels.toml and funnelwatch.toml into `directory`; returns the path of the latter."""
    (directory / "funnels.toml").write_text(definitions(), encoding="utf-8")
    config = directory / "funnelwatch.toml"
    config.write_text(settings_text(at), encoding="utf-8")
    return config


def definitions() -> str:
    """The demo's funnels: in the package when installed from a wheel, else among the clone's examples."""
    packaged = files("streams.demo") / "funnels.toml"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "examples" / "demo" / "funnels.toml").read_text(encoding="utf-8")


def settings_text(at: Addresses) -> str:
    """The settings of the demo's worker and sink, and of every command that is tried beside it."""
    rates = "\n".join(f"{currency} = {rate}" for currency, rate in _RATES.items())
    alerts = f"alertmanager = {toml_value(f'http://{at.alertmanager}')}\n" if at.alertmanager else ""
    return f"""\
# Written by `funnelwatch demo`; gone at its next start.
funnels = "funnels.toml"

[kafka]
servers = [{toml_value(at.kafka)}]
replication_factor = 1
partitions = {PARTITIONS}

[[sources]]
topic = "{TOPIC}"
keyed_by = "session"

[clickhouse]
url = {toml_value(at.clickhouse)}
database = "{DATABASE}"
flush_after = "500ms"

[web]
listen = {toml_value(at.worker)}
sink_listen = {toml_value(at.sink)}
{alerts}
[site]
name = "shop.example"
currency = "EUR"

[[site.rates]]
from = 2020-01-01
{rates}
"""
