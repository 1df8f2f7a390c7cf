"""Clock changes of a site's time zone."""

from __future__ import annotations

from schemas.rules.zone import Change, changes, local


def test_berlin_changes_twice_a_year() -> None:
    base, found = changes("Europe/Berlin")
    assert base == 3600
    assert found[:2] == (Change(1743296400, 3600), Change(1761440400, -3600))  # 2025-03-30 and 2025-10-26, 01:00 UTC
    assert len(found) == 26


def test_a_zone_without_changes_is_its_offset() -> None:
    assert changes("Asia/Kathmandu") == (20700, ())
    assert local("time()", "UTC") == "time() + 0"
    assert local("time()", "America/Phoenix") == "time() - 25200"


def test_half_an_hour_of_summer_time() -> None:
    _, found = changes("Australia/Lord_Howe")
    assert {abs(change.seconds) for change in found} == {1800}
