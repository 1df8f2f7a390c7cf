"""Migrations: numbered SQL files, each applied once and recorded.

Files and record are those of the `clickhouse-migrations` tool (table `schema_versions`, `${NAME}` placeholders), so
that either may apply them. Every statement may run twice: a run that broke in the middle is repeated as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import md5
from importlib.resources import files

import msgspec

from schemas.errors import SinkError
from schemas.settings.sections import ClickHouse
from sinks.clickhouse.client import Client, connect, faults, rows_of

_PLACEHOLDER = re.compile(r"\$\{([A-Z_]+)\}")
#: A statement's end: a semicolon outside of texts, quoted names and comments.
_TOKEN = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:\\.|''|[^'\\])*'|`[^`]*`|\"[^\"]*\"|;|[^-/'`\";]+|.", re.DOTALL)
_COMMENT = re.compile(r"^\s*--[^\n]*\n", re.MULTILINE)

RECORD = """CREATE TABLE IF NOT EXISTS schema_versions ${ON_CLUSTER}
(
    version UInt32,
    md5 String,
    script String,
    created_at DateTime DEFAULT now()
)
ENGINE = ${REPLICATED}MergeTree
ORDER BY tuple(created_at)"""


class Migration(msgspec.Struct, frozen=True):
    """One file: `version` (the number in its name), its name, and its text with the placeholders in it."""

    version: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        return md5(self.script.encode(), usedforsecurity=False).hexdigest()


class Layout(msgspec.Struct, frozen=True):
    """How tables are made. `cluster` "" is a single server. Days that each table keeps its rows from when they
    were stored, 0 = for ever."""

    cluster: str = ""
    transitions_days: int = 0
    attempts_days: int = 0
    events_days: int = 0
    dead_letters_days: int = 0

    @classmethod
    def of(cls, settings: ClickHouse) -> Layout:
        """The layout that the settings ask for."""
        return cls(
            settings.cluster,
            settings.transitions_ttl_days,
            settings.attempts_ttl_days,
            settings.events_ttl_days,
            settings.dead_letters_ttl_days,
        )

    def variables(self) -> dict[str, str]:
        """The placeholders' values."""
        return {
            "ON_CLUSTER": f"ON CLUSTER {quote_name(self.cluster)}" if self.cluster else "",
            "REPLICATED": "Replicated" if self.cluster else "",
            "TTL_TRANSITIONS": _ttl("stored_at", self.transitions_days),
            "TTL_ATTEMPTS": _ttl("stored_at", self.attempts_days),
            "TTL_EVENTS": _ttl("stored_at", self.events_days),
            "TTL_DEAD_LETTERS": _ttl("stored_at", self.dead_letters_days),
        }


def migrations() -> tuple[Migration, ...]:
    """The migrations of this version of funnelwatch, in order."""
    folder = files("sinks") / "migrations"
    found = [
        Migration(int(entry.name.split("_")[0]), entry.name, entry.read_text(encoding="utf-8"))
        for entry in folder.iterdir()
        if entry.name.endswith(".sql")
    ]
    return tuple(sorted(found, key=lambda migration: migration.version))


def render(script: str, variables: Mapping[str, str]) -> str:
    """`script` with its placeholders replaced. Lines that were nothing but an empty placeholder are left out."""
    lines = []
    for line in script.splitlines():
        filled = _PLACEHOLDER.sub(lambda match: variables[match.group(1)], line)
        if filled.strip() or not _PLACEHOLDER.search(line):
            lines.append(filled.rstrip())
    return re.sub(r"\n(;)", r"\1", "\n".join(lines)).strip() + "\n"


def statements(script: str) -> list[str]:
    """The statements of a rendered script, without their comment lines and semicolons."""
    parts = [""]
    for piece in _TOKEN.findall(script):
        if piece == ";":
            parts.append("")
        else:
            parts[-1] += piece
    bare = [_COMMENT.sub("", part + "\n").strip() for part in parts]
    return [part for part in bare if part]


def ddl(database: str, layout: Layout) -> str:
    """All that `migrate` would run on an empty server, as one script."""
    variables = layout.variables()
    head = [create_database(database, layout), f"USE {quote_name(database)}", render(RECORD, variables).strip()]
    bodies = [f"-- {migration.name}\n{render(migration.script, variables)}" for migration in migrations()]
    return "\n\n".join([*(statement + ";" for statement in head), *bodies])


def create_database(database: str, layout: Layout) -> str:
    """The statement that makes the database."""
    return f"CREATE DATABASE IF NOT EXISTS {quote_name(database)} {layout.variables()['ON_CLUSTER']}".strip()


def apply(client: Client, layout: Layout, known: Iterable[Migration] | None = None) -> list[Migration]:
    """Applies to the client's database what it does not have yet, and says which. The database must be there.

    Raises SinkError: the server refused, or has a migration that this version of funnelwatch does not know (it is older
    than the tables) or knows otherwise.
    """
    wanted, variables = tuple(known if known is not None else migrations()), layout.variables()
    _run(client, "make the table schema_versions", [render(RECORD, variables).strip()])
    rows = rows_of(client, "read schema_versions", "SELECT DISTINCT version, md5 FROM schema_versions")
    applied = {int(version): str(checksum) for version, checksum in rows}
    _refuse_foreign(applied, {migration.version: migration for migration in wanted})
    fresh = [migration for migration in wanted if migration.version not in applied]
    for migration in fresh:
        _run(client, f"apply {migration.name}", statements(render(migration.script, variables)))
        record = [[migration.version, migration.checksum, migration.script]]
        with faults(f"record {migration.name}"):
            client.insert("schema_versions", record, column_names=["version", "md5", "script"])
    return fresh


def quote_name(name: str) -> str:
    """An identifier in backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _refuse_foreign(applied: Mapping[int, str], known: Mapping[int, Migration]) -> None:
    for version, checksum in sorted(applied.items()):
        if version not in known:
            raise SinkError(
                f"ClickHouse: the tables are newer than this funnelwatch (migration {version} is applied): upgrade it"
            )
        if known[version].checksum != checksum:
            raise SinkError(
                f"ClickHouse: migration {known[version].name} was applied with another text: use the release that made "
                "the tables, or an empty database"
            )


def _run(client: Client, what: str, sql: Iterable[str]) -> None:
    for statement in sql:
        with faults(what):
            client.command(statement)


def _ttl(column: str, days: int) -> str:
    return f"TTL {column} + INTERVAL {days} DAY" if days else ""


def bring_up_to_date(settings: ClickHouse) -> list[Migration]:
    """Makes the database of `settings` if it is missing, and applies what it lacks. Raises SinkError."""
    layout = Layout.of(settings)
    with connect(settings, database="default") as client, faults(f"make the database {settings.database}"):
        client.command(create_database(settings.database, layout))
    with connect(settings) as client:
        return apply(client, layout)
