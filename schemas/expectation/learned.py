"""What was learned of each step of each funnel: counts of four weeks, and the delay curve. It packs, and says its format."""

from __future__ import annotations

import zlib

import msgspec

from schemas.expectation.curve import Curve

#: Version of this form. Another one is not read: what was learned is learned again.
FORMAT = 1
#: Segments with fewer conversions in four weeks follow the stage through the week: their own slots would say next to nothing.
SLOTTED = 1_000
#: Segments that keep slots of their own, the largest first: bounds what is packed.
MOST_SLOTTED = 50


class Counts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Entries of one segment, and how many of them converted; in all, and by slot of the week (`slots`: slot → the two)."""

    entered: int
    converted: int
    slots: dict[int, tuple[int, int]] = {}


class LearnedStep(msgspec.Struct, frozen=True, array_like=True):
    """One step, from a stage to the next required one. `since`, `until`: the entries that were counted (ms). `ready_at`: when it
    has enough history (ms); until then nothing is expected. `whole`: all traffic. `parts`: dimension → value → counts.

    `step`: its fingerprint (`schemas.expectation.steps`)."""

    step: str
    since: int
    until: int
    ready_at: int
    whole: Counts
    curve: Curve
    parts: dict[str, dict[str, Counts]] = {}

    @property
    def ready(self) -> bool:
        """Whether there was enough history when it was learned."""
        return self.ready_at <= self.until and self.whole.converted > 0


class Packed(msgspec.Struct, array_like=True):
    """How a step travels: with its format, when it was learned (ms), and the time zone of its slots."""

    format: int
    learned_at: int
    zone: str
    learned: LearnedStep


class _Format(msgspec.Struct, array_like=True):
    format: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode
_decode_format = msgspec.msgpack.Decoder(_Format).decode


def pack(learned: LearnedStep, zone: str, learned_at: int) -> bytes:
    """The step as bytes."""
    return zlib.compress(_encode(Packed(FORMAT, learned_at, zone, slimmed(learned))))


def unpack(packed: bytes) -> Packed | None:
    """What `pack` packed; None for another format, or for what is none of ours."""
    try:
        plain = zlib.decompress(packed)
        if _decode_format(plain).format != FORMAT:
            return None
        return _decode(plain)
    except (zlib.error, msgspec.DecodeError):
        return None


def slimmed(learned: LearnedStep) -> LearnedStep:
    """Without the slots of small segments."""
    sizes = sorted((counts.converted for values in learned.parts.values() for counts in values.values()), reverse=True)
    least = max(SLOTTED, sizes[MOST_SLOTTED] + 1 if len(sizes) > MOST_SLOTTED else 0)
    parts = {
        dimension: {
            value: counts if counts.converted >= least else Counts(counts.entered, counts.converted)
            for value, counts in values.items()
        }
        for dimension, values in learned.parts.items()
    }
    return msgspec.structs.replace(learned, parts=parts)
