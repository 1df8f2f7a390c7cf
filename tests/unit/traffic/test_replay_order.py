"""What replay sends, in which order and under which key, seen by a sender that only remembers."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from schemas.decode import DecodeOptions, Format, RawRecord, decoder
from schemas.errors import ConfigError
from schemas.event import Event
from schemas.funnel import Unit
from schemas.settings import Settings
from schemas.settings.sections import Source
from streams.commands.replay import find_source, replay_command
from streams.replay import ReplayInput, ReplayPlan, ReplayProgress, replay, unit_key
from streams.replay_view import ReplayView, moment
from streams.traffic import Traffic, TrafficConfig

MONDAY = 1_767_571_200_000


class Memory:
    """A sender that keeps what it is given. Raises KeyboardInterrupt at record number `interrupt`."""

    def __init__(self, interrupt: int = -1) -> None:
        self.sent: list[tuple[bytes, bytes | None]] = []
        self.beats: list[int] = []
        self.flushed = 0
        self.interrupt = interrupt

    def send(self, value: bytes, key: bytes | None) -> None:
        if len(self.sent) == self.interrupt:
            raise KeyboardInterrupt
        self.sent.append((value, key))

    def heartbeat(self, ts: int) -> None:
        self.beats.append(ts)

    def flush(self) -> None:
        self.flushed += 1


class FakeClock:
    def __init__(self, stop_at: int | None = None) -> None:
        self.now, self.stop_at = MONDAY + 10**10, stop_at

    def now_ms(self) -> int:
        return self.now

    def wait_until(self, ms: int) -> bool:
        if self.stop_at is not None and ms > self.stop_at:
            return False
        self.now = max(self.now, ms)
        return True


def given(lines: list[bytes]) -> list[ReplayInput]:
    decode = decoder(DecodeOptions(format=Format.NATIVE))
    raw = [RawRecord(line, number) for number, line in enumerate(lines, 1)]
    return [ReplayInput(raw, lambda data: decode(data, MONDAY + 10**10))]


def event(ts: int, **fields: object) -> bytes:
    return msgspec.json.encode({"event": "view_item", "timestamp": ts, "session_id": "s", **fields})


def times(sender: Memory) -> list[int]:
    return [msgspec.json.decode(value)["timestamp"] for value, _ in sender.sent]


SHUFFLED = [MONDAY + second * 1_000 for second in (5, 1, 3, 2, 4)]


def test_events_are_sorted_and_the_heartbeat_is_the_newest() -> None:
    sender = Memory()
    done = replay(given([event(ts) for ts in SHUFFLED]), sender, ReplayPlan(limit=2), FakeClock())
    assert times(sender) == sorted(SHUFFLED)
    assert sender.beats == [MONDAY + 5_000]
    assert (done.read, done.events, done.sent, done.refused, done.stopped) == (5, 5, 5, 0, False)
    assert (done.reached, done.newest) == (MONDAY + 5_000, MONDAY + 5_000)


def test_as_is_keeps_the_order_of_the_files() -> None:
    sender = Memory()
    done = replay(given([event(ts) for ts in SHUFFLED]), sender, ReplayPlan(as_is=True), FakeClock())
    assert times(sender) == SHUFFLED
    assert (done.reached, sender.beats) == (MONDAY + 4_000, [MONDAY + 5_000])


def test_what_is_no_event_goes_on_unchanged_and_without_a_key() -> None:
    sender = Memory()
    lines = [event(SHUFFLED[0]), b'{"event": "x"', b"\xff\x00", event(SHUFFLED[1])]
    done = replay(given(lines), sender, ReplayPlan(), FakeClock())
    assert [pair for pair in sender.sent if pair[1] is None] == [(b'{"event": "x"', None), (b"\xff\x00", None)]
    assert (done.sent, done.refused) == (4, 2)
    assert times(Memory()) == []


def test_files_are_merged_by_time() -> None:
    sender = Memory()
    replay(
        given([event(MONDAY + 1), event(MONDAY + 4)]) + given([event(MONDAY + 2)]), sender, ReplayPlan(), FakeClock()
    )
    assert times(sender) == [MONDAY + 1, MONDAY + 2, MONDAY + 4]


def test_an_old_heartbeat_is_left_out_and_nothing_gives_no_heartbeat() -> None:
    sender = Memory()
    old = msgspec.json.encode({"event": "$heartbeat", "timestamp": MONDAY})
    done = replay(given([old]), sender, ReplayPlan(), FakeClock())
    assert (sender.sent, sender.beats, sender.flushed, done.stopped) == ([], [], 1, False)


@pytest.mark.parametrize("as_is", [False, True])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_an_interrupt_ends_it_cleanly_without_a_heartbeat(at: int, as_is: bool) -> None:
    sender = Memory(interrupt=at)
    done = replay(given([event(ts) for ts in SHUFFLED]), sender, ReplayPlan(as_is=as_is), FakeClock())
    assert (done.stopped, done.sent, sender.beats, sender.flushed) == (True, at, [], 1)


@pytest.mark.parametrize("as_is", [False, True])
def test_a_clock_that_says_stop_ends_it_too(as_is: bool) -> None:
    sender = Memory()
    clock = FakeClock(stop_at=MONDAY + 10**10 + 2_500)
    ordered = [event(ts) for ts in sorted(SHUFFLED)]
    done = replay(given(ordered), sender, ReplayPlan(speed=1.0, as_is=as_is), clock)
    assert (done.stopped, done.sent, sender.beats) == (True, 3, [])


def test_the_last_event_of_all_may_be_the_one_that_is_stopped() -> None:
    sender = Memory()
    clock = FakeClock(stop_at=MONDAY + 10**10 + 3_500)
    done = replay(given([event(ts) for ts in sorted(SHUFFLED)]), sender, ReplayPlan(speed=1.0), clock)
    assert (done.stopped, done.sent, sender.beats) == (True, 4, [])


def test_speed_keeps_the_rhythm_of_the_files() -> None:
    clock, sender = FakeClock(), Memory()
    replay(given([event(MONDAY), event(MONDAY + 60_000)]), sender, ReplayPlan(speed=10.0), clock)
    assert clock.now - (MONDAY + 10**10) == 6_000


def test_the_key_is_the_id_of_the_declared_unit() -> None:
    whole = Event(event="e", ts=1, event_id="i", session_id="s", visitor_id="v", user_id="u", account_id="a")
    assert [unit_key(whole, unit) for unit in (*Unit, None)] == [b"s", b"v", b"a", b"v"]
    user = Event(event="e", ts=1, event_id="i", user_id="ü")
    assert [unit_key(user, unit) for unit in (*Unit, None)] == ["ü".encode()] * 4
    session = Event(event="e", ts=1, event_id="i", session_id="s")
    assert [unit_key(session, unit) for unit in (*Unit, None)] == [b"s", None, None, b"s"]


def test_all_of_a_days_traffic_survives_the_way() -> None:
    traffic = Traffic(TrafficConfig(seed=3, start_ms=MONDAY, visitors_per_day=2_000))
    records = list(traffic.records(MONDAY + 6 * 3_600_000))
    sender = Memory()
    done = replay(given([record.data for record in records]), sender, ReplayPlan(limit=500), FakeClock())
    decode = decoder(DecodeOptions(format=Format.NATIVE))

    def events(values: Iterator[bytes]) -> list[Event]:
        return sorted((decode(value, MONDAY + 10**10) for value in values), key=lambda e: (e.ts, e.event_id))

    good = [record.data for record in records if record.bad is None]
    assert done.refused == traffic.counts.bad.total() == pytest.approx(14, abs=8)
    assert events(value for value, key in sender.sent if key) == events(iter(good))


def sources(*topics: str, **fields: object) -> Settings:
    return Settings(sources=tuple(Source(topic=topic, **fields) for topic in topics))  # type: ignore[arg-type]


def test_the_only_source_is_meant_unless_one_is_named() -> None:
    assert find_source(sources("clicks", keyed_by=Unit.SESSION), None).keyed_by is Unit.SESSION
    assert find_source(sources("clicks", "shop"), "shop").topic == "shop"
    assert find_source(sources("clicks"), "other") == Source(topic="other")


@pytest.mark.parametrize(
    "settings,topic,message",
    [
        (sources(), None, "--topic: no source is declared; name the topic"),
        (sources("a", "b"), None, r"--topic: there are several sources \(a, b\)"),
        (
            sources("a", format=Format.CSV),
            "a",
            r"\[\[sources\]\] a: is declared with format = 'csv', but replay writes",
        ),
        (sources("a", mapping=Path("m.toml")), "a", "is declared with a mapping, but replay writes"),
    ],
)
def test_a_topic_that_cant_be_meant_is_refused(settings: Settings, topic: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        find_source(settings, topic)


def test_the_summary_says_what_happened() -> None:
    progress = ReplayProgress()
    progress.read, progress.events, progress.sent, progress.refused = 12, 10, 12, 2
    progress.reached = MONDAY
    ticks = iter((0.0, 2.0, 2.0))
    view = ReplayView(progress, [], as_is=True, seconds=lambda: next(ticks))
    assert view.summary("clicks") == (
        "10 events sent to clicks, and 2 records that are none (they will be dead letters); "
        "event time reached 2026-01-05 00:00:00 UTC; 6 records/s."
    )
    progress.stopped = True
    assert view.summary("clicks").startswith("stopped: 10 events sent to clicks")


def test_times_beyond_all_calendars_are_shown_as_numbers() -> None:
    assert moment(10**17) == "100000000000000000 ms"


def test_a_missing_file_and_a_strange_speed_are_one_line_and_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_text('[[sources]]\ntopic = "clicks"\n')
    config = ["--config", str(tmp_path / "f.toml")]
    result = CliRunner().invoke(replay_command, [str(tmp_path / "absent.jsonl"), *config])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "absent.jsonl: can't be read" in result.output
    result = CliRunner().invoke(replay_command, ["x", "--speed", "0"])
    assert result.exit_code == 2
    assert "'0' is neither max nor a number above 0" in result.output
