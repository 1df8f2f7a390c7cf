"""sort_events equals sorted(), whatever fits into memory, and leaves nothing behind."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import FunnelwatchError
from schemas.event import Event
from streams import sorting
from streams.sorting import event_time, sort_events

events = st.builds(
    Event,
    event=st.sampled_from(("view", "cart")),
    ts=st.integers(0, 20),
    event_id=st.uuids().map(str),
    revenue=st.none() | st.integers(-(2**62), 2**62),
    properties=st.none()
    | st.dictionaries(st.text(max_size=3), st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=3)),
)


def told(found: Iterable[Event]) -> list[dict[str, object]]:
    """All that they say, however they were packed."""
    return [msgspec.structs.asdict(event) for event in found]


@given(given_events=st.lists(events, max_size=60), limit=st.integers(1, 70))
def test_it_is_sorted_and_stable_for_any_limit(given_events: list[Event], limit: int) -> None:
    with patch.object(sorting, "FAN_IN", 3), patch.object(sorting, "_BLOCK_EVENTS", 2):
        assert told(sort_events(given_events, limit=limit)) == told(sorted(given_events, key=event_time))


def numbered(count: int) -> list[Event]:
    return [Event(event="view", ts=(k * 7919) % 101, event_id=str(k)) for k in range(count)]


def test_any_key_will_do() -> None:
    given_events = numbered(50)
    by_id = sorted(given_events, key=lambda event: event.event_id)
    assert told(sort_events(given_events, lambda event: event.event_id, limit=7)) == told(by_id)


def test_what_fits_touches_no_disk(tmp_path: Path) -> None:
    nowhere = tmp_path / "absent"
    assert len(list(sort_events(numbered(10), directory=nowhere, limit=10))) == 10
    with pytest.raises(FunnelwatchError, match="absent: can't sort on disk: No such file"):
        list(sort_events(numbered(11), directory=nowhere, limit=10))


def test_more_is_spilled_and_removed_at_the_end(tmp_path: Path) -> None:
    stream = sort_events(numbered(1_000), directory=tmp_path, limit=10)
    first = next(stream)
    runs = list(tmp_path.glob("funnelwatch-sort-*/*"))
    assert 1 < len(runs) < 2 * sorting.FAN_IN
    assert [event.ts for event in (first, *stream)] == sorted((k * 7919) % 101 for k in range(1_000))
    assert list(tmp_path.iterdir()) == []


def test_closing_early_removes_the_files(tmp_path: Path) -> None:
    stream = sort_events(numbered(100), directory=tmp_path, limit=10)
    assert len(list(islice(stream, 5))) == 5
    stream.close()
    assert list(tmp_path.iterdir()) == []


def test_no_more_than_the_limit_is_held(tmp_path: Path) -> None:
    """At each event taken from the source, all earlier ones but the last `limit` are on disk."""
    on_disk: list[int] = []

    def source() -> Iterator[Event]:
        for event in numbered(35):
            on_disk.append(len(list(tmp_path.glob("*/*"))))
            yield event

    list(sort_events(source(), directory=tmp_path, limit=10))
    assert [on_disk[k] for k in (0, 9, 10, 11, 19, 20, 30)] == [0, 0, 0, 1, 1, 2, 3]


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with (
        patch.object(Path, "open", side_effect=OSError(28, "No space left on device")),
        pytest.raises(FunnelwatchError, match=r"can't sort on disk: No space left on device; free some space"),
    ):
        list(sort_events(numbered(20), directory=tmp_path, limit=10))


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="limit"):
        list(sort_events([], limit=0))
