"""Records that are read without Python come to the same as decoded ones: the same rows, states, counts and counters, byte for byte."""

from __future__ import annotations

import gc
import hashlib
import json
import sys
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest

from benchmarks.workloads import Workload, dense, realistic
from schemas.decode import Decode, DecodeOptions, Format, Internal, decoder
from schemas.errors import InvalidEvent
from schemas.event import HEARTBEAT
from schemas.funnel import Funnel, Unit
from schemas.privacy.protect import protector
from schemas.reasons import Reason
from schemas.settings.loading import load_settings
from streams.decoding import readable
from streams.engine import partition as partition_module
from streams.engine.match import ID_OF, CompiledFunnel, no_rates
from streams.engine.partition import Partition
from streams.engine.usual import Readable
from tests.unit.engine.both_ways import Both, Side, in_cents, in_order, needs_compiled
from tests.unit.engine.feeding import event, funnel, stage

pytestmark = needs_compiled

T0 = 1_748_822_400_000
OPTIONS = DecodeOptions(
    earliest=T0 - 1_000_000, default_currency="EUR", max_properties=6, max_id_length=40, max_bytes=3_000,
    internal=Internal(user_agents=("*probe*",), marks=("test", "qa")),
)  # fmt: skip


protect = protector()
assert protect is not None
PROTECT = protect


#: A record of a stage: name, number of the event, time (ms), number of the session.
STEP = b'{"event":"%c","event_id":"e%d","timestamp":%d,"session_id":"u%d","channel":"p","revenue":5,"currency":"EUR"}'


class Got(NamedTuple):
    """A record as it was fetched."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Reader(Side):
    """The side that reads records itself, and decodes what is left."""

    def __init__(
        self, funnels: Sequence[Funnel], convert: Callable[[int, str, int], int | None], options: DecodeOptions
    ) -> None:
        self.options, self.left = options, 0
        super().__init__(funnels, convert, usual=True)

    def begin(self) -> None:
        compiled = [CompiledFunnel(one, self.convert) for one in self.funnels]
        self.partition = Partition("log", 0, self.funnels[0].unit, compiled, self.store, Readable(self.options))


class BothReadings(Both):
    """The same records read, and decoded and done the general way."""

    same_calendar = False  # after a restart this one turns its pages a record earlier, which shows nowhere

    def __init__(
        self, *funnels: Funnel, options: DecodeOptions = OPTIONS, convert: Callable[[int, str, int], int | None] = no_rates
    ) -> None:  # fmt: skip
        self.quick: Reader = Reader(funnels, convert, options)
        self.general = Side(funnels, convert, usual=False)
        self.decode, self.unit = decoder(options), funnels[0].unit
        self.offset = self.read = self.ends = 0

    def feed_records(
        self, values: Iterable[tuple[bytes | None, bytes | None]], got: int = T0 + 100_000_000
    ) -> BothReadings:
        """Keys and values of records. `got`: when Kafka got them (ms)."""
        records = []
        for key, value in values:
            records.append(Got(self.offset, got, key, value))
            self.offset += 1
        for one in records:
            follow(self.general.partition, one, self.decode, self.unit)
        for one in self.quick.partition.unusual(records):
            self.quick.left += 1
            follow(self.quick.partition, one, self.decode, self.unit)
        self.read += len(records)
        assert len(self.quick.partition.recent) == len(self.general.partition.recent)
        assert self.quick.partition.meta.offset == self.general.partition.meta.offset
        assert self.quick.partition.clock == self.general.partition.clock
        return self


def follow(partition: Partition, got: Got, decode: Decode, unit: Unit) -> None:
    """As the worker does it."""
    try:
        event = decode(got.value or b"", got.timestamp)
        own = ID_OF[unit](event)
        if (own is None or own.encode() != got.key) and event.event != HEARTBEAT:
            raise InvalidEvent(Reason.KEY_MISMATCH)  # noqa: TRY301
    except InvalidEvent:
        partition.invalid(got.offset)
    else:
        PROTECT(event, got.value or b"")
        partition.event(got.offset, event, got.timestamp)


def shop(unit: Unit = Unit.SESSION, **settings: Any) -> tuple[Funnel, ...]:
    named = {"dimensions": ("channel", "device"), "window": 60_000, "lateness": 20_000} | settings
    return (
        funnel(stage("A"), stage("B", value="revenue"), stage("C"), unit=unit, **named),
        funnel(stage("K"), stage("L", value="properties.n"), name="g", version="000000000002", unit=unit, **named),
    )


def crowd(unit: Unit = Unit.SESSION, **settings: Any) -> tuple[Funnel, ...]:
    """Funnels that share stages: as entry, on the way, and as the end of two."""
    named = {"dimensions": ("channel", "device"), "window": 60_000, "lateness": 20_000} | settings
    more: list[tuple[tuple[str, ...], str, dict[str, Any]]] = [
        (("A", "C"), "h", {"lateness": 5_000, "dimensions": ()}), (("A", "B"), "i", {"window": 15_000}), (("B", "C"), "j", {}),
    ]  # fmt: skip
    return *shop(unit, **settings), *(
        funnel(
            *(stage(name, value="revenue" if name == names[-1] else None) for name in names), name=key,
            version=f"{number:012x}", unit=unit, **(named | own),
        )
        for number, (names, key, own) in enumerate(more, 3)
    )  # fmt: skip


def turned(unit: Unit = Unit.SESSION, **settings: Any) -> tuple[Funnel, ...]:
    """The same, those that are due last, last."""
    return crowd(unit, **settings)[::-1]


def short_cuts(unit: Unit = Unit.SESSION, **settings: Any) -> tuple[Funnel, ...]:
    """Stages that may be left out, several in a row."""
    named = {"dimensions": ("channel", "device"), "window": 60_000, "lateness": 20_000} | settings
    return (
        funnel(stage("A"), stage("B", optional=True), stage("C"), stage("K"), unit=unit, **named),
        funnel(
            stage("A"), stage("K", optional=True), stage("B", optional=True), stage("L", optional=True), stage("C", value="revenue"),
            name="g", version="000000000002", unit=unit, **named,
        ),
    )  # fmt: skip


def relay(unit: Unit = Unit.SESSION, **settings: Any) -> tuple[Funnel, ...]:
    """Funnels of which one begins where the other ends."""
    named = {"dimensions": ("channel", "device"), "window": 60_000, "lateness": 20_000} | settings
    return tuple(
        funnel(
            stage(first), stage(second, value="revenue"), name=second, version=f"{number:012x}", unit=unit,
            **(named | {"window": 60_000 // number}),
        )
        for number, (first, second) in enumerate((("A", "B"), ("B", "C"), ("C", "K")), 1)
    )  # fmt: skip


@pytest.mark.parametrize("workload", [dense(20_000), realistic(20_000)], ids=lambda workload: workload.name)
def test_the_streams_of_the_benchmarks_need_no_python(workload: Workload) -> None:
    funnels = [
        funnel(
            *(stage(name, name, value="revenue" if name == "purchase" else None) for name in walk.stages), name=walk.name,
            version=f"{number:012x}", unit=Unit.SESSION, window=300_000, lateness=10_000, dimensions=workload.dimensions,
        )
        for number, walk in enumerate(workload.walks)
    ]  # fmt: skip
    both, settled = BothReadings(*funnels, options=DecodeOptions()), 0

    def wake(*at: Any) -> None:
        nonlocal settled
        settled += 1
        general(*at)

    units = both.quick.partition.units
    general, units.wake = units.wake, wake  # type: ignore[assignment]
    records = list(msgspec.structs.replace(workload, rate=20).records(1))
    for start in range(0, len(records), 500):
        both.feed_records(records[start : start + 500]).chunk()
    both.compare_counters()
    assert both.ends > 300
    assert both.quick.left <= 18  # the first of each name
    assert (settled, both.quick.unwritten) == (0, 0)
    assert both.quick.written > 100


NAMES = ("a", "b", "c", "k", "l", "x", "y", "A", "", "é", HEARTBEAT)
AGENTS = ("Mozilla/5.0 (X11; Linux x86_64) Firefox/127.0", "Googlebot/2.1", "site-probe 3", "", "-", r"Mozilla\/5.0")
TEXTS: tuple[Any, ...] = (
    "ann@a.example", "ann%40a.example", "192.0.2.7", "1.2.3", "2001:db8::1", "::1", "fe80::", "a:b:c", "10:20", "a%3Ab", "v1.2.3.4.5",
    "p", "q" * 31, "r" * 32, "s" * 255, "t" * 256, "u" * 257, "", None, "é" * 128, "日" * 86, "🛒", 'a"b', "a/b", "a\\b", "a\nb", "a\tb",
    "\x7f", "\ud800", 5, True, 1.5, ["p"], {"p": "q"},
)  # fmt: skip
TIMES: tuple[Any, ...] = (
    T0 // 1000, T0 * 1000, float(T0), "2025-06-02T00:00:01Z", "2025-06-02T00:00:01.250Z", "2025-06-02T00:00:01.25Z", "2025-06-02 00:00:01Z",
    "2025-06-02T02:00:01+02:00", "2025-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2025-06-31T00:00:00Z", "2025-06-02T24:00:00Z",
    "2025-06-02T23:59:60Z", str(T0), -T0, 0, None, "", True, "soon", T0 + 200_000_000, T0 - 2_000_000, "1969-12-31T23:59:59Z",
    "0000-01-01T00:00:00Z", "2025-06-02T00:00:01.698000Z", "2025-06-02T00:00:01.698999Z", "2025-06-02T00:00:01.6Z", "2025-06-02T00:00:01.123456789Z",
    "2025-06-02T00:00:01.1234567890Z", "2025-06-02T00:00:01.Z", "2025-06-02T00:00:01", "2025-06-02T00:00:01.698000", "2025-06-02T00:00:01+00:00",
    "2025-06-02T00:00:01.698+00:00", "2025-06-01T22:30:01.698-01:30", "2025-06-02T14:00:01+14:00", "2025-06-02T02:00:01+0200", "2025-06-02T02:00:01+02",
    "2025-06-02T02:00:01+02:00:30", "2025-06-02T02:00:01+24:00", "2025-06-02T02:00:01+02:60", "2025-06-02T00:00:01Zz", "2025-06-02T00:00:01z",
    "2025-06-02T00:00", "2025-06-02t00:00:01Z", "2025-06-02T00:00:01,5Z", "2025-06-02T00:00:01 UTC", "2025-06-02T00:00:0", "2025-06-02T00:00:01-00:00",
)  # fmt: skip
AMOUNTS: tuple[Any, ...] = (
    0, 1, 5.25, 19.99, 999_999_999, 1_000_000_000, 10**18, -1, 1e3, 1.123456789, 1.1234567891, "7.50", "", None, True, [1], 1e400, 12345678901234567890,
)  # fmt: skip
HELD: tuple[Any, ...] = (
    {}, {"n": 7}, {"n": 1.5, "m": None}, {"n": "x"}, {"qa": False}, {"test": True}, {"t\u00e9st": 1}, {"a": {"b": 1}}, {"a": [1]},
    {str(n): n for n in range(6)}, {str(n): n for n in range(7)}, {"n": 10**19}, {"n": 10**30}, {"n": "a\nb"}, None, "text", 5, {"": ""},
)  # fmt: skip


def some_record(rng: Random, step: int, visits: Counter[str]) -> tuple[bytes | None, bytes | None]:
    """Mostly what a site sends, with something odd in one field of some."""
    unit = rng.choice("uvw") if rng.random() < 0.2 else f"n{rng.randrange(90)}"
    visits[unit] += 1
    said: dict[str, Any] = {
        "event_id": f"e{step}" if rng.random() < 0.95 else f"e{step - 1}", "event": rng.choice(("abc"[visits[unit] % 3 - 1], rng.choice("abcklxy"))),
        "timestamp": T0 + step * 700 + rng.choice((0, 0, 0, 0, 0, -5_000, -30_000)), "session_id": unit, "visitor_id": unit, "account_id": unit,
    }  # fmt: skip
    plain: dict[str, Callable[[], Any]] = {
        "channel": lambda: rng.choice(("p", "Paid Search")), "device": lambda: "mobile", "url": lambda: rng.choice(("https://a.example/", "https://a.example/?utm_source=x&utm_medium=cpc")),
        "referrer": lambda: rng.choice(("", "https://www.google.com/")), "revenue": lambda: rng.choice((5, 19.99)), "currency": lambda: rng.choice(("EUR", "USD", "eur", "XXZ")),
        "order_id": lambda: rng.choice(("o1", "o2")), "consent": lambda: rng.choice((True, False, "granted")), "properties": lambda: {"n": 3, "list": "x"},
        "user_agent": lambda: rng.choice(AGENTS), "ip": lambda: "192.0.2.7", "unknown": lambda: rng.choice((1, "x", None, 2.5, {"a": 1}, [1])), "variant": lambda: {"exp": "b"},
        "bot": lambda: rng.choice((False, False, True)), "test": lambda: rng.choice((False, None, True)), "cost": lambda: 0.25, "campaign": lambda: "spring",
        "type": lambda: "track", "userId": lambda: unit, "specversion": lambda: "1.0",
    }  # fmt: skip
    for name in rng.sample(sorted(plain), rng.choice((0, 2, 5))):
        said[name] = plain[name]()
    if rng.random() < 0.3:
        name = rng.choice(
            sorted({*plain, *said, "site", "user_id", "account_id", "landing_page", "owner", "term", "country"})
        )
        pool = {
            "timestamp": TIMES,
            "revenue": AMOUNTS,
            "cost": AMOUNTS,
            "properties": HELD,
            "event": NAMES,
            "user_agent": AGENTS,
            "variant": (*HELD, *TEXTS),
        }.get(name, TEXTS)
        said[name] = rng.choice(pool)
        if rng.random() < 0.2:
            del said[name]
    if rng.random() < 0.1:
        said.pop("event_id", None)
    order = list(said)
    if rng.random() < 0.5:  # else they come in the order of most records before
        rng.shuffle(order)
    text = json.dumps(
        {name: said[name] for name in order},
        ensure_ascii=rng.random() < 0.5,
        separators=rng.choice(((",", ":"), (", ", ": "))),
    ).encode("utf-8", "surrogatepass")
    return (unit.encode() if rng.random() < 0.97 else b"other"), damaged(rng, text)


def damaged(rng: Random, text: bytes) -> bytes | None:
    """The record, or now and then what is left of it."""
    luck = rng.random()
    if luck > 0.06:
        return text
    at = rng.randrange(len(text))
    match int(luck * 100):
        case 0:
            return text[:at]
        case 1:
            return (
                text[:at] + rng.choice((b"\x00", b"\xff", b'"', b"}", b",", b" ", b"\\/", b"\\u0041", b"1")) + text[at:]
            )
        case 2:
            return text[:at] + text[at + 1 :]
        case 3:
            return rng.choice((b"", b"{}", b"[]", b"null", b" " + text + b"\n", text + text, None))
        case 4:
            return text.replace(b'{"', b'{"event":"a","', 1)  # a name twice
        case _:
            return text[:at] + bytes([rng.randrange(256)]) + text[at + 1 :]


def test_any_byte_anywhere_in_a_text() -> None:
    """Sixteen bytes are looked at at once."""
    both = BothReadings(*shop())
    record = b'{"event":"a","event_id":"e%d","timestamp":%d,"session_id":"u%d","channel":"%s"}'
    places = [(place, rest) for place in (0, 7, 15, 16, 21) for rest in (0, 30)]
    for byte in range(256):
        texts = [b"x" * place + bytes([byte]) + b"y" * rest for place, rest in places]
        numbered = enumerate(texts, byte * len(texts))
        both.feed_records([(b"u%d" % n, record % (n, T0 + n, n, text)) for n, text in numbered]).chunk()
    both.compare_counters()
    assert both.read / 3 < both.quick.left < both.read * 2 / 3  # what is not ASCII may be no text at all


@pytest.mark.parametrize("written", [one for one in TIMES if isinstance(one, str)])
def test_times_as_sites_write_them(written: str) -> None:
    both = BothReadings(*shop(), options=DecodeOptions(earliest=-(1 << 60)))
    record = b'{"event":"a","event_id":"%s","timestamp":"%s","session_id":"%s"}'
    for unit in (b"u", b"v"):
        both.feed_records([(unit, record % (unit, written.encode(), unit))], 1 << 45).chunk()
    both.compare_counters()


@pytest.mark.parametrize(
    "written",
    [
        "2025-06-02T00:00:01.698000Z",
        "2025-06-02T02:00:01+02:00",
        "2025-06-02 00:00:01.5",
        "2025-06-02T00:00:01.123456789-09:30",
    ],
)
def test_times_of_the_usual_forms_need_no_python(written: str) -> None:
    both = BothReadings(*shop())
    record = b'{"event":"a","event_id":"%s","timestamp":"%s","session_id":"%s"}'
    both.feed_records([(unit, record % (unit, written.encode(), unit)) for unit in (b"u", b"v", b"w")]).chunk()
    assert (both.quick.left, both.read) == (1, 3)


def test_records_without_an_id_need_no_python() -> None:
    """However they are written; the same one counts once."""
    both, step = BothReadings(*shop()), 0
    records: list[tuple[bytes, bytes]] = []

    def written(said: list[tuple[str, Any]]) -> bytes:
        Random(len(records)).shuffle(said)
        indent, separators = len(records) % 3 or None, ((",", ":"), (" , ", ": "))[len(records) % 2]
        return json.dumps(dict(said), ensure_ascii=False, separators=separators, indent=indent).encode()

    def again(told: bytes) -> bytes:
        return written(list(json.loads(told).items()))

    for unit in range(500):
        for name in "abcx":
            step += 1
            said: list[tuple[str, Any]] = [
                ("event", name), ("timestamp", T0 + step * 10), ("session_id", f"u{unit}"), ("channel", "Frühling"), ("é", "{}"), ("variant", {"exp2": "b", "exp": "a"}),
                ("properties", {"zoom": 1.50, "n": -3, "a{}b": "x", "": None, "Z": 100.0, "z": (0, 0.25, 0.0, -0.5)[step % 4]}), ("revenue", 19.90), ("consent", True),
                ("unknown", 12345678901234567),
            ]  # fmt: skip
            records.append((f"u{unit}".encode(), written(said)))
    both.feed_records(records).chunk()
    assert both.quick.left == 4  # the first of each name
    both.feed_records([(key, again(told)) for key, told in records[-400:]]).chunk().compare_counters()
    tally = both.quick.partition.tally
    assert (tally.read, tally.repeated) == (2_400, 100)
    assert both.quick.partition.counts[0].duplicate == 300


@pytest.mark.parametrize("more", [
    b'"n":-0', b'"n":-0.0', b'"n":0.0000001', b'"n":0.000000', b'"n":-0.00000010', b'"n":0.0000010', b'"n":1e3', b'"n":00', b'"n":1,"n":2', b'"n":"a\\/b"',
    b'"n":"\\u0041"', b'"n":{"a":1,"a":2}', b'"properties":{"a":{"b":1}}', b'"properties":{"n":-0,"a":0.00000001}', b'"properties":{"userId":"5","type":"track"}',
    b'"type":"track","userId":"5"', b'"type":"page","anonymousId":null', b'"specversion":"1.0","type":"a"', b'"event_id":null', b'"event_id":""', b'"event_id":7',
    b'"n":"\x7f"', b'"a":1,"aa":2,"ab":3,"":4', b'"n":"}","m":"{"', b'"n" :\t{ "b" : "}" , "a" : 1 }', ",".join(f'"{n}":{n}' for n in range(60)).encode(),
    ",".join(f'"{n}":{n}' for n in range(61)).encode(),
])  # fmt: skip
def test_ids_of_records_that_bring_none(more: bytes) -> None:
    """As decoding makes them, or left to it."""
    both = BothReadings(*shop())
    record = b'{"event":"%s","timestamp":%d,"session_id":"u%d",%s}'
    both.feed_records(
        [(b"u%d" % n, record % (name, T0 + n, n, more)) for n in range(4) for name in (b"a", b"b", b"x", b"b")]
    )
    both.chunk().compare_counters()


@pytest.mark.parametrize("site", [shop, crowd, turned, short_cuts, relay])
@pytest.mark.parametrize("unit", [Unit.SESSION, Unit.VISITOR, Unit.ACCOUNT])
@pytest.mark.parametrize("settings", [{}, {"dimensions": ()}, {"dimensions": ("campaign", "url", "properties.n")}])
def test_whatever_records_hold(unit: Unit, settings: dict[str, Any], site: Callable[..., tuple[Funnel, ...]]) -> None:
    left = read = 0
    for number in range(12):
        rng = Random(f"{unit} {sorted(settings)} {number}")
        both = BothReadings(*site(unit, **settings), convert=rng.choice((no_rates, in_cents)))
        got = T0 + 100_000_000 if number % 3 else T0 + 60_000
        step, visits = 0, Counter[str]()
        while step < 400:
            cut = rng.randint(1, 60)
            both.feed_records([some_record(rng, step + more, visits) for more in range(cut)], got).chunk()
            step += cut
            if rng.random() < 0.1:
                both.restart()
        both.compare_counters()
        left, read = left + both.quick.left, read + both.read
    assert read - left > 250


def test_events_that_stay_need_no_python() -> None:
    """Ten pages before the product, and three products: the newest chain is the one that goes on, and its window the one that counts."""
    both, step = BothReadings(*shop(window=9_000)), 0
    for chunk in range(20):
        records = []
        for unit in range(chunk * 20, chunk * 20 + 20):
            for name in (b"aaaaaaaaaabbbc", b"abbbbb", b"aaa")[unit % 3]:
                records.append((b"u%d" % unit, STEP % (name, step, T0 + step * 900, unit)))
                step += 1
        both.feed_records(records).chunk()
    both.compare_counters()
    assert both.quick.left == 3  # the first of each name
    assert both.quick.partition.counts[0].matched == step


def test_moves_need_no_python() -> None:
    """Back, forward again, past a stage that is required, and a drop-off where the visitor had gone back to."""
    both, step = BothReadings(*shop()), 0
    rows: Counter[tuple[str, str, str, str]] = Counter()
    for chunk in range(20):
        records = []
        for unit in range(chunk * 20, chunk * 20 + 20):
            for name in (b"ababac", b"abac", b"acbac", b"acac")[unit % 4]:
                records.append((b"u%d" % unit, STEP % (name, step, T0 + step * 400, unit)))
                step += 1
        both.feed_records(records)
        quick, general = both.quick.chunk(), both.general.chunk()
        assert in_order(quick.rows) == in_order(general.rows)
        rows.update((row.kind, row.from_stage, row.to_stage, row.direction) for row in quick.rows if row.funnel == "f")
    both.chunk().compare_counters()
    assert both.quick.left == 3  # the first of each name
    assert rows["move", "B", "A", "back"] > 190
    assert rows["move", "A", "B", "forward"] == 100
    assert rows["move", "A", "C", "skip"] > 290
    assert rows["move", "C", "A", "back"] > 90
    assert rows["enter", "C", "B", "forward"] == 100  # there by a skip
    assert rows["end", "C", "A", ""] > 0


def test_the_next_attempt_needs_no_python() -> None:
    """After a drop-off, and after a conversion; so long after it that it is the first again, too."""
    both, step = BothReadings(*shop(window=9_000, lateness=2_000)), 0
    begun: Counter[tuple[int, bool]] = Counter()
    for name in b"ab" + b"x" * 7 + b"abca" + b"x" * 40 + b"ab":
        records = []
        for unit in range(20):
            records.append((b"u%d" % unit, STEP % (name, step, T0 + step * 100, unit)))
            step += 1
        both.feed_records(records)
        quick, general = both.quick.chunk(), both.general.chunk()
        assert in_order(quick.rows) == in_order(general.rows)
        begun.update((row.attempt, row.recovered) for row in quick.rows if row.kind == "enter" and row.stage == 0)
    both.chunk().compare_counters()
    assert both.quick.left == 4  # the first of each name
    assert begun == {(1, False): 40, (2, True): 20, (3, False): 20}


def test_a_correction_leaves_what_ends_later_to_no_python() -> None:
    """An end may be taken back and written anew with one record; those of the records after it are others."""
    both, woken = BothReadings(*shop(window=9_000, lateness=5_000)), 0
    units = both.quick.partition.units
    general = units.wake

    def wake(*entry: Any) -> None:
        nonlocal woken
        woken += 1
        general(*entry)

    units.wake = wake  # type: ignore[method-assign, assignment]
    records: list[tuple[bytes, bytes]] = []

    def send(name: bytes, step: int, late: int = 0) -> None:
        told = STEP % (name, len(records), T0 + step * 100 - late, step)
        records.append((b"u%d" % step, told))

    for step in range(600):
        send(b"a", step, 2)
        if step % 50 == 49:
            send(b"c", step)
            send(b"b", step, 1)  # the step before it, after all
    both.feed_records(records).chunk().compare_counters()
    assert both.ends > 400
    assert both.quick.left >= 600 // 50
    assert woken == 0


def test_bots_are_counted_without_python() -> None:
    """Once each, and whatever their clocks say nobody else is late by it."""
    both = BothReadings(*shop())
    record = b'{"event":"%s","event_id":"e%d","timestamp":%d,"session_id":"u","user_agent":"%s"}'
    person, bot = b"Mozilla/5.0 (X11; Linux x86_64) Firefox/127.0", b"Googlebot/2.1"
    both.feed_records([(b"u", record % (name, -1, T0, person)) for name in (b"x", b"a")]).chunk()
    both.feed_records(
        [
            (b"u", record % (name, number % 30, T0 + number * 1_000, bot))
            for number in range(60)
            for name in (b"x", b"a")
        ]
    )
    assert both.quick.left == 2  # the first of each name
    tally = both.quick.partition.tally
    assert (tally.bot, tally.repeated) == (30, 90)
    assert both.quick.partition.clock.watermark == T0
    both.chunk().compare_counters()


def test_events_of_several_funnels_need_no_python() -> None:
    """Entered, gone on in and converted by one event, which some of its funnels may have begun earlier or ended already."""
    both, step = BothReadings(*crowd(dimensions=("channel",))), 0
    for chunk in range(30):
        records = []
        for unit in range(chunk * 40, chunk * 40 + 40):
            for name in (b"abc", b"ab", b"a")[unit % 3]:
                records.append((b"u%d" % unit, STEP % (name, step, T0 + step * 900, unit)))
                step += 1
        both.feed_records(records).chunk()
    both.compare_counters()
    assert both.read == step == 2_400
    assert both.quick.left == 3  # the first of each name
    assert both.ends > 2_000


@pytest.mark.parametrize("options", [
    DecodeOptions(internal=Internal(addresses=("192.0.2.0/24",))), DecodeOptions(internal=Internal(hosts=("a.*",))), DecodeOptions(max_id_length=2),
    DecodeOptions(default_currency=None, internal=Internal(marks=())), DecodeOptions(format=Format.NATIVE, max_bytes=200),
])  # fmt: skip
def test_under_other_settings(options: DecodeOptions) -> None:
    both = BothReadings(*shop(), options=options)
    rng, visits = Random(9), Counter[str]()
    for step in range(0, 1_500, 50):
        both.feed_records([some_record(rng, step + more, visits) for more in range(50)]).chunk()
    both.compare_counters()


def test_ids_of_ignored_events_are_put_aside_at_the_same_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "RECENT", 7)
    both = BothReadings(*shop())
    rng = Random(3)
    for _ in range(60):
        ids = [rng.randrange(30) for _ in range(rng.randint(1, 20))]
        both.feed_records(
            (b"u", b'{"event":"x","event_id":"e%d","timestamp":%d,"session_id":"u"}' % (one, T0)) for one in ids
        ).chunk()
    assert both.quick.partition.tally.repeated > 50
    assert both.quick.left <= 2


def test_records_that_were_applied_are_passed_over() -> None:
    both = BothReadings(*shop())
    records = [
        (b"u", b'{"event":"a","event_id":"e%d","timestamp":%d,"session_id":"u"}' % (n, T0 + n)) for n in range(9)
    ]
    both.feed_records(records).chunk()
    both.restart()
    both.offset -= 4
    both.feed_records(records[-4:]).chunk()
    assert both.quick.partition.tally.read == 9


def test_a_partition_that_went_to_another_worker_is_freed() -> None:
    both = BothReadings(*shop())
    record = b'{"event":"x","event_id":"e%d","timestamp":%d,"session_id":"u"}'
    both.feed_records((b"u", record % (number, T0)) for number in range(3)).chunk()
    assert both.quick.left == 1  # the first of its name
    left = weakref.ref(both.quick.partition)
    del both
    gc.collect()
    assert left() is None


def test_records_that_were_read_ahead_and_not_taken_leave_nothing() -> None:
    """Each that Python must decode has those behind it read once more."""
    both = BothReadings(*shop())
    partition, record = both.quick.partition, b'{"event":"%s","event_id":"e","timestamp":%d,"session_id":"%s"}'
    unit = b"u" * 30
    both.feed_records([(unit, record % (b"a", T0, unit))])
    records = [Got(100, T0, unit, b"unusual"), *(Got(101 + n, T0, unit, record % (b"a", T0, unit)) for n in range(15))]

    def read_ahead() -> int:
        begun = sys.getallocatedblocks()
        for _ in range(1_000):
            assert next(partition.unusual(records)) == records[0]
        return sys.getallocatedblocks() - begun

    read_ahead()
    assert read_ahead() < 500  # of 15,000 keys


def test_what_must_be_decoded_first_is_not_read() -> None:
    def read_of(**said: str) -> bool:
        environ = {"FUNNELWATCH_SOURCES_0_TOPIC": "t"} | {f"FUNNELWATCH_{name}": value for name, value in said.items()}
        settings = load_settings(None, environ, {})
        return readable(settings, settings.sources[0]) is not None

    assert read_of()
    assert read_of(SOURCES_0_FORMAT="native", PRIVACY_MASK_ADDRESSES="false")
    assert not any(read_of(SOURCES_0_FORMAT=form) for form in ("segment", "cloudevents", "csv", "snowplow"))
    assert not read_of(PRIVACY_ID_KEY="k" * 32)
    assert not read_of(PRIVACY_DROPPED_FIELDS="url")
    assert not read_of(PRIVACY_MASKED_FIELDS="campaign")
    compiled = [CompiledFunnel(one) for one in shop()]
    assert Partition("log", 0, Unit.SESSION, compiled, {}).reading is None
    assert Partition("log", 0, Unit.SESSION, compiled, {}, Readable(DecodeOptions())).reading is not None


def test_attempt_ids_are_those_of_hashlib() -> None:
    for size in (1, 50, 100, 127, 128, 129, 200, 256, 300, 1_000):
        both = Both(funnel(stage("A"), stage("B")))
        both.feed([event("a", 5, "e" * size, "v" * (size // 2 + 1))])
        (row,) = both.quick.chunk().rows
        salt = both.quick.partition.funnels[0].salt
        said = f"{salt}{'e' * size}\0{'v' * (size // 2 + 1)}".encode()
        assert row.attempt_id == hashlib.blake2b(said, digest_size=16).hexdigest()
