"""What will run, as lines of text: the answer of `funnelwatch check` when nothing is wrong. Pure; shows no secret."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.decode.options import Format
from schemas.definitions import where_table
from schemas.durations import format_duration
from schemas.funnel import Funnel, Mode, Stage, Unit
from schemas.settings import ClickHouse, Kafka, Privacy, SecurityProtocol, Settings, Site, Source, Web
from schemas.toml import toml_value
from schemas.topics import Feed, created_topics, feeds

_LABEL = 11  # width of the column of labels
_LOOPBACK = ("127.", "localhost", "[::1]")


def overview(settings: Settings, funnels: Sequence[Funnel], files: Sequence[str]) -> list[str]:
    """Lines for the terminal. `files`: what was read, settings first."""
    prefix = settings.kafka.topic_prefix
    found = feeds(settings.sources, funnels, prefix)
    lines = [
        _line("read", ", ".join(files)),
        _line("site", _site(settings.site)),
        _line("Kafka", _kafka(settings.kafka)),
        *(_line("source", _source(source)) for source in settings.sources),
        _line("topics", _made(settings) + ", ".join(created_topics(found, prefix))),
        _line("ClickHouse", _clickhouse(settings.clickhouse)),
        _line("tables", _made(settings) + _tables(settings.clickhouse)),
        _line("metrics", _web(settings.web)),
        _line("privacy", _privacy(settings.privacy)),
    ]
    for funnel in funnels:
        lines += ["", *_funnel(funnel, next(feed for feed in found if feed.unit is funnel.unit), settings)]
    noted = list(notes(settings, funnels))
    return [*lines, *([""] if noted else []), *(_line("note", note) for note in noted)]


def notes(settings: Settings, funnels: Sequence[Funnel]) -> Iterator[str]:
    """What is allowed and yet may not be what the user wants."""
    if not settings.sources:
        yield "there is no source: enough for `batch`, but `run` needs [[sources]] with a topic in funnelwatch.toml"
    if not settings.web.token and not settings.web.listen.startswith(_LOOPBACK):
        yield f"[web] listens on {settings.web.listen} without a token: all who reach it can read the metrics"
    if settings.kafka.security_protocol is SecurityProtocol.SASL_PLAINTEXT:
        yield "[kafka] security_protocol SASL_PLAINTEXT encrypts nothing: the log-in and all events can be read on the way"
    if not settings.events.visitor_hash_key and any(s.format is Format.COMBINED for s in settings.sources):
        yield "[events] visitor_hash_key is empty: whoever has an address can compute the visitor id of web logs"
    known = {dimension for funnel in funnels for dimension in funnel.dimensions}
    for listed in settings.labels.values:
        if listed.dimension not in known:
            yield f"[labels.values] lists {listed.dimension}, which is a dimension of no funnel"
    for funnel in funnels:
        for stage in funnel.stages:
            if stage.within is not None and stage.within >= funnel.window:
                yield f"{funnel.name}, {stage.name}: within is no shorter than the window and changes nothing"


def _line(label: str, text: str) -> str:
    return f"{label:<{_LABEL}}{text}"


def _site(site: Site) -> str:
    money = f"amounts also in {site.currency}" if site.currency else "amounts in their own currencies"
    rates = ", ".join(name for name, _ in site.rates.by_currency)
    return f"{site.name}, {site.timezone}, {money}" + (f" (rates for {rates})" if rates else "")


def _kafka(kafka: Kafka) -> str:
    login = ""
    if kafka.security_protocol in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL):
        who = f"as {kafka.user}, password {kafka.password}" if kafka.user else f"token of {kafka.oauth_token_file}"
        login = f", {kafka.sasl_mechanism.value} {who}"
    return f"{', '.join(kafka.servers)} ({kafka.security_protocol.value}{login})"


def _source(source: Source) -> str:
    mapping = f" by {source.mapping}" if source.mapping else ""
    key = f"keyed by {source.keyed_by.value}" if source.keyed_by else "any key"
    idle = format_duration(source.idle_after)
    return f"{source.topic}: {source.format.value}{mapping}, {key}, from {source.start.value}, idle after {idle}"


def _made(settings: Settings) -> str:
    return "" if settings.create else "(must be there) "


def _clickhouse(clickhouse: ClickHouse) -> str:
    cluster = f", cluster {clickhouse.cluster}" if clickhouse.cluster else ""
    return f"{clickhouse.url} as {clickhouse.user}, password {clickhouse.password}{cluster}"


def _tables(clickhouse: ClickHouse) -> str:
    kept = {
        "events": clickhouse.events_ttl_days,
        "transitions": clickhouse.transitions_ttl_days,
        "attempts": clickhouse.attempts_ttl_days,
        "dead_letters": clickhouse.dead_letters_ttl_days,
    }
    if not clickhouse.events:
        del kept["events"]
    days = (f"{table} ({f'{keep} days' if keep else 'for ever'})" for table, keep in kept.items())
    return f"{clickhouse.database}: {', '.join(days)}"


def _privacy(privacy: Privacy) -> str:
    ids = "pseudonyms of ids" if privacy.id_key else "ids as they are"
    addresses = "addresses masked" if privacy.mask_addresses else "addresses as they are"
    letters = "sealed" if privacy.dead_letter_key else "masked"
    return f"{ids}, {addresses}, dead letters {letters}"


def _web(web: Web) -> str:
    outside = f", linked as {web.external_url}" if web.external_url else ""
    return f"http://{web.listen}/metrics, token {web.token}{outside}"


def _funnel(funnel: Funnel, feed: Feed, settings: Settings) -> Iterator[str]:
    gap = f", session gap {format_duration(funnel.session_gap)}" if funnel.unit is Unit.SESSION else ""
    yield (
        f"{funnel.name}  version {funnel.version}, by {funnel.unit.value}, {funnel.mode.value}, "
        f"window {format_duration(funnel.window)}, lateness {format_duration(funnel.lateness)}{gap}"
    )
    sources = ", ".join(source.topic for source in settings.sources) or "no source yet"
    yield f"  fed by {feed.topic}, " + ("directly" if feed.direct else f"keyed by {feed.unit.value} out of {sources}")
    for label, values in (("dimensions", funnel.dimensions), ("refunds", funnel.refunds)):
        if values:
            yield f"  {label} {', '.join(values)}"
    width = max(len(stage.name) for stage in funnel.stages)
    for number, stage in enumerate(funnel.stages, 1):
        mark = "-" if funnel.mode is Mode.UNORDERED else str(number)
        yield f"  {mark:>2} {stage.name:<{width}}  {_stage(stage)}"


def _stage(stage: Stage) -> str:
    parts = [" or ".join(stage.events)]
    if stage.where:
        parts.append("where " + toml_value(where_table(stage.where))[2:-2])
    if stage.optional:
        parts.append("optional")
    if stage.within is not None:
        parts.append(f"within {format_duration(stage.within)}")
    if stage.exclude:
        parts.append(f"ended by {' or '.join(stage.exclude)}")
    if stage.value:
        parts.append(f"value {stage.value}")
    for label, share in (("target", stage.target), ("floor", stage.floor)):
        if share is not None:
            least = f" from {stage.floor_minimum}" if label == "floor" and stage.floor_minimum else ""
            parts.append(f"{label} {share * 100:g} %{least}")
    if not stage.alert:
        parts.append("no alert")
    return ", ".join(parts)
