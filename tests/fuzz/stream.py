"""Records through decoding and the engine, as the worker feeds them; what must hold is checked at every chunk.

Each record goes three ways at once: to the funnels of sessions as a topic keyed by them; to those of these that let records be read
without decoding them; and through an internal log to those of visitors. The engine runs twice, with the usual way in C and without, and
both must agree.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.decode import Decode, DecodeOptions
from schemas.definitions import load_funnels
from schemas.drop_off import DropOff
from schemas.funnel import Unit
from schemas.privacy.sealing import Seal, mask_letter
from schemas.settings import Settings
from schemas.transitions import unpack
from streams.decoding import event_protection
from streams.engine.match import CompiledFunnel, Known
from streams.engine.partition import Partition
from streams.engine.usual import Readable
from streams.stream import log
from streams.stream.chunks import Chunk
from streams.stream.effects import Effects
from streams.stream.letters import decode_letter, encode_letter
from streams.stream.source import InternalLog, Letters, Source
from streams.stream.unit_log import follow_event
from tests.unit.engine.both_ways import in_order

CHUNK = 400
#: Encodings whose records the engine may read without decoding them.
JSON = ("native", "auto", "x")
ROOT = Path(__file__).parents[2]
FUNNELS, MORE = ROOT / "tests" / "e2e" / "funnels.toml", ROOT / "schemas" / "presets" / "ecommerce.toml"
SEAL = Seal(base64.b64encode(bytes(range(32))).decode())


class Got(msgspec.Struct, frozen=True):
    """A record as Kafka gives it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Broken(AssertionError):
    """Something did not hold. `record`: the one record that shows it, where one does."""

    def __init__(self, what: str, record: bytes | None = None) -> None:
        self.record = record
        super().__init__(what)


class World:
    """One encoding's source with its partitions. `refused`: by reason; `unforeseen`: refusals whose reason is an exception's name.
    `read`: records that were taken without decoding them."""

    def __init__(self, encoding: str, decode: Decode) -> None:
        self.encoding, self.offset, self.records, self.read = encoding, 0, 0, 0
        self.refused: Counter[str] = Counter()
        self.unforeseen: Counter[str] = Counter()
        funnels = [CompiledFunnel(funnel) for funnel in (*load_funnels(FUNNELS), *load_funnels(MORE))]
        self.dimensions = {funnel.version: tuple(funnel.definition.dimensions) for funnel in funnels}
        by_unit = {
            unit: [one for one in funnels if one.definition.unit is unit] for unit in (Unit.SESSION, Unit.VISITOR)
        }
        writer: Any = None  # decoding and re-keying write nothing
        letters = Letters("letters", 1, lambda letter: letter)
        self.source = Source(
            "clicks",
            decode,
            None,
            [InternalLog("visitors", Unit.VISITOR, 1)],
            writer,
            letters,
            event_protection(Settings()),
        )
        self.sides = [Side(by_unit, usual=usual, reads=usual and encoding in JSON) for usual in (True, False)]

    def chunk(self, values: Sequence[bytes | None], now: int) -> None:
        """One chunk. Raises Broken."""
        records = [Got(self.offset + n, now, None, value) for n, value in enumerate(values)]
        self.offset += len(records)
        self.records += len(records)
        chunk, letters = Chunk(_TP("clicks", 0), records, None), list[DeadLetter]()  # type: ignore[arg-type]
        events = [self.source.decode(chunk, record, letters) for record in records]
        self._check_letters(records, [event is None for event in events], letters)
        out = self.source.nothing_rekeyed()
        self.source.rekey(chunk, records, events, out)
        for side in self.sides:
            side.direct(records, events)
            side.internal([value for _, value in out[0][0]])
        self.read = sum(side.read for side in self.sides)
        first, second = (side.finish(self.dimensions) for side in self.sides)
        if first != second:
            raise Broken("the usual way and the general way differ")

    def _check_letters(self, records: Sequence[Got], refused: Sequence[bool], letters: Sequence[DeadLetter]) -> None:
        wanted = [record for record, gone in zip(records, refused, strict=True) if gone]
        if len(wanted) != len(letters):
            raise Broken(f"{len(wanted)} records were refused, {len(letters)} letters written")
        for record, letter in zip(wanted, letters, strict=True):
            written = decode_letter(encode_letter(SEAL.close(letter)))
            opened = SEAL.open(written)
            if (opened.payload, opened.offset, opened.topic) != (record.value or b"", record.offset, "clicks"):
                raise Broken("a dead letter is not what came", record.value)
            if letter.offset % 8 == 0:  # the slowest of all that is done here
                encode_letter(mask_letter(letter))
            self.refused[letter.reason] += 1
            name = letter.detail.partition(":")[0]
            if letter.reason == "unparseable" and name.endswith(("Error", "Exception")):
                self.unforeseen[letter.detail[:100]] += 1


class Side:
    """The partitions of one way of the engine."""

    def __init__(self, funnels: dict[Unit, list[CompiledFunnel]], *, usual: bool, reads: bool) -> None:
        readable = Readable(DecodeOptions()) if reads else None
        self.sessions = Partition("clicks", 0, Unit.SESSION, funnels[Unit.SESSION], {})
        plain = [one for one in funnels[Unit.SESSION] if not one.strict]  # a strict one must see every event
        self.plain = Partition("clicks", 0, Unit.SESSION, plain, {}, readable)
        self.visitors = Partition("visitors", 0, Unit.VISITOR, funnels[Unit.VISITOR], {})
        self.visitors.clock.expect(["clicks:0"])
        self.partitions = (self.sessions, self.plain, self.visitors)
        self.at = self.read = 0
        if not usual:
            for partition in self.partitions:
                partition.usual, partition.units.endings = Known(lambda _name: ()), {}

    def direct(self, records: Sequence[Got], events: Sequence[Any]) -> None:
        decoded = {record.offset: event for record, event in zip(records, events, strict=True)}
        keyed = [msgspec.structs.replace(record, key=session_of(decoded[record.offset])) for record in records]
        for partition in (self.sessions, self.plain):
            self.read += len(records)
            for record in partition.unusual(keyed):
                self.read -= 1
                follow_event(partition, record, decoded[record.offset])

    def internal(self, values: Sequence[bytes | None]) -> None:
        """What the source re-keyed, as it is read from the internal log."""
        for value in values:
            record = log.decode(value or b"")
            if record.kind == log.EVENT and record.event is not None:
                self.visitors.event_from(self.at, record.source, record.offset, record.watermark, record.event)
            else:
                self.visitors.invalid_from(self.at, record.source, record.offset)
            self.at += 1

    def finish(self, dimensions: dict[str, tuple[str, ...]]) -> list[Any]:
        """Ends the chunk as the worker does: rows packed and counted, state kept. What must be equal on both sides."""
        found: list[Any] = []
        for partition in self.partitions:
            effects = Effects(partition, dimensions)
            result = partition.finish()
            effects.end(result)
            for key, value in effects.records(result.progress):
                unpack(key, value or b"")
            dropped = [
                (key, msgspec.json.decode(value or b"", type=DropOff)) for key, value in sorted(effects.drop_offs)
            ]
            partition.keep(result)
            found += [in_order(result.rows), result.state, result.progress, sorted(result.settled), dropped]
        return found


def session_of(event: Any) -> bytes | None:
    """The key of a record in a topic that is keyed by the session. A refused one has some key, too."""
    return b"k" if event is None or event.session_id is None else event.session_id.encode()


class _TP(msgspec.Struct, frozen=True):
    topic: str
    partition: int


def culprit(encoding: str, decode: Decode, values: Sequence[bytes | None], now: int, seed: int) -> bytes | None:
    """The one record of a chunk that breaks it alone, if one does."""
    for value in Random(seed).sample(list(values), len(values)):
        try:
            World(encoding, decode).chunk([value], now)
        except Exception:  # noqa: BLE001 - whichever it is
            return value
    return None
