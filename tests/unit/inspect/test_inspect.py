"""`funnelwatch inspect FILE`: what it recognises and proposes, that its proposals run, and that no byte of a record gets out raw."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from schemas.decode.mapping import load_mapping
from streams.cli import cli
from tests.formats.encodings import _CSV, ENCODINGS, Fields
from tests.formats.shop import shop_fields

COUNT = 1_500


@pytest.fixture(scope="module")
def events() -> list[Fields]:
    return list(shop_fields("e", COUNT))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["inspect", *arguments], catch_exceptions=False)


def found(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def written(path: Path, encoding: str, events: list[Fields]) -> Path:
    lines = [ENCODINGS[encoding].write(fields) for fields in events]
    if encoding == "csv":
        lines.insert(0, ";".join([*_CSV, "arm", "sku", "category"]).encode())
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    return path


@pytest.mark.parametrize(
    "encoding, name, form",
    [
        ("native", "native JSON", "auto"),
        ("cloudevents", "CloudEvents", "cloudevents"),
        ("segment", "Segment", "segment"),
        ("snowplow", "Snowplow enriched TSV", "snowplow"),
        ("mapped", "JSON of its own", "mapping"),
        ("csv", "CSV", "mapping"),
    ],
)
def test_each_encoding_is_recognised_and_what_is_proposed_reads_every_record(
    encoding: str, name: str, form: str, events: list[Fields], tmp_path: Path
) -> None:
    document = found(str(written(tmp_path / "events.gz", encoding, events)))
    assert (document["encodings"], document["format"]) == ({name: COUNT}, form)
    assert (document["dead_letters"], document["refused"]) == (0.0, [])
    shares = {field["name"]: field["share"] for field in document["fields"]}
    assert all(shares[field] == 1.0 for field in ("event", "timestamp", "event_id", "session_id", "visitor_id"))
    people = [fields for fields in events if not re.search("(?i)bot|spider|crawl", fields["user_agent"])]
    assert document["events"]["add_to_cart"] == sum(fields["event"] == "add_to_cart" for fields in people)
    assert (document["first"], document["last"]) == (
        min(fields["timestamp"] for fields in people), max(fields["timestamp"] for fields in people),
    )  # fmt: skip
    assert 'preset = "ecommerce"' in document["funnels"]


def test_what_is_written_runs(events: list[Fields], tmp_path: Path) -> None:
    path = written(tmp_path / "shop.json.gz", "mapped", events)
    folder = tmp_path / "proposed"
    result = run(str(path), "--write", str(folder))
    assert result.exit_code == 0
    assert sorted(file.name for file in folder.iterdir()) == ["funnels.toml", "mapping.toml"]
    again = run(str(path), "--write", str(folder))
    assert again.exit_code == 2
    assert "is there already; nothing was written" in again.stderr
    batch = [
        "batch",
        str(path),
        "--mapping",
        str(folder / "mapping.toml"),
        "--funnels",
        str(folder / "funnels.toml"),
        "--json",
    ]
    answer = CliRunner().invoke(cli, batch, catch_exceptions=False)
    report = json.loads(answer.stdout)
    assert (report["funnel"], report["events"]["read"], report["events"]["invalid"]) == ("ecommerce", COUNT, 0)
    assert report["stages"][0]["attempts"] > 50


def json_lines(path: Path, records: list[Any]) -> str:
    path.write_bytes(b"".join(json.dumps(record).encode() + b"\n" for record in records))
    return str(path)


TIMES: dict[str, Callable[[int], Any]] = {
    "epoch s": lambda n: 1_714_566_000 + n,
    "epoch ms": lambda n: 1_714_566_000_000 + n,
    "ISO": lambda n: f"2024-05-01T12:{n % 60:02d}:00Z",
    "%d.%m.%Y %H:%M": lambda n: f"{n % 15 + 13}.05.2024 12:{n % 60:02d}",
    "%m/%d/%Y %H:%M:%S": lambda n: f"05/{n % 15 + 14}/2024 12:00:{n % 60:02d}",
}


@pytest.mark.parametrize("written_as", TIMES)
def test_names_and_times_of_others_are_guessed(written_as: str, tmp_path: Path) -> None:
    records = [
        {"user": {"id": f"u{n % 9}"}, "created": TIMES[written_as](n), "category": "cart", "action": ["add", "remove"][n % 2],
         "geo": {"country": "DE"}, "total_cents": 1999, "page": {"href": "https://a.example/x"}}
        for n in range(60)
    ]  # fmt: skip
    document = found(json_lines(tmp_path / "a.json", records))
    mapping = document["mapping"]
    assert 'event = "{category}_{action}"' in mapping
    assert 'user_id = "user.id"' in mapping
    assert 'timestamp = "created"' in mapping
    assert 'revenue = "total_cents"' in mapping
    assert 'revenue = "cents"' in mapping
    assert 'url = "page.href"' in mapping
    assert (f'timestamp = "{written_as}"' in mapping) is ("%" in written_as)
    assert document["events"] == {"cart_add": 30, "cart_remove": 30}
    assert document["distinct"]["visitor"] == 9
    assert document["dead_letters"] == 0.0
    assert 'name = "draft"' in document["funnels"]


def test_what_is_not_recognised_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "Zeit;Aktion;Besucher\n" + "".join(f"2026-03-01 10:0{n}:00;Ansicht;a\n" for n in range(3))
    )
    mapping = found(str(tmp_path / "a.csv"))["mapping"]
    assert mapping.splitlines()[:2] == [
        '# Not recognised: what happened. Write `event = "FIELD"` here.',
        '# Not recognised: who. Write `session_id`, `visitor_id` or `user_id = "FIELD"` under [fields].',
    ]
    remedied = mapping.replace('"properties.aktion"', "event").replace('"properties.besucher"', "visitor_id")
    (tmp_path / "mapping.toml").write_text(remedied)
    assert load_mapping(tmp_path / "mapping.toml").fields["visitor_id"] == "Besucher"


def test_the_share_of_dead_letters_and_their_reasons(tmp_path: Path) -> None:
    good = {"event": "a", "timestamp": 1_714_566_000_000, "visitor_id": "v"}
    records = (
        [good] * 14 + [good | {"timestamp": "soon"}] * 4 + [{"event": "a", "timestamp": 1}, good | {"visitor_id": ""}]
    )
    document = found(json_lines(tmp_path / "a.json", records))
    assert document["dead_letters"] == 0.3
    assert {each["reason"]: each["records"] for each in document["refused"]} == {
        "bad_timestamp": 4, "timestamp_out_of_range": 1, "bad_id": 1,
    }  # fmt: skip


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egnp.exe\r\x08"


def test_hostile_bytes_reach_no_terminal(tmp_path: Path) -> None:
    evil = {HOSTILE: HOSTILE, "event": HOSTILE.replace("\r", ""), "timestamp": 1_714_566_000_000, "visitor_id": "v"}
    files = [
        json_lines(tmp_path / "json", [evil] * 5 + [{"event": "a", "timestamp": HOSTILE, "visitor_id": HOSTILE}]),
        json_lines(
            tmp_path / "own",
            [{HOSTILE: HOSTILE, "action": "x" + HOSTILE, "time": 1_714_566_000_000 + n, "user": "v"} for n in range(9)],
        ),
    ]
    raw = tmp_path / "raw.csv"
    raw.write_bytes(
        (f"event,timestamp,visitor_id,{HOSTILE.strip()}\n".encode() + b"a,1714566000000,v,\x1b[2J\x9b\xff\x00\n") * 3
    )
    for file in [*files, str(raw)]:
        for flags in ([], ["--json"]):
            result = run(file, *flags)
            shown = result.stdout + result.stderr
            assert result.exit_code == 0, shown
            assert not [char for char in shown if not char.isprintable() and char != "\n"], (file, flags)


@pytest.mark.parametrize(
    "content, words",
    [(b"", "is empty"), (b"\x00\x01\xff\xfe" * 50, "not recognised"), (b"prose\nand more", "not recognised")],
)
def test_a_file_that_is_none_is_told_in_one_line(content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(content)
    result = run(str(tmp_path / "f"))
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert run(str(tmp_path / "missing.csv")).stderr.count("\n") == 1
