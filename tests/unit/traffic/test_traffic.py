"""The generator's promises: the same for a seed, in order, with the shares that it is told, and true to its counts."""

from collections import Counter
from hashlib import sha256
from itertools import islice, pairwise

import msgspec
import pytest

from schemas.channels import default_channel
from schemas.decode.native import native_decoder
from schemas.decode.options import DecodeOptions
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event
from streams.traffic import REASONS, Bad, Fault, Traffic, TrafficConfig, TrafficRecord
from streams.traffic.rhythm import DAY_MS, HOUR_MS, intensity
from streams.traffic.segments import CHANNELS

MONDAY = 1_767_571_200_000  # 2026-01-05
CONFIG = TrafficConfig(seed=7, start_ms=MONDAY, visitors_per_day=6_000, keyed_by="visitor")


def day(hours: int = 24, **changes: object) -> tuple[Traffic, list[TrafficRecord]]:
    fields = {name: getattr(CONFIG, name) for name in CONFIG.__struct_fields__} | changes
    traffic = Traffic(TrafficConfig(**fields))
    return traffic, list(traffic.records(MONDAY + hours * HOUR_MS))


@pytest.fixture(scope="module")
def plain() -> tuple[Traffic, list[TrafficRecord]]:
    return day()


def digest(records: list[TrafficRecord]) -> str:
    return sha256(b"\n".join(b"%d %s %s" % (r.send_ms, r.key or b"", r.data) for r in records)).hexdigest()


def decoded(records: list[TrafficRecord]) -> list[Event]:
    decode = native_decoder(DecodeOptions())
    return [decode(record.data, record.send_ms) for record in records if record.bad is None]


def test_a_seed_gives_the_same_bytes_at_the_same_times(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    traffic, records = plain
    assert digest(list(traffic.records(MONDAY + DAY_MS))) == digest(records)
    assert digest(day(7)[1]) == digest(day(7)[1]) != digest(day(7, seed=8)[1])


def test_a_shorter_run_is_the_beginning_of_a_longer_one(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    records = plain[1]
    noon = MONDAY + 12 * HOUR_MS
    assert list(Traffic(CONFIG).records(noon)) == [record for record in records if record.send_ms < noon]
    assert list(islice(Traffic(CONFIG).records(), 500)) == records[:500]


def test_records_come_in_sending_order_and_never_before_their_event(
    plain: tuple[Traffic, list[TrafficRecord]],
) -> None:
    records = plain[1]
    sending = [record.send_ms for record in records]
    assert sending == sorted(sending)
    delays = [record.send_ms - record.ts for record in records]
    assert min(delays) >= 0
    assert 29_000 < max(delays) < 30_000
    backwards = sum(later.ts < earlier.ts for earlier, later in pairwise(records))
    assert backwards > len(records) / 10


def test_without_disorder_event_times_never_run_backwards() -> None:
    times = [record.ts for record in day(disorder_ms=0)[1]]
    assert times == sorted(times)


def test_the_decoder_takes_every_good_record_and_refuses_every_bad_one_for_its_reason() -> None:
    traffic, records = day(10, bad_share=0.2)
    decode = native_decoder(DecodeOptions())
    refused: Counter[Bad] = Counter()
    good: Counter[str] = Counter()
    for record in records:
        if record.bad is None:
            event = decode(record.data, record.send_ms)
            assert (event.event, event.ts, event.bot) == (record.name, record.ts, record.bot)
            good[event.event] += not record.duplicate
        else:
            with pytest.raises(InvalidEvent) as refusal:
                decode(record.data, record.send_ms)
            assert refusal.value.reason is REASONS[record.bad], record
            refused[record.bad] += 1
    assert refused == traffic.counts.bad
    assert set(refused) == set(Bad)
    assert +good == traffic.counts.events


def test_the_counts_add_up(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    counts, records = plain[0].counts, plain[1]
    assert counts.records == len(records) == counts.events.total() + counts.duplicates + counts.bad.total()
    assert counts.duplicates == sum(record.duplicate for record in records)
    assert counts.bots == sum(event.bot for event in decoded(records))
    assert counts.lost == 0


def test_a_duplicate_is_the_same_bytes_and_counts_as_one_event_id(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    traffic, records = plain
    ids = Counter(event.event_id for event in decoded(records))
    assert sum(ids.values()) - len(ids) == traffic.counts.duplicates
    seen = Counter(record.data for record in records if record.bad is None)
    assert all(seen[record.data] == 2 for record in records if record.duplicate)


def test_shares_are_those_of_the_tables(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    traffic, records = plain
    assert traffic.counts.visitors == pytest.approx(6_120, rel=0.03)  # a Monday has 1.02 of the mean day
    events = decoded(records)
    arrivals = [event for event in events if (event.session_id or "").endswith("-1") and not event.bot]
    sessions = {event.session_id: event for event in arrivals}
    channels = Counter(event.channel for event in sessions.values())
    shares = {channel: count / len(sessions) for channel, count in channels.items()}
    assert shares == pytest.approx(SHARES, abs=0.015)
    assert 0.55 < sum(event.device == "mobile" for event in sessions.values()) / len(sessions) < 0.6
    assert {event.currency for event in events if event.revenue} == {"EUR", "GBP", "USD", "CHF", "SEK"}
    assert {event.consent for event in events} == {True, False, None}


SHARES = {
    "Organic Search": 0.26,
    "Direct": 0.21,
    "Paid Search": 0.17,
    "Paid Social": 0.14,
    "Email": 0.09,
    "Referral": 0.06,
    "Organic Social": 0.05,
    "Display": 0.02,
}


def reached(events: list[Event], name: str, **where: str) -> set[str]:
    found = {e.session_id for e in events if e.event == name and all(getattr(e, k) == v for k, v in where.items())}
    return {session for session in found if session}


def test_people_convert_as_people_do(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    events = decoded(plain[1])
    names = ("session_start", "view_item", "add_to_cart", "begin_checkout", "add_payment_info", "purchase")
    assert [len(reached(events, name)) for name in names] == pytest.approx(REACHED, rel=0.12)
    mobile, desktop = (
        len(reached(events, "purchase", device=device)) / len(reached(events, "session_start", device=device))
        for device in ("mobile", "desktop")
    )
    assert mobile < 0.8 * desktop


REACHED = [6376, 4411, 1186, 846, 729, 680]  # sessions


def test_life_is_in_it(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    events = [event for event in decoded(plain[1]) if not event.bot]
    orders = Counter(event.order_id for event in events if event.event == "purchase")
    assert max(orders.values()) >= 2  # thank-you pages are reloaded
    bought = set(orders)
    returned = {event.order_id for event in events if event.event == "refund"}
    assert returned
    assert returned < bought
    visits = Counter(event.visitor_id for event in events if event.event == "session_start")
    assert max(visits.values()) >= 3  # people come again
    ways: dict[str | None, set[tuple[str | None, str | None]]] = {}
    for event in events:
        ways.setdefault(event.visitor_id, set()).add((event.channel, event.device))
    assert sum(len(way) > 1 for way in ways.values()) > 300  # by another channel, or on another device
    checkouts = {event.session_id for event in events if event.event == "begin_checkout"}
    carts = {event.session_id for event in events if event.event == "add_to_cart"}
    assert checkouts - carts  # a cart restored: the session skips a stage
    starts = {event.session_id for event in events if event.event == "session_start"}
    assert {event.session_id for event in events if event.event == "view_item"} - starts  # a deep link


def test_a_fault_thins_only_its_segment_its_stage_and_its_time(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    before, after = MONDAY + 8 * HOUR_MS, MONDAY + 20 * HOUR_MS
    fault = Fault(
        start_ms=before,
        end_ms=after,
        stage="begin_checkout",
        share_lost=1.0,
        where=(("device", "mobile"), ("channel", "Paid Search")),
    )
    traffic, records = day(faults=(fault,))
    healthy = plain[1]
    hit = {"device": "mobile", "channel": "Paid Search"}
    in_time = {"healthy": decoded(between(healthy, before, after)), "ill": decoded(between(records, before, after))}
    assert len(reached(in_time["healthy"], "begin_checkout", **hit)) == pytest.approx(54, rel=0.3)
    assert reached(in_time["ill"], "begin_checkout", **hit) == set()
    assert len(reached(in_time["ill"], "add_to_cart", **hit)) == len(reached(in_time["healthy"], "add_to_cart", **hit))
    assert traffic.counts.lost == pytest.approx(54, rel=0.3)
    changed = {record.key for record in set_difference(healthy, records) + set_difference(records, healthy)}
    touched = {(event.visitor_id or "").encode() for event in decoded(healthy) if all_of(event, hit)}
    assert changed <= touched
    assert len(changed) < traffic.counts.visitors / 50


def between(records: list[TrafficRecord], start_ms: int, end_ms: int) -> list[TrafficRecord]:
    return [record for record in records if start_ms <= record.ts < end_ms]


def set_difference(some: list[TrafficRecord], others: list[TrafficRecord]) -> list[TrafficRecord]:
    known = {(record.send_ms, record.data) for record in others}
    return [record for record in some if (record.send_ms, record.data) not in known]


def all_of(event: Event, values: dict[str, str]) -> bool:
    return all(getattr(event, name) == value for name, value in values.items())


def test_half_a_fault_loses_about_half(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    fault = Fault(start_ms=MONDAY, end_ms=MONDAY + DAY_MS, stage="purchase", share_lost=0.5)
    healthy, ill = (len(reached(decoded(records), "purchase")) for records in (plain[1], day(faults=(fault,))[1]))
    assert 0.44 < ill / healthy < 0.58


def test_a_fault_can_be_switched_on_on_the_way() -> None:
    traffic = Traffic(CONFIG)
    start = MONDAY + 10 * HOUR_MS
    seen: list[TrafficRecord] = []
    for record in traffic.records(MONDAY + DAY_MS):
        if not traffic.faults and record.send_ms >= start:
            traffic.inject(Fault(start_ms=start, end_ms=MONDAY + DAY_MS, stage="purchase", share_lost=1.0))
        seen.append(record)
    purchases = [record for record in seen if record.name == "purchase" and record.bad is None]
    assert purchases
    # Steps that were decided, and pages that were reloaded, just before the switch may still come.
    assert all(record.ts < start + 2 * 20 * 60_000 for record in purchases)


def test_other_shares_of_bad_records_leave_the_good_ones_alone(plain: tuple[Traffic, list[TrafficRecord]]) -> None:
    end = MONDAY + 9 * HOUR_MS
    good = [record for record in plain[1] if not record.bad and not record.duplicate and record.send_ms < end]
    worse = day(9, bad_share=0.3, duplicate_share=0.2)[1]
    assert [record for record in worse if not record.bad and not record.duplicate] == good
    assert day(9, bad_share=0, duplicate_share=0)[1] == good


def test_channels_are_named_as_the_grouping_names_them() -> None:
    for channel in CHANNELS.cards:
        for campaign in (None, *channel.campaigns):
            assert default_channel(channel.source, channel.medium, campaign) == channel.name


def test_the_key_is_the_declared_id() -> None:
    noon = MONDAY + HOUR_MS
    for keyed_by, field in (("session", "session_id"), ("visitor", "visitor_id")):
        config = TrafficConfig(seed=1, start_ms=MONDAY, keyed_by=keyed_by, bad_share=0)
        for record in Traffic(config).records(noon):
            event = native_decoder(DecodeOptions())(record.data, record.send_ms)
            assert record.key == getattr(event, field).encode()
    assert {r.key for r in Traffic(TrafficConfig(seed=1, start_ms=MONDAY, keyed_by="none")).records(noon)} == {None}


def test_the_evening_is_seven_times_the_night_and_a_week_means_one() -> None:
    hours = [intensity(MONDAY + hour * HOUR_MS) for hour in range(7 * 24)]
    assert max(hours[:24]) / min(hours[:24]) == pytest.approx(7.09, abs=0.01)
    assert sum(hours) / len(hours) == pytest.approx(1.0, abs=0.005)
    assert intensity(MONDAY, utc_offset_ms=HOUR_MS) == intensity(MONDAY + HOUR_MS)


@pytest.mark.parametrize(
    "changes,where",
    [
        ({"bad_share": 1.5}, "traffic.bad_share"),
        ({"bot_share": float("nan")}, "traffic.bot_share"),
        ({"visitors_per_day": 0}, "traffic.visitors_per_day"),
        ({"keyed_by": "account"}, "traffic.keyed_by"),
        ({"disorder_ms": -1}, "traffic.disorder_ms"),
        ({"seed": -1}, "traffic.seed"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], where: str) -> None:
    with pytest.raises(ConfigError, match=where):
        TrafficConfig(**{"seed": 1, "start_ms": MONDAY, **changes}).check()  # type: ignore[arg-type]


def test_a_campaign_draws_its_share_and_changes_nothing_else() -> None:
    def first(share: float) -> list[dict[str, object]]:
        config = TrafficConfig(seed=5, start_ms=MONDAY, visitors_per_day=20_000, campaign_share=share, bad_share=0)
        return [
            msgspec.json.decode(record.data)
            for record in Traffic(config).records(MONDAY + 6 * HOUR_MS)
            if record.name == "session_start" and b'"customer_type":"new"' in record.data
        ]

    without, with_it = first(0.0), first(0.5)
    shares = [sum(one.get("source") == "instagram" for one in each) / len(each) for each in (without, with_it)]
    assert 0.08 < shares[0] < 0.2
    assert 0.45 < shares[1] < 0.65
    phones = [one for one in with_it if one.get("source") == "instagram"]
    assert sum(one["device"] == "mobile" for one in phones) / len(phones) > 0.85
