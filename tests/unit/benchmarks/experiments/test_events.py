"""The events of the experiments, and the costs that are measured in process."""

from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import msgspec

from benchmarks.definitions import DENSE, REALISTIC
from benchmarks.experiments import costs
from benchmarks.experiments.place import MARKER, definition, loaded, marker_funnel
from benchmarks.experiments.plan import QUICK
from benchmarks.experiments.records import NOISE, Traffic, entry, long_entry, marker
from benchmarks.experiments.sender import NOISE_RATIO
from schemas.decode import DecodeOptions, Format, decoder
from schemas.event import Event

TS = 1_748_822_400_000
decode = decoder(DecodeOptions(format=Format.AUTO))


def events(traffic: Traffic, count: int) -> list[tuple[int, bytes, Event]]:
    made = (traffic.event(TS + number) for number in range(count))
    return [(partition, key, decode(value, TS + count)) for partition, key, value in made]


def test_entries_are_sessions_of_their_own() -> None:
    for make, lengths in ((entry, (13, 17)), (long_entry, (36, 36))):
        made = [make(number, "product_view", TS, 4) for number in range(1_000)]
        found = [decode(value, TS) for _, _, value in made]
        assert len({event.session_id for event in found}) == len({event.event_id for event in found}) == 1_000
        assert {(len(event.session_id or ""), len(event.event_id)) for event in found} == {lengths}
        assert {partition for partition, _, _ in made} == {0, 1, 2, 3}
        assert all(key == (event.session_id or "").encode() for (_, key, _), event in zip(made, found, strict=True))


def test_dense_traffic_walks_the_stages_in_order_and_each_session_on_one_partition() -> None:
    walked: defaultdict[str, list[str]] = defaultdict(list)
    places: defaultdict[str, set[int]] = defaultdict(set)
    found = events(Traffic(DENSE, slots=50, partitions=3), 5_000)
    for partition, key, event in found:
        walked[event.session_id or ""].append(event.event)
        places[event.session_id or ""].add(partition)
        assert key == (event.session_id or "").encode()
    assert all(tuple(names) == DENSE[0].stages[: len(names)] for names in walked.values())
    assert all(len(numbers) == 1 for numbers in places.values())
    assert len({event.event_id for _, _, event in found}) == 5_000


def test_four_of_five_realistic_events_fit_no_stage() -> None:
    found = events(Traffic(REALISTIC, slots=500, partitions=4, noise=NOISE_RATIO), 20_000)
    assert 0.78 < sum(event.event in NOISE for _, _, event in found) / len(found) < 0.82
    assert {name for walk in REALISTIC for name in walk.stages} <= {event.event for _, _, event in found}


def test_the_same_seed_gives_the_same_traffic() -> None:
    one, other = (Traffic(REALISTIC, slots=20, partitions=4, noise=4.0, seed=3) for _ in range(2))
    assert [one.event(TS) for _ in range(500)] == [other.event(TS) for _ in range(500)]


def test_a_marker_is_an_event_of_its_own_funnel_that_names_its_partition(tmp_path: Path) -> None:
    key, value = marker(2, 7, TS)
    event = decode(value, TS)
    assert (event.event, event.session_id, event.campaign) == (MARKER, key.decode(), "p2")
    (funnel,) = loaded(marker_funnel(), tmp_path)
    assert (funnel.name, funnel.levels, funnel.dimensions) == (MARKER, (MARKER,), ("campaign",))


def test_walks_take_turns_and_begin_anew() -> None:
    made = list(islice(costs.walks(2, [("a", "b")]), 200))
    counts = Counter(session for session, _, _ in made)
    assert set(counts.values()) <= {1, 2}
    assert [name for session, name, _ in made if session == 5] == ["a", "b"]


def test_a_drive_counts_what_it_is_given(tmp_path: Path) -> None:
    drive = costs.Drive(definition(DENSE[0]), tmp_path)
    assert drive.run(costs.walks(10, [DENSE[0].stages]), 2, 500) > 0
    from schemas.metrics import ATTEMPTS_STARTED, CONVERSIONS

    started, converted = (drive.counters.net(metric, DENSE[0].name) for metric in (ATTEMPTS_STARTED, CONVERSIONS))
    assert 200 <= started <= 210
    assert started - 20 <= converted <= started


def test_open_attempts_are_what_the_later_events_move(tmp_path: Path) -> None:
    plan = msgspec.structs.replace(QUICK, open_attempts=(200, 400), chunks=1)
    (line,) = costs.by_open_attempts(plan, tmp_path)
    assert [x for x, _ in line.points] == [200.0, 400.0]
    assert all(cost > 0 for _, cost in line.points)
