"""GroupedEvents gives back what was put in, by unit, however little fits into memory, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import FunnelwatchError
from streams.batch.grouped import GroupedEvents
from streams.engine.state import Hit, Money


def fill(grouped: GroupedEvents, keys: list[str]) -> None:
    for number, key in enumerate(keys):
        unit = grouped.unit(key)
        if number % 3 == 0:
            unit.hits.append(Hit(number, str(number), 1, 0, False, ("paid",), Money(5, "EUR", None, "o")))
        elif number % 3 == 1:
            unit.ignored.append(str(number))
        else:
            unit.bots.append(str(number))


def contents(grouped: GroupedEvents) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, events in grouped.groups():
        assert key not in found
        found[key] = sorted([*(hit.event_id for hit in events.hits), *events.ignored, *events.bots], key=int)
    return found


def expected(keys: list[str]) -> dict[str, list[str]]:
    return {key: [str(number) for number, other in enumerate(keys) if other == key] for key in keys}


@settings(deadline=None)
@given(st.lists(st.integers(0, 30).map(str), max_size=200), st.integers(1, 300))
def test_every_unit_comes_once_with_all_its_events(keys: list[str], limit: int) -> None:
    with GroupedEvents(limit) as grouped:
        fill(grouped, keys)
        assert contents(grouped) == expected(keys)


def test_a_part_that_is_too_large_is_spread_again() -> None:
    keys = [f"unit {number % 400}" for number in range(1_200)]
    with GroupedEvents(20) as grouped:  # 64 parts that weigh about 30
        fill(grouped, keys)
        assert grouped.spilled
        assert contents(grouped) == expected(keys)


def test_one_unit_larger_than_the_limit_is_still_whole() -> None:
    keys = ["crowd"] * 500 + ["other"]
    with GroupedEvents(10) as grouped:
        fill(grouped, keys)
        assert contents(grouped) == expected(keys)


def test_what_fits_touches_no_disk(tmp_path: Path) -> None:
    with GroupedEvents(100, tmp_path / "absent") as grouped:
        fill(grouped, ["a", "b"])
        assert not grouped.spilled
        assert contents(grouped) == expected(["a", "b"])


def test_the_file_has_no_name_and_a_missing_folder_is_one_clear_line(tmp_path: Path) -> None:
    with GroupedEvents(1, tmp_path) as grouped:
        fill(grouped, ["a", "b", "c"])
        assert grouped.spilled
        assert list(tmp_path.iterdir()) == []
    with (
        GroupedEvents(1, tmp_path / "absent") as grouped,
        pytest.raises(FunnelwatchError, match="absent: can't group events on disk: No such file or directory; free"),
    ):
        fill(grouped, ["a", "b", "c"])
