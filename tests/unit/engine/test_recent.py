"""Ids that were seen lately: hashes in C, or strings, remembered alike."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.recent import Recent, RecentIds
from streams.engine.usual import COMPILED

compiled = pytest.mark.skipif(not COMPILED, reason="there is no compiled part")


def prints(most: int) -> Recent:
    from streams.engine._usual import Recent as Prints

    return Prints(most, b"sixteen bytes ..")


@compiled
@given(
    st.lists(st.text(st.characters(codec=None), max_size=20) | st.sampled_from("abcdefgh"), max_size=200),
    st.integers(1, 20),
)
def test_both_know_the_same_ids(ids: list[str], most: int) -> None:
    hashed, kept = prints(most), RecentIds(most)
    for one in ids:
        assert hashed.seen(one) is kept.seen(one)
        assert len(hashed) == len(kept)


@pytest.mark.parametrize("made", [pytest.param(prints, marks=compiled), RecentIds])
def test_the_last_ids_are_known_and_those_long_past_are_not(made: type[RecentIds]) -> None:
    recent = made(1_000)
    assert not any(recent.seen(f"{number}") for number in range(10_500))
    assert len(recent) == 1_500
    assert all(recent.seen(f"{number}") for number in range(9_000, 10_500))
    assert not any(recent.seen(f"{number}") for number in range(400))


@compiled
def test_ids_of_all_lengths_differ_in_each_of_their_bytes() -> None:
    recent = prints(1_000_000)
    ids = {"x" * length for length in range(300)}
    ids |= {"".join(letters) for letters in itertools.product("ab", repeat=12)}
    ids |= {"x" * place + "y" + "x" * (length - place - 1) for length in range(40) for place in range(length)}
    assert not any(recent.seen(one) for one in ids)
    assert all(recent.seen(one) for one in ids)


@compiled
@pytest.mark.parametrize("wrong", [(0, bytes(16)), (10, bytes(15)), (10, "text"), ()])
def test_what_is_not_asked_for_is_refused(wrong: tuple[object, ...]) -> None:
    from streams.engine._usual import Recent as Prints

    with pytest.raises((TypeError, ValueError)):
        Prints(*wrong)  # type: ignore[arg-type]


@compiled
def test_an_id_is_text() -> None:
    with pytest.raises(TypeError, match="an id is a str"):
        prints(1).seen(b"bytes")  # type: ignore[arg-type]
