"""Settings, definitions and mappings, mutated: each is read, or refused with a ConfigError of printable lines, nothing else."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from schemas.decode import DecodeOptions, Format, decoder, load_mapping
from schemas.decode.framed import SchemaStore
from schemas.definitions import load_funnels
from schemas.definitions.presets import preset_names, preset_text
from schemas.errors import ConfigError, InvalidEvent
from schemas.settings import load_settings
from schemas.toml import toml_key, toml_value
from streams.cli import exit_code
from tests.formats.encodings import CSV, MAPPED, SNOWPLOW
from tests.fuzz.mutate import ODD, TOKENS, odd_value

ROOT = Path(__file__).parents[2]
FUNNELS = [ROOT / "tests" / "e2e" / "funnels.toml", *sorted((ROOT / "examples").glob("*/funnels.toml"))]
SETTINGS = (ROOT / "examples" / "funnelwatch.toml").read_text(encoding="utf-8")
MORE = """
create = true
[kafka]
servers = ["a:9092", "b:9092"]
security_protocol = "SASL_SSL"
user = "u"
password = "p"
[[sources]]
topic = "clicks"
keyed_by = "session"
idle_after = "1m"
[registry]
url = "http://registry:8081"
[site]
currency = "EUR"
timezone = "Europe/Berlin"
[[site.rates]]
from = 2026-01-01
USD = 0.92
[labels]
crosses = ["channel×device"]
[labels.values]
channel = ["paid", "email"]
[events]
earliest = 2020-01-01
internal_addresses = ["10.0.0.0/8"]
"""
RECORDS = (
    b'{"a": {"b": ["x"]}, "event": "e", "timestamp": 1700000000000, "visitor_id": "v"}',
    b"a;b;c",
    b"",
    b"{}",
    b"\xff",
)


class Files:
    """Mutated files in one folder. `told`: what was refused, by kind; the rest was read."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.told, self.tried = directory, Counter[str](), Counter[str]()
        seeds = {
            "settings": ([SETTINGS, MORE], self._settings),
            "funnels": ([*(path.read_text() for path in FUNNELS), *map(preset_text, preset_names())], self._funnels),
            "mapping": ([MAPPED, CSV, SNOWPLOW, (ROOT / "examples/weblog/mapping.toml").read_text()], self._mapping),
        }
        self._kinds: list[tuple[str, list[str], Callable[[Path], object]]] = [
            (kind, *what) for kind, what in seeds.items()
        ]

    def one(self, rng: Random) -> None:
        """A file of one of the kinds. Raises whatever is no ConfigError."""
        kind, seeds, read = rng.choice(self._kinds)
        path = self.directory / f"{kind}.toml"
        path.write_bytes(mutated(rng, rng.choice(seeds)))
        self.tried[kind] += 1
        try:
            read(path)
        except ConfigError as error:
            self.told[kind] += 1
            said = str(error)
        else:
            return
        assert said.strip(), "an error without a word"
        odd = [char for char in said if not char.isprintable() and char != "\n"]
        assert not odd, f"an error with control characters: {said!r}"

    def command(self, rng: Random) -> None:
        """The command itself ends with 0 or 2."""
        kind, seeds, _ = rng.choice(self._kinds[:2])
        path = self.directory / f"{kind}.toml"
        path.write_bytes(mutated(rng, rng.choice(seeds)))
        ended = exit_code(["check", "--config", str(path)] if kind == "settings" else ["check", str(path)])
        assert ended in (0, 2), f"exit code {ended}"

    def environment(self, rng: Random) -> None:
        """Variables and flags."""
        names = [
            "KAFKA_SERVERS",
            "SOURCES_0_TOPIC",
            "SOURCES_99_X",
            "WEB_LISTEN",
            "SITE_TIMEZONE",
            "KAFKA_PASSWORD_FILE",
            "X",
            "",
        ]
        environ = {f"FUNNELWATCH_{rng.choice(names)}": _text(rng) for _ in range(2)}
        flags = {
            rng.choice(("kafka.servers", "sources.0.topic", "events.earliest", "registry.url", _text(rng)[:40])): _text(
                rng
            )
        }
        self.tried["environment"] += 1
        try:
            load_settings(None, environ, flags)
        except ConfigError:
            self.told["environment"] += 1

    @staticmethod
    def _settings(path: Path) -> None:
        load_settings(path, {}, {})

    @staticmethod
    def _funnels(path: Path) -> None:
        load_funnels(path)

    @staticmethod
    def _mapping(path: Path) -> None:
        mapping = load_mapping(path)
        for form in (Format.MAPPING, Format.CONFLUENT):
            decode = decoder(DecodeOptions(format=form, mapping=mapping, schemas=SchemaStore()))
            for record in RECORDS:
                try:
                    decode(record, 1_700_000_000_000)
                except InvalidEvent:
                    continue


def mutated(rng: Random, text: str) -> bytes:
    """The text with values or keys of its structure changed, or its bytes."""
    if rng.random() < 0.6:
        document = tomllib.loads(text)
        for _ in range(rng.randint(1, 3)):
            _change(rng, document)
        return toml(document).encode("utf-8", "surrogatepass")
    data = text.encode()
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(data))
        data = (
            data[:at]
            + rng.choice((*TOKENS, b"'''", b"=", b"[[", b"]]", b"\x0b", b"0x", b"1979-05-27"))
            + data[at + rng.randint(0, 9) :]
        )
    return data


def toml(document: dict[str, Any]) -> str:
    """Any document as TOML: every table inline, so that each value may be anything."""
    return "".join(f"{toml_key(key)} = {toml_value(_writable(value))}\n" for key, value in document.items())


def _writable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _writable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_writable(each) for each in value]
    return "none" if value is None else value


def _change(rng: Random, document: dict[str, Any]) -> None:
    place: Any = document
    while inner := [
        v for v in (place.values() if isinstance(place, dict) else place) if v and isinstance(v, dict | list)
    ]:
        if rng.random() < 0.25:
            break
        place = rng.choice(inner)
    keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
    if not keys:
        return
    key, kind = rng.choice(keys), rng.random()
    if kind < 0.2:
        del place[key]
    elif kind < 0.4 and isinstance(place, dict):
        place[str(rng.choice((*ODD, *keys)))[:200]] = odd_value(rng)
    else:
        place[key] = (
            odd_value(rng)
            if rng.random() < 0.8
            else rng.choice(("5m", "-1h", "9999999d", ["*"], ["[", "**"], 0.5, "session", "§"))
        )


def _text(rng: Random) -> str:
    odd = odd_value(rng)
    return (odd if isinstance(odd, str) else str(odd)).replace("\x00", "")[:500]
