"""What is worked out once and looked up from then on."""

from __future__ import annotations

from schemas.remembered import Remembered


def test_each_is_worked_out_once() -> None:
    asked: list[str] = []

    def length(text: str) -> int:
        asked.append(text)
        return len(text)

    lengths = Remembered(length)
    assert [lengths[text] for text in ("a", "bb", "a", "bb", "ccc")] == [1, 2, 1, 2, 3]
    assert asked == ["a", "bb", "ccc"]


def test_a_flood_takes_no_more_than_its_bound() -> None:
    squares: Remembered[int, int] = Remembered(lambda number: number * number, most=10)
    for number in range(1_000):
        assert squares[number] == number * number
        assert len(squares) <= 10
