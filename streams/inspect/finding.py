"""What a look at a sample found: encoding, mapping, what would be refused, keys, times, events, and a funnel to begin with."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from schemas.decode import Decode, Format, Mapping, decoder
from schemas.decode.framed import SchemaStore
from schemas.errors import FunnelwatchError, InvalidEvent
from schemas.event import FIELDS, HEARTBEAT, Event
from schemas.funnel import Unit
from schemas.settings import Settings
from streams.decoding import options
from streams.engine.match import ID_OF
from streams.inspect.guess import guess
from streams.inspect.paths import paths_of
from streams.inspect.recognise import FORMATS, Encoding, delimiter_of, fields, of_object, recognise
from streams.inspect.sample import Sample, Sampled
from streams.registry import SchemaRegistry

#: Seconds that the schema registry is waited for.
PATIENCE = 10.0
#: Names of events that are listed, and share of the records that a proposed unit must have the id of.
MOST_EVENTS, ENOUGH = 50, 0.5
_PLAIN = (Encoding.NATIVE, Encoding.CLOUDEVENTS, Encoding.SEGMENT)
_MAPPED = (Encoding.JSON, Encoding.CSV, Encoding.FRAMED)


class Refused(msgspec.Struct, frozen=True):
    """Records that would be dead letters. `example`: what the decoder says of the first."""

    reason: str
    records: int
    share: float
    example: str


class Field(msgspec.Struct, frozen=True):
    """An event's field. `path`: where it stands in the records, where a mapping says so. `share`: of events that have it."""

    name: str
    path: str
    share: float


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are of the sample. Times: ms UTC, of the events. `format` None: nobody knows what this is. `keyed_by`: the unit
    whose id is each record's key. `distinct`: units by kind of id. `notes`: what the user should know."""

    name: str
    partitions: int
    held: int
    sampled: int
    encodings: dict[str, int]
    format: str | None = None
    mapping: Mapping | None = None
    keyed_by: str | None = None
    fields: tuple[Field, ...] = ()
    dead_letters: float = 0.0
    refused: tuple[Refused, ...] = ()
    bots: float = 0.0
    first: int | None = None
    last: int | None = None
    events: dict[str, int] = {}
    distinct: dict[str, int] = {}
    by_units: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Look(msgspec.Struct, frozen=True):
    """How to read a sample: its format, its mapping, and the schemas it needs."""

    format: Format
    mapping: Mapping | None = None
    store: SchemaStore | None = None
    notes: tuple[str, ...] = ()


def find(sample: Sample, settings: Settings) -> Finding:
    """Looks at a sample. Raises ConfigError where the settings' own events section is wrong."""
    values = [record.value for record in sample.records]
    found = recognise(values)
    head = Finding(
        name=sample.name, partitions=sample.partitions, held=sample.held, sampled=len(values),
        encodings={kind.value: count for kind, count in found.most_common()},
    )  # fmt: skip
    told = Counter({kind: count for kind, count in found.items() if kind in FORMATS})
    if not told:
        nothing = "there is no record yet" if not values else "no record has an encoding that is known"
        return msgspec.structs.replace(head, notes=(nothing,))
    look = _look(sample, max(told, key=lambda kind: told[kind]), found, settings)
    return _decoded(head, sample.records, look, decoder(options(settings, look.format, look.mapping, look.store)))


def _look(sample: Sample, main: Encoding, found: Counter[Encoding], settings: Settings) -> Look:
    if sum(found[kind] for kind in _PLAIN) >= found[main] and main in (*_PLAIN, Encoding.JSON):
        plain = [kind for kind in _PLAIN if found[kind]]
        return Look(Format.AUTO if len(plain) > 1 or plain[0] is Encoding.NATIVE else Format(plain[0].value.lower()))
    form = sample.format or FORMATS[main]
    if main not in _MAPPED:
        return Look(form)
    values = [record.value for record in sample.records]
    store, notes = _schemas(values, settings) if main is Encoding.FRAMED else (None, ())
    like = sample.mapping or Mapping(format="csv" if main is Encoding.CSV else "json")
    if main is Encoding.CSV and not like.columns:
        like, notes = _columns(values), ("CSV without a header line: name the columns in the mapping",)
    read = [
        got
        for data in values
        if data and (got := fields(data, main, store or SchemaStore(), like.columns, like.delimiter)) is not None
    ]
    if main is Encoding.FRAMED and (not read or sum(of_object(each) in _PLAIN for each in read) * 2 > len(read)):
        return Look(form, None, store, notes)
    return Look(
        Format.CONFLUENT if main is Encoding.FRAMED else Format.MAPPING, guess(paths_of(read), like), store, notes
    )


def _columns(values: Sequence[bytes | None]) -> Mapping:
    """Columns without a name: `column_1` and so on."""
    delimiter = delimiter_of(values) or ","
    first = next(data for data in values if data).decode("utf-8", "replace")
    names = tuple(f"column_{number}" for number in range(1, first.count(delimiter) + 2))
    return Mapping(format="csv", delimiter=delimiter, columns=names)


def _schemas(values: Sequence[bytes | None], settings: Settings) -> tuple[SchemaStore, tuple[str, ...]]:
    """The schemas of framed records, as far as the registry gives them now."""
    if not settings.registry.url:
        return SchemaStore(), (
            "the records are framed for a schema registry: write its url in [registry] (or --set registry.url=…)",
        )
    client = SchemaRegistry(settings.registry)

    async def learn() -> bool:
        until = time.monotonic() + PATIENCE
        try:
            return await client.learn(values, "inspect", lambda: time.monotonic() < until)
        finally:
            await client.close()

    whole = asyncio.run(learn())
    kinds = ", ".join(sorted(set(client.kinds.values())))
    notes = (f"by the registry's schemas: {kinds}",) if kinds else ()
    return client.store, notes if whole else (
        *notes,
        f"the registry at {settings.registry.url} did not answer for all schemas",
    )


def _decoded(head: Finding, records: Sequence[Sampled], look: Look, decode: Decode) -> Finding:
    events: list[tuple[Sampled, Event]] = []
    refused: dict[str, list[str]] = {}
    for record in records:
        try:
            event = decode(record.value or b"", record.time)
        except InvalidEvent as error:
            refused.setdefault(error.reason.value, []).append(error.detail)
        except FunnelwatchError as error:  # a schema that could not be fetched
            refused.setdefault("schema not fetched", []).append(str(error))
        else:
            if event.event != HEARTBEAT:
                events.append((record, event))
    people = [event for _, event in events if not event.bot]
    names, count = Counter(event.event for event in people), len(records) or 1
    ids = {unit.value: {value for event in people if (value := ID_OF[unit](event)) is not None} for unit in Unit}
    return msgspec.structs.replace(
        head,
        format=look.format.value,
        mapping=look.mapping,
        keyed_by=_keyed_by(events),
        fields=_fields([event for _, event in events], look.mapping),
        dead_letters=sum(map(len, refused.values())) / count,
        refused=tuple(
            Refused(reason, len(told), len(told) / count, told[0])
            for reason, told in sorted(refused.items(), key=lambda item: -len(item[1]))
        ),
        bots=(len(events) - len(people)) / count,
        first=min((event.ts for event in people), default=None),
        last=max((event.ts for event in people), default=None),
        events=dict(names.most_common(MOST_EVENTS)),
        distinct={unit: len(known) for unit, known in ids.items()},
        by_units=_by_units(people),
        notes=(*look.notes, *_notes(head, names)),
    )


def _notes(head: Finding, names: Counter[str]) -> Iterable[str]:
    if len(names) > MOST_EVENTS:
        yield f"{len(names):,} names of events: is this field the event's name? Only the {MOST_EVENTS} most frequent are listed"
    if len(head.encodings) > 1 and Encoding.BINARY.value in head.encodings:
        yield "some records are binary and in no known frame"


def _keyed_by(events: Sequence[tuple[Sampled, Event]]) -> str | None:
    """The unit whose id is the key of every record, each on one partition."""
    for unit in Unit:
        places: dict[bytes, int] = {}
        if events and all(
            (own := ID_OF[unit](event)) is not None
            and own.encode() == record.key
            and places.setdefault(record.key, record.partition) == record.partition
            for record, event in events
        ):
            return unit.value
    return None


def _fields(events: Sequence[Event], mapping: Mapping | None) -> tuple[Field, ...]:
    """Those that any event has, in an event's order; mapped properties each by itself."""
    count, named = len(events) or 1, dict(mapping.fields) if mapping is not None else {}
    if mapping is not None and mapping.event is not None:
        named["event"] = mapping.event
    shares = {
        name: sum(getattr(event, name) is not None for event in events) / count for name in FIELDS if name != "bot"
    }
    if mapping is not None:
        for target in named:
            group, _, inner = target.partition(".")
            if inner:
                shares[target] = sum(inner in (getattr(event, group) or ()) for event in events) / count
    own = {"ts": "timestamp"}
    return tuple(
        Field(own.get(name, name), _path(named.get(own.get(name, name))), share)
        for name, share in shares.items()
        if share
    )


def _path(path: str | tuple[str, ...] | None) -> str:
    return path if isinstance(path, str) else " or ".join(path or ())


def _by_units(events: Sequence[Event]) -> tuple[str, ...]:
    """Names of events, those of most visitors (or sessions) first, then of most records: how a funnel narrows."""
    counts = Counter(event.event for event in events)
    reached: dict[str, set[str | None]] = {}
    for event in events:
        reached.setdefault(event.event, set()).add(event.visitor_id or event.session_id or event.user_id)
    return tuple(sorted(reached, key=lambda name: (-len(reached[name]), -counts[name], name))[:MOST_EVENTS])
