"""The list of all settings, read off the structs in `sections`."""

from __future__ import annotations

from functools import cache
from typing import Any, get_type_hints

import msgspec

from schemas.settings import kinds as k
from schemas.settings.sections import (
    ClickHouse,
    Events,
    Expectation,
    K,
    Kafka,
    Labels,
    Log,
    Privacy,
    Registry,
    Settings,
    Site,
    Source,
    Web,
)

#: Sections in the order of the reference. "" is the top of the file; `sources` is an array of tables.
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "": Settings,
    "kafka": Kafka,
    "sources": Source,
    "registry": Registry,
    "clickhouse": ClickHouse,
    "web": Web,
    "site": Site,
    "events": Events,
    "privacy": Privacy,
    "labels": Labels,
    "expectation": Expectation,
    "log": Log,
}
#: Keys that hold tables, which the file alone can set, with what stands there.
TABLE_KEYS = {
    (
        "",
        "calendar",
    ): "`[[calendar]]` with `name`, `from` and `until` (dates, the last one included, or times: on the site's clock) "
    "for each sale, campaign or holiday: `traffic = 8` (entries, times the usual) and `rate = 0.8` (conversions per entry), "
    "of one `funnel`, its `stage`, or one `dimension` and `value`. It adjusts what is expected; see docs/alerts.md.",
    ("site", "rates"): "`[[site.rates]]` with `from = 2026-01-01` and a decimal for each currency (`USD = 0.92`: one "
    "dollar is 0.92 of the reporting currency, from midnight of that day in the site's time zone). "
    "A currency keeps its last rate; before its first it is not converted.",
    ("labels", "values"): "`[labels.values]` with the list of label values of a dimension "
    '(`channel = ["paid", "email"]`), the same on every worker.',
}
ENV_PREFIX = "FUNNELWATCH_"
#: Ends the name of a key or variable that names a file with the secret instead of the secret.
FILE_SUFFIX = "_file"


class Key(msgspec.Struct, frozen=True):
    """One setting. `default` is msgspec.NODEFAULT where it must be given."""

    section: str
    name: str
    kind: k.Kind
    meaning: str
    default: Any

    @property
    def path(self) -> str:
        """`kafka.servers`, `create`."""
        return f"{self.section}.{self.name}" if self.section else self.name

    @property
    def variable(self) -> str:
        """The environment variable; of a source, `0` stands for its position."""
        section = "sources_0" if self.section == "sources" else self.section
        return (ENV_PREFIX + (f"{section}_" if section else "") + self.name).upper()

    @property
    def secret(self) -> bool:
        return self.kind is k.SECRET

    @property
    def needed(self) -> bool:
        return self.default is msgspec.NODEFAULT


@cache
def keys_of(section: str) -> tuple[Key, ...]:
    """The settings of a section ("" = top of the file), without those that hold tables."""
    struct = SECTIONS[section]
    hints = get_type_hints(struct, include_extras=True)
    return tuple(
        Key(section, field.name, said.kind, said.meaning, field.default)
        for field in msgspec.structs.fields(struct)
        for said in getattr(hints[field.name], "__metadata__", ())
        if isinstance(said, K)
    )


def secrets_of(settings: Settings) -> list[str]:
    """The texts of all secrets that are set. For whoever has to keep them out of something."""
    found = []
    for section in SECTIONS:
        held = getattr(settings, section) if section else settings
        if isinstance(held, msgspec.Struct):
            found += [getattr(held, key.name).reveal() for key in keys_of(section) if key.secret]
    return [text for text in found if text]


def accepted(section: str) -> tuple[str, ...]:
    """All keys that may stand in a section of the file."""
    plain = [
        name for key in keys_of(section) for name in ([key.name, key.name + FILE_SUFFIX] if key.secret else [key.name])
    ]
    return (*plain, *(name for at, name in TABLE_KEYS if at == section))
