"""The shipped definitions over the real data: literal figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.batch.conftest import Call
from tests.unit.batch.samples import events


def documents(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def units(document: dict[str, Any]) -> list[int]:
    return [stage["units"] for stage in document["stages"]]


def test_otto(call: Call, shared_data: Path, examples: Path) -> None:
    given = [shared_data / "otto" / "train.jsonl", "--format", "otto", "--json"]
    result = call(*given, "--funnels", examples / "otto" / "funnels.toml")
    (found,) = documents(result.stdout)
    assert (found["funnel"], found["unit"], found["units"], found["attempts"]) == ("orders", "session", 20, 24)
    assert [stage["stage"] for stage in found["stages"]] == ["clicks", "carts", "orders"]
    assert units(found) == [20, 7, 2]
    assert found["events"] == events(read=862, matched=862)
    assert set(found) == {"funnel", "unit", "units", "attempts", "stages", "revenue", "by", "events"}
    assert "read 862 records" in result.stderr

    quick = call(*given, "--stages", "clicks > carts > orders", "--window", "35d")
    (tried,) = documents(quick.stdout)
    assert tried["stages"] == found["stages"]


def test_shop(call: Call, shared_data: Path, examples: Path) -> None:
    here = examples / "shop"
    result = call(
        shared_data / "shop" / "ecom.csv.gz",
        *("--mapping", here / "mapping.toml", "--funnels", here / "funnels.toml", "--by", "channel", "--json"),
    )
    (found,) = documents(result.stdout)
    assert found["events"] == events(read=31_106, matched=11_527, ignored=19_549, duplicate=30)
    assert units(found) == [2868, 944, 443, 360, 269, 255]
    by = {value: cell["stages"][0]["attempts"] for value, cell in found["by"]["channel"].items()}
    assert by == {"organic": 1011, "paid_search": 798, "email": 519, "social": 437, "direct": 122}
    assert sum(by.values()) == found["attempts"] == 2887


def test_weblog(call: Call, shared_data: Path, examples: Path) -> None:
    here = examples / "weblog"
    log = shared_data / "weblog" / "apache_logs.gz"
    result = call(log, "--mapping", here / "mapping.toml", "--funnels", here / "funnels.toml", "--json")
    reading, download = documents(result.stdout)
    assert reading["funnel"] == "reading on"
    assert download["funnel"] == "download"
    for found in (reading, download):
        counts = found["events"]
        assert (counts["read"], counts["invalid"], counts["duplicate"], counts["late"]) == (10_000, 1, 19, 0)
        assert sum(counts.values()) == 20_000
    said = result.stderr.splitlines()
    assert "4,915 records older than the one before: order does not matter here, all were sorted by time" in said
    assert "1 record refused as unparseable: not of the declared format" in said
    assert f"  {log}, line 8899: no line of a combined log" in said

    only = call(
        log, "--mapping", here / "mapping.toml", "--funnels", here / "funnels.toml", "--funnel", "download", "--json"
    )
    assert documents(only.stdout) == [download]
