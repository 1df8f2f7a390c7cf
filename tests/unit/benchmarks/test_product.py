"""A run whose rows are not what the stream comes to gives no figures."""

from types import SimpleNamespace

import pytest

from benchmarks import product
from benchmarks.oracle import Expected, WrongCounts
from benchmarks.product import Found
from schemas.progress import Progress
from schemas.rows import End, Kind, Row
from schemas.transitions import pack_progress, pack_rows

EXPECTED = Expected(2, {("purchase", "view"): 1, ("purchase", "pay"): 1}, {"purchase": 1}, {"purchase": 0}, 500)


def row(kind: Kind, stage: str, *, outcome: str = "", value: int | None = None, is_deleted: int = 0) -> Row:
    return Row(
        "purchase", "v1", "a1", kind.value, stage, 7, is_deleted, "s1", 0, 1, False, 0, 10, "e1", "", stage, 0, 1, "",
        outcome, -1, (), (), value, "EUR", None, "", False,
    )  # fmt: skip


def counted(*rows: Row, monkeypatch: pytest.MonkeyPatch) -> Expected:
    monkeypatch.setattr(product, "rows_in", lambda record: record)
    found = Found(EXPECTED)
    found.take(rows)
    return Expected(2, dict(found.entered), dict(found.converted), dict(found.dropped), found.revenue)


def test_rows_are_counted_by_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    enter = [row(Kind.ENTER, "view"), row(Kind.ENTER, "pay", value=500)]
    converted = counted(*enter, row(Kind.END, "", outcome=End.CONVERTED.value), monkeypatch=monkeypatch)
    product.same(converted, EXPECTED, "the worker's")
    dropped = counted(*enter, row(Kind.END, "", outcome=End.WINDOW_TIMEOUT.value), monkeypatch=monkeypatch)
    assert (dropped.converted, dropped.dropped) == ({"purchase": 0}, {"purchase": 1})
    with pytest.raises(WrongCounts, match="the worker's counts are wrong"):
        product.same(dropped, EXPECTED, "the worker's")


def test_a_row_that_is_taken_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WrongCounts, match="took back a row of s1"):
        counted(row(Kind.ENTER, "view", is_deleted=1), monkeypatch=monkeypatch)


def test_progress_on_the_transitions_topic_is_no_row() -> None:
    progress = Progress("f", "v", "clicks", 0, 7, 5, 5, 9, 9, 0, 0, 0, 0, 0)
    key, value = pack_progress(progress)
    assert product.rows_in(SimpleNamespace(key=key, value=value)) == ()
    ((_, rows),) = pack_rows([row(Kind.ENTER, "view"), row(Kind.END, "view")])
    assert [one.kind for one in product.rows_in(SimpleNamespace(key=None, value=rows))] == [Kind.ENTER, Kind.END]
