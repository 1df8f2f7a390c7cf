"""The settings' reference, as Markdown: `python -m schemas.settings > docs/settings.md`."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.settings.keys import SECTIONS, TABLE_KEYS, Key, keys_of

_INTRODUCTION = """\
# Settings

<!-- Made by `python -m schemas.settings`. Change schemas/settings/sections.py, not this file. -->

`funnelwatch.toml` (`--config`, else `FUNNELWATCH_CONFIG`, else the one in the current folder) is overridden by
environment variables, and these by flags. No file is needed where all defaults fit.

- Durations are texts with units: `"500ms"`, `"30s"`, `"30m"`, `"24h"`, `"7d"`, `"1h30m"`. A bare number is refused.
- In the environment, lists are separated by commas, flags are `true` or `false`, an empty variable counts as not set.
  Sources are numbered: `FUNNELWATCH_SOURCES_0_TOPIC`, `FUNNELWATCH_SOURCES_1_TOPIC`.
- A **secret** can stand in a file of its own: `password_file = "…"`, or `FUNNELWATCH_KAFKA_PASSWORD_FILE=…`. Line ends
  at its end are left out. Secrets are never printed or logged.
- A relative path in the file is relative to that file, in variables and flags to the current folder.
- What is unknown or wrong is refused at the start, all of it at once: `funnelwatch check` says what and where.
"""


def reference() -> str:
    """The whole of docs/settings.md."""
    lines = [_INTRODUCTION]
    for section in SECTIONS:
        lines += _section(section)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: str) -> Iterator[str]:
    header = "Top of the file" if not section else "`[[sources]]`" if section == "sources" else f"`[{section}]`"
    yield f"## {header}\n"
    if section:
        yield f"{' '.join((SECTIONS[section].__doc__ or '').split())}\n"
    yield "| key | type | default | environment variable | meaning |"
    yield "|---|---|---|---|---|"
    for key in keys_of(section):
        yield _row(key)
    yield ""
    for (at, name), meaning in TABLE_KEYS.items():
        if at == section:
            yield f"**{name}**: {meaning} Only in the file.\n"


def _row(key: Key) -> str:
    default = "needed" if key.needed else f"`{key.kind.text(key.default)}`"
    variable = f"`{key.variable}`" + (" or `…_FILE`" if key.secret else "")
    return f"| `{key.name}` | {key.kind.name} | {default} | {variable} | {key.meaning} |"
