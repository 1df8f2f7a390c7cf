"""Decoders as the settings ask for them."""

from __future__ import annotations

from schemas.decode import Decode, DecodeOptions, Format, Mapping, decoder, load_mapping
from schemas.errors import ConfigError
from schemas.settings import Events, Settings, Source


def options(settings: Settings, form: Format, mapping: Mapping | None) -> DecodeOptions:
    """What the settings say on events, for one format."""
    events: Events = settings.events
    currency = events.default_currency or settings.site.currency or None
    return DecodeOptions(
        format=form, mapping=mapping, earliest=events.earliest, max_ahead=events.max_ahead, max_bytes=events.max_bytes,
        visitor_hash_key=events.visitor_hash_key.reveal().encode(), default_currency=currency,
    )  # fmt: skip


def source_decoder(settings: Settings, source: Source) -> Decode:
    """The decoder of a source topic. Raises ConfigError."""
    mapping = load_mapping(source.mapping) if source.mapping is not None else None
    return decoder(options(settings, source_format(source, mapping), mapping))


def source_format(source: Source, mapping: Mapping | None) -> Format:
    """The decoder's name for a source's format."""
    name = source.format.value
    if name == "json":
        return Format.MAPPING if mapping is not None else Format.AUTO
    try:
        return Format(name)
    except ValueError:
        raise ConfigError(f"sources: {source.topic}", f"format {name!r} can't be read yet", "send JSON") from None
