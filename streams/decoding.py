"""Decoders as the settings ask for them."""

from __future__ import annotations

from schemas.decode import Decode, DecodeOptions, Format, Internal, Mapping, decoder, load_mapping
from schemas.decode.framed import SchemaStore
from schemas.event import Event
from schemas.privacy.protect import Protect, protector
from schemas.settings import Settings, Source
from streams.engine.usual import Readable


def options(
    settings: Settings, form: Format, mapping: Mapping | None, schemas: SchemaStore | None = None
) -> DecodeOptions:
    """What the settings say on events, for one format. `schemas`: those of framed records."""
    events = settings.events
    internal = Internal(
        addresses=events.internal_addresses, user_agents=events.internal_user_agents, hosts=events.internal_hosts,
        marks=events.internal_marks,
    )  # fmt: skip
    return DecodeOptions(
        format=form, mapping=mapping, earliest=events.earliest, max_ahead=events.max_ahead, max_bytes=events.max_bytes,
        visitor_hash_key=events.visitor_hash_key.reveal().encode(), internal=internal,
        default_currency=events.default_currency or None, schemas=schemas,
    )  # fmt: skip


def event_protection(settings: Settings) -> Protect | None:
    """What is done to events before anything is stored; None: nothing."""
    privacy = settings.privacy
    return protector(
        privacy.id_key.reveal().encode(), addresses=privacy.mask_addresses, dropped=privacy.dropped_fields,
        masked=privacy.masked_fields,
    )  # fmt: skip


def protected(decode: Decode, protect: Protect | None) -> Decode:
    """`decode`, whose events nobody sees unprotected."""
    if protect is None:
        return decode

    def decode_and_protect(data: bytes, now: int) -> Event:
        event = decode(data, now)
        protect(event, data)
        return event

    return decode_and_protect


def source_options(settings: Settings, source: Source, schemas: SchemaStore | None = None) -> DecodeOptions:
    """How a source topic is decoded. A mapping file says by itself what it maps. Raises ConfigError."""
    mapping = load_mapping(source.mapping) if source.mapping is not None else None
    form = Format.MAPPING if mapping is not None and source.format is Format.AUTO else source.format
    return options(settings, form, mapping, schemas)


def source_decoder(settings: Settings, source: Source, schemas: SchemaStore | None = None) -> Decode:
    """The decoder of a source topic. Raises ConfigError."""
    return decoder(source_options(settings, source, schemas))


def readable(settings: Settings, source: Source) -> Readable | None:
    """How the engine may read the topic's records itself; None where each must be decoded, and something done to it, first."""
    privacy = settings.privacy
    if privacy.id_key.reveal() or privacy.dropped_fields or privacy.masked_fields:
        return None
    found = source_options(settings, source)
    return Readable(found, addresses=privacy.mask_addresses) if found.format in (Format.AUTO, Format.NATIVE) else None
