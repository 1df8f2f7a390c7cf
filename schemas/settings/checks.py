"""What settings must be to each other. Each rule adds its problem, named where the setting was given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from schemas.decode.options import Format
from schemas.errors import ConfigError
from schemas.privacy.sealing import Seal
from schemas.problems import Problems
from schemas.settings.sections import Kafka, Privacy, SaslMechanism, SecurityProtocol, Settings
from schemas.toml import show

#: (section, key) or (section, key, index of the source) → where it was given.
Where = Callable[..., str]

#: Characters of a key for ids, at least.
SHORTEST_KEY = 16
_ENCRYPTED = (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL)
_LOGGED_IN = (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL)


def check_settings(settings: Settings, where: Where, problems: Problems) -> None:
    """Adds a problem for each rule that is broken. Looks whether named files are there; connects to nothing."""
    _check_security(settings.kafka, where, problems)
    _check_timeouts(settings, where, problems)
    _check_sources(settings, where, problems)
    _check_privacy(settings.privacy, where, problems)
    for section, key, path in _files(settings):
        if path is not None and not path.is_file():
            problems.add(where(section, key), f"{show(str(path))} is not a file", "check the path")


def _check_security(kafka: Kafka, where: Where, problems: Problems) -> None:
    protocol = kafka.security_protocol
    if protocol in _LOGGED_IN and kafka.sasl_mechanism is SaslMechanism.OAUTHBEARER:
        _check_tokens(kafka, where, problems)
    elif protocol in _LOGGED_IN:
        for key, given in (("user", kafka.user), ("password", kafka.password)):
            if not given:
                problems.add(where("kafka", key), f"is missing, and {protocol.value} logs in", f"write {key} as well")
    elif kafka.user or kafka.password:
        remedy = 'write security_protocol = "SASL_SSL" or "SASL_PLAINTEXT"'
        problems.add(where("kafka", "user" if kafka.user else "password"), f"{protocol.value} doesn't log in", remedy)
    if protocol not in _ENCRYPTED:
        for key in ("ca", "cert", "key"):
            if getattr(kafka, key) is not None:
                remedy = 'write security_protocol = "SSL" or "SASL_SSL"'
                problems.add(where("kafka", key), f"{protocol.value} doesn't encrypt", remedy)
    if (kafka.cert is None) != (kafka.key is None):
        given, missing = ("cert", "key") if kafka.key is None else ("key", "cert")
        problems.add(where("kafka", given), f"is given without {missing}", f"write {missing} as well")


def _check_tokens(kafka: Kafka, where: Where, problems: Problems) -> None:
    if (kafka.oauth_token_file is None) == (not kafka.oauth_url):
        remedy = "write one of oauth_token_file and oauth_url"
        problems.add(where("kafka", "sasl_mechanism"), "OAUTHBEARER needs one place where tokens come from", remedy)
    if kafka.oauth_url:
        for key, given in (("user", kafka.user), ("password", kafka.password)):
            if not given:
                problems.add(where("kafka", key), "is missing, and oauth_url asks for it", f"write {key} as well")
        parts = urlsplit(kafka.oauth_url)
        if parts.scheme != "https" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            problems.add(where("kafka", "oauth_url"), "would send the secret unencrypted", "write https://…")


def _check_timeouts(settings: Settings, where: Where, problems: Problems) -> None:
    """A call to ClickHouse that outlasts a rebalance would let two workers write for one partition."""
    if settings.clickhouse.timeout >= settings.kafka.rebalance_timeout:
        remedy = "write a shorter one, or a longer rebalance_timeout in [kafka]"
        problems.add(where("clickhouse", "timeout"), "is not shorter than kafka.rebalance_timeout", remedy)


def _check_sources(settings: Settings, where: Where, problems: Problems) -> None:
    topics = [source.topic for source in settings.sources]
    for index, source in enumerate(settings.sources):
        if source.topic in topics[:index]:
            problems.add(
                where("sources", "topic", index), f"{show(source.topic)} is there twice", "name each topic once"
            )
        if source.topic.startswith(settings.kafka.topic_prefix):
            problem = f"{show(source.topic)} begins like funnelwatch's own topics"
            problems.add(where("sources", "topic", index), problem, "choose another topic_prefix in [kafka]")
        if source.format is Format.MAPPING and source.mapping is None:
            remedy = 'write mapping = "mapping.toml"'
            problems.add(where("sources", "format", index), '"mapping" needs a mapping file', remedy)
        if source.format is Format.CONFLUENT and not settings.registry.url:
            remedy = 'write url = "http://registry:8081" in [registry]'
            problems.add(where("sources", "format", index), '"confluent" needs a schema registry', remedy)
        if source.mapping is not None and not source.mapping.is_file():
            problem = f"{show(str(source.mapping))} is not a file"
            problems.add(where("sources", "mapping", index), problem, "check the path")


def _check_privacy(privacy: Privacy, where: Where, problems: Problems) -> None:
    if 0 < len(privacy.id_key.reveal()) < SHORTEST_KEY:
        remedy = f"write one of {SHORTEST_KEY} characters or more: `openssl rand -base64 32`"
        problems.add(where("privacy", "id_key"), "is too short: it could be guessed", remedy)
    if privacy.dead_letter_key:
        try:
            Seal(privacy.dead_letter_key.reveal())
        except ConfigError as error:
            problems.add(where("privacy", "dead_letter_key"), error.problem, error.remedy)


def _files(settings: Settings) -> list[tuple[str, str, Path | None]]:
    kafka = settings.kafka
    return [
        ("kafka", "ca", kafka.ca),
        ("kafka", "cert", kafka.cert),
        ("kafka", "key", kafka.key),
        ("kafka", "oauth_token_file", kafka.oauth_token_file),
        ("clickhouse", "ca", settings.clickhouse.ca),
        ("registry", "ca", settings.registry.ca),
    ]
