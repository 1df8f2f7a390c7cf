"""The baseline: time of the week, shrinking, segments; packing."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from schemas.expectation.curve import learn_curve
from schemas.expectation.learned import Counts, LearnedStep, Packed, pack, unpack
from schemas.expectation.rates import Rates
from schemas.expectation.week import SLOTS, Week, neighbours

CURVE = learn_curve({0: 10, 3: 10}, 60_000, 60)


def learned(whole: Counts, **parts: dict[str, Counts]) -> LearnedStep:
    return LearnedStep("0" * 16, 0, 28 * 86_400_000, 14 * 86_400_000, whole, CURVE, parts)


def at(zone: str, *moment: int, fold: int = 0) -> int:
    year, month, day, hour, minute = moment
    return int(datetime(year, month, day, hour, minute, tzinfo=ZoneInfo(zone), fold=fold).timestamp() * 1000)


def test_slots_are_quarters_of_the_local_week() -> None:
    week = Week("Europe/Berlin")
    assert week.slot(at("Europe/Berlin", 2026, 1, 5, 0, 0)) == 0  # a Monday
    assert week.slot(at("Europe/Berlin", 2026, 1, 5, 0, 14)) == 0
    assert week.slot(at("Europe/Berlin", 2026, 1, 6, 9, 30)) == 96 + 38
    assert week.slot(at("Europe/Berlin", 2026, 7, 7, 9, 30)) == 96 + 38  # nine in summer is nine in winter
    assert week.slot(at("Europe/Berlin", 2026, 1, 11, 23, 59)) == SLOTS - 1
    assert Week("Asia/Kolkata").slot(at("Asia/Kolkata", 2026, 1, 5, 0, 30)) == 2


def test_both_clock_changes() -> None:
    """29 March 2026: 02:00 is followed by 03:00. 25 October: 02:00 to 03:00 comes twice."""
    week = Week("Europe/Berlin")
    sunday = 6 * 96
    before = at("Europe/Berlin", 2026, 3, 29, 1, 45)
    assert [week.slot(before + k * 900_000) - sunday for k in range(3)] == [7, 12, 13]
    first, second = (at("Europe/Berlin", 2026, 10, 25, 2, 30, fold=fold) for fold in (0, 1))
    assert second - first == 3_600_000
    assert week.slot(first) == week.slot(second) == sunday + 10
    assert week.slot(second + 1_800_000) == sunday + 12


def test_an_hour_around_goes_round_the_week() -> None:
    assert neighbours(2) == [670, 671, 0, 1, 2, 3, 4, 5, 6]


def test_the_rate_of_all_is_drawn_to_the_mean_of_four_weeks() -> None:
    """(K + 100) / (n + 100 / p), by hand."""
    whole = Counts(100_000, 10_000, {40: (300, 60), 41: (200, 40), 100: (5_000, 500)})
    rates = Rates(learned(whole))
    mean = 10_000.5 / 100_001
    assert rates.rate(42) == pytest.approx((100 + 100) / (500 + 100 / mean))
    assert rates.rate(300) == pytest.approx(mean)
    assert rates.rate(100) == pytest.approx((500 + 100) / (5_000 + 100 / mean))


def test_a_small_segment_has_the_rate_of_its_stage() -> None:
    whole = Counts(100_000, 10_000)
    rates = Rates(
        learned(whole, channel={"paid": Counts(4, 4), "email": Counts(10, 0), "direct": Counts(50_000, 1_000)})
    )
    assert rates.rate(0, "channel", "paid") == pytest.approx(0.1, rel=0.04)
    assert rates.rate(0, "channel", "email") == pytest.approx(0.1, rel=0.02)
    assert rates.rate(0, "channel", "direct") == pytest.approx((1_000 + 100) / (50_000 + 100 / rates.rate(0)), rel=1e-3)
    assert rates.rate(0, "channel", "never seen") == pytest.approx(rates.rate(0))
    assert rates.knows("channel", "paid")
    assert not rates.knows("channel", "never seen")


def test_a_small_cell_has_the_rate_that_its_two_values_make() -> None:
    whole = Counts(1_000_000, 100_000)
    parts = {
        "channel": {"paid": Counts(500_000, 25_000)},
        "device": {"tablet": Counts(200_000, 10_000)},
        "channel×device": {"paid×tablet": Counts(10, 0)},
    }
    rates = Rates(learned(whole, **parts))
    half = 0.05 / 0.1
    for cell in ("paid×tablet", "paid×tablet that nobody had"):
        expected = 0.1 * half * (half if cell == "paid×tablet" else 1)
        assert rates.rate(0, "channel×device", cell) == pytest.approx(expected, rel=0.02)


def test_a_segment_follows_the_rhythm_of_its_stage() -> None:
    """At night all convert half as well: so does a segment that has no nights of its own to tell."""
    whole = Counts(1_000_000, 100_000, {10: (100_000, 5_000)})
    rates = Rates(learned(whole, device={"mobile": Counts(100_000, 5_000)}))
    assert rates.rate(10) == pytest.approx(0.05, rel=0.03)
    assert rates.rate(300, "device", "mobile") == pytest.approx(0.05, rel=0.03)
    assert rates.rate(10, "device", "mobile") == pytest.approx(0.025, rel=0.05)


def test_a_stage_that_never_converted_is_never_expected_to() -> None:
    assert Rates(learned(Counts(100, 0))).rate(5) < 1e-6
    assert not learned(Counts(100, 0)).ready


def test_a_rate_of_one_stays_a_rate() -> None:
    assert Rates(learned(Counts(10, 10, {5: (10, 10)}))).rate(5) < 1


def test_packed_and_back() -> None:
    step = learned(
        Counts(9, 3, {1: (9, 3)}), channel={"paid": Counts(5, 2), "big": Counts(9_000, 2_000, {7: (90, 20)})}
    )
    assert unpack(pack(step, "Europe/Berlin", 77)) == Packed(1, 77, "Europe/Berlin", step)


def test_small_segments_travel_without_their_slots() -> None:
    step = learned(Counts(9, 3), channel={"paid": Counts(5, 2, {1: (5, 2)})})
    found = unpack(pack(step, "UTC", 0))
    assert found is not None
    assert found.learned.parts["channel"]["paid"] == Counts(5, 2)


def test_another_format_is_not_read() -> None:
    assert unpack(b"nothing of ours") is None
    packed = bytearray(pack(learned(Counts(1, 1)), "UTC", 0))
    assert unpack(bytes(packed[:-4])) is None
