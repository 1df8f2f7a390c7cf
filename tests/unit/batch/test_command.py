"""The command: which funnels, which files, what is printed where, and every mistake as one line with exit code 2."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import msgspec
import pytest

from tests.unit.batch.conftest import Call
from tests.unit.batch.samples import line

GOLDEN = Path(__file__).parents[2] / "golden"

#: Forty visits of a shop in two channels, some of what a file should not hold, and an event a day later.
VISITS = [
    line(name, 600 * visit + 45 * step, f"s{visit}", channel="paid" if visit % 3 else "mail", **paid)
    for visit in range(40)
    for step, name in enumerate(("view", "cart", "search", "buy")[: 1 + visit % 4])
    for paid in ([{"revenue": "19.99", "currency": "EUR", "order_id": f"o{visit}"}] if name == "buy" else [{}])
]
ODD = [b"not json", b'{"event":"view","session_id":"s"}', VISITS[0], line("view", 5, "crawler", bot=True)]
LINES = [*VISITS, *ODD, line("search", 120_000, "last")]

FUNNELS = """
[[funnels]]
name = "shop"
unit = "session"
window = "1h"
dimensions = ["channel"]
stages = [
    { name = "view", events = ["view"] },
    { name = "cart", events = ["cart"] },
    { name = "buy", events = ["buy"], value = "revenue" },
]

[[funnels]]
name = "searches"
unit = "session"
stages = [{ name = "search", events = ["search"] }]
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A file of LINES, with FUNNELS beside it as shop.toml."""
    (tmp_path / "shop.toml").write_text(FUNNELS)
    path = tmp_path / "shop.jsonl"
    path.write_bytes(b"\n".join(LINES) + b"\n")
    return path


def test_a_field_that_the_funnel_does_not_declare_breaks_it_down_as_well(call: Call, shop: Path) -> None:
    result = call(
        shop.name, "--funnels", "shop.toml", "--funnel", "shop", "--by", "device", "--by", "channel", "--json"
    )
    assert result.exit_code == 0
    by = msgspec.json.decode(result.stdout)["by"]
    assert list(by) == ["device", "channel"]
    assert {value: cell["stages"][0]["attempts"] for value, cell in by["device"].items()} == {"(none)": 40}


def test_the_drawn_report(call: Call, shop: Path) -> None:
    result = call(shop.name, "--funnels", "shop.toml", "--by", "channel", "--funnel", "shop")
    assert result.exit_code == 0
    drawn = "\n".join(row.rstrip() for row in result.stdout.splitlines()) + "\n"
    golden = GOLDEN / "batch_report.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(drawn)
    assert drawn == golden.read_text()
    assert max(map(len, drawn.splitlines())) <= 80
    assert "\x1b" not in drawn


def test_what_was_left_out_is_said_on_standard_error(call: Call, shop: Path) -> None:
    result = call(shop.name, "--funnels", "shop.toml", "--funnel", "shop", "--json")
    first, *rest, refused, last = result.stderr.splitlines()
    assert first.startswith("read 105 records in 0.")
    assert rest == [
        "1 record older than the one before: order does not matter here, all were sorted by time",
        "1 record of bots, internal or test traffic: left out",
        "1 record refused as missing_timestamp: no time",
        "  shop.jsonl, line 102: timestamp is not given",
        "1 record refused as unparseable: not of the declared format",
    ]
    assert refused.startswith("  shop.jsonl, line 101: ")  # the decoder's own words follow
    assert last == "shop: 21 records fit no stage: search 21"


def test_json_is_one_line_for_each_funnel(call: Call, shop: Path) -> None:
    result = call(shop.name, "--funnels", "shop.toml", "--json")
    assert [json.loads(row)["funnel"] for row in result.stdout.splitlines()] == ["shop", "searches"]
    shop_only = json.loads(result.stdout.splitlines()[0])
    assert shop_only["revenue"] == {"EUR": "199.90"}
    assert shop_only["events"] == {
        "read": 105, "matched": 80, "ignored": 21, "duplicate": 1, "late": 0, "invalid": 2, "bot": 1,
    }  # fmt: skip


def test_gzip_many_files_and_standard_input_are_the_same(call: Call, shop: Path, tmp_path: Path) -> None:
    asked = ("--funnels", "shop.toml", "--json")
    whole = call(shop.name, *asked).stdout
    (tmp_path / "shop.jsonl.gz").write_bytes(gzip.compress(shop.read_bytes()))
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(LINES[50:]))
    (tmp_path / "b.jsonl").write_bytes(b"\n".join(LINES[:50]))
    assert call("shop.jsonl.gz", *asked).stdout == whole
    assert call("a.jsonl", "b.jsonl", *asked).stdout == whole
    assert call("-", *asked, input=shop.read_bytes()).stdout == whole
    assert call("-", "--format", "jsonl", *asked, input=gzip.compress(shop.read_bytes())).stdout == whole


def test_funnels_come_from_the_settings_if_they_are_there(call: Call, shop: Path, tmp_path: Path) -> None:
    expected = call(shop.name, "--funnels", "shop.toml", "--json").stdout
    (tmp_path / "funnelwatch.toml").write_text('funnels = "shop.toml"\n')
    assert call(shop.name, "--json").stdout == expected
    (tmp_path / "funnelwatch.toml").rename(tmp_path / "other.toml")
    assert call(shop.name, "--json", "--config", "other.toml").stdout == expected


def test_a_preset(call: Call, tmp_path: Path) -> None:
    names = ("view_item", "add_to_cart", "begin_checkout", "purchase")
    (tmp_path / "e.jsonl").write_bytes(b"\n".join(line(name, at, channel="paid") for at, name in enumerate(names)))
    found = json.loads(call("e.jsonl", "--preset", "ecommerce", "--by", "channel", "--json").stdout)
    assert found["funnel"] == "ecommerce"
    assert found["units"] == 1
    assert found["events"]["matched"] == 4
    assert list(found["by"]["channel"]) == ["paid"]


def test_stages_in_one_line(call: Call, shop: Path) -> None:
    quick = call(shop.name, "--stages", "view|list > ca* > buy > buy", "--window", "1h", "--by", "channel", "--json")
    found = json.loads(quick.stdout)
    assert [stage["stage"] for stage in found["stages"]] == ["view", "ca", "buy", "buy 2"]
    assert [stage["attempts"] for stage in found["stages"]] == [40, 30, 10, 0]
    assert list(found["by"]) == ["channel"]
    unordered = call(shop.name, "--stages", "cart > view", "--mode", "unordered", "--unit", "session", "--json")
    assert [stage["stage"] for stage in json.loads(unordered.stdout)["stages"]] == ["1 of 2", "2 of 2"]


def test_a_definition_that_fits_nothing_names_what_is_there(call: Call, shop: Path) -> None:
    said = call(shop.name, "--stages", "purchase", "--json").stderr
    assert "stages: 102 records fit no stage: view 41, cart 30, search 21, buy 10" in said
    assert "stages: no attempt: nothing fits its first stage, purchase; see the names above and its `events`" in said


@pytest.mark.parametrize(
    "arguments,told",
    [
        (
            ("shop.jsonl",),
            "funnels.toml: no funnel is defined: there is no such file; name a file with --funnels, a ready one with",
        ),
        (("absent.jsonl", "--stages", "view"), "absent.jsonl: can't be read: No such file or directory"),
        ((".", "--stages", "view"), ".: is a folder; name the files in it"),
        (("empty.jsonl", "--stages", "view"), "empty.jsonl: is empty; give a file with events"),
        (("shop.jsonl", "--funnels", "absent.toml"), "absent.toml: no such file"),
        (
            ("shop.jsonl", "--funnels", "shop.toml", "--funnel", "shpo"),
            "shop.toml has no funnel 'shpo'; did you mean shop?",
        ),
        (("shop.jsonl", "--funnels", "shop.toml", "--by", "devise"), 'did you mean "device"?'),
        (
            ("shop.jsonl", "--funnels", "shop.toml", "--by", "visitor_id"),
            '"visitor_id" is an id: each would be a value',
        ),
        (("shop.jsonl", "--preset", "ecomerce"), '"ecomerce" is not a preset; did you mean "ecommerce"?'),
        (("shop.jsonl", "--stages", "view > > buy"), "--stages: 'view > > buy' has an empty stage"),
        (("shop.jsonl", "--stages", "view", "--window", "soon"), '"soon" is not a duration'),
        (("shop.jsonl", "--stages", "view", "--by", "chanel"), 'did you mean "channel"?'),
        (("shop.jsonl", "--stages", "view", "--preset", "aida"), "--funnels, --preset and --stages exclude each other"),
        (("shop.jsonl", "--preset", "aida", "--window", "1h"), "--window goes with --stages"),
        (("shop.jsonl", "--stages", "view", "--mapping", "absent.toml"), "absent.toml: no such file"),
        (
            ("other.jsonl", "--stages", "view"),
            "other.jsonl: its JSON has no `event` and `timestamp`; say where they are",
        ),
        (("shop.jsonl", "--stages", "view", "--format", "xml"), "'xml' is not one of"),
    ],
)
def test_mistakes_are_one_line(call: Call, shop: Path, tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    assert shop.is_file()
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    (tmp_path / "other.jsonl").write_bytes(b'{"what": "view", "when": 1}\n')
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert told in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_pipe_is_read_once_and_wholly(call: Call, shop: Path, tmp_path: Path) -> None:
    import threading

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(shop.read_bytes()))
    writer.start()
    result = call("pipe", "--funnels", "shop.toml", "--json")
    writer.join(10)
    assert result.stdout == call(shop.name, "--funnels", "shop.toml", "--json").stdout


def test_a_name_in_the_data_is_never_markup_or_control(call: Call, tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(
        line("view", 0) + b'\n{"event":"\\u001b[31m","timestamp":1,"session_id":"s"}\n' + line("[red]", 1)
    )
    result = call("e.jsonl", "--stages", "view")
    assert "\x1b" not in result.stdout + result.stderr
    assert "[red] 1" in result.stderr
