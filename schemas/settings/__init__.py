"""Settings: `funnelwatch.toml`, the environment and flags, checked."""

from schemas.settings.layers import CONFIG_VARIABLE
from schemas.settings.loading import find_settings, load_settings
from schemas.settings.rates import Rate, Rates
from schemas.settings.secret import Secret
from schemas.settings.sections import (
    AllowedValues,
    ClickHouse,
    Compression,
    Events,
    Expectation,
    Kafka,
    Labels,
    Log,
    LogFormat,
    LogLevel,
    Privacy,
    Registry,
    SaslMechanism,
    SecurityProtocol,
    Settings,
    Site,
    Source,
    Start,
    Web,
)

__all__ = [
    "CONFIG_VARIABLE",
    "AllowedValues",
    "ClickHouse",
    "Compression",
    "Events",
    "Expectation",
    "Kafka",
    "Labels",
    "Log",
    "LogFormat",
    "LogLevel",
    "Privacy",
    "Rate",
    "Rates",
    "Registry",
    "SaslMechanism",
    "Secret",
    "SecurityProtocol",
    "Settings",
    "Site",
    "Source",
    "Start",
    "Web",
    "find_settings",
    "load_settings",
]
