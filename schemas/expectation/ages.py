"""Ages of entries, counted in steps of event time: fine while young, coarser later, so that any window has few buckets."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

#: Steps of age that have a bucket of their own; then each octave has this many.
FINE = 8


@cache
def edges(oldest: int) -> tuple[int, ...]:
    """The first age of each bucket, from 0, and at last `oldest`, the first age (steps, 1 or more) beyond all of them.

    A bucket is one step wide up to the age of FINE, and an eighth to a sixteenth of its age from there on: a day of minutes
    has 68 buckets.
    """
    found, age = [0], 0
    while True:
        age += max(1, 1 << max(0, age.bit_length() - FINE.bit_length()))
        if age >= oldest:
            return (*found, oldest)
        found.append(age)


def bucket_of(age: int, bounds: tuple[int, ...]) -> int:
    """The bucket of an age (steps, from 0); one more than there are for what lies beyond."""
    return bisect_right(bounds, age) - 1
