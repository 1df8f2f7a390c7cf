"""chDB as a server's engine: statements with settings and parameters in, formatted bytes out. Blocking; call in threads."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import chdb
import msgspec
from chdb.state.sqlitelike import Connection

from sinks.embedded.statement import Statement

#: Formats whose blocks, written one after the other, are one valid stream. Others have a head or a foot.
STREAMED = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
#: First words of the statements that the engine can answer block by block.
QUERIES = frozenset({"SELECT", "WITH"})
SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class EngineError(Exception):
    """ClickHouse's own error: its number and its text."""

    def __init__(self, text: str) -> None:
        start = max(text.find("Code: "), 0)
        self.text = text[start:].strip()
        match = re.match(r"Code: (\d+)", self.text)
        self.code = int(match.group(1)) if match else 1002  # UNKNOWN_EXCEPTION
        super().__init__(self.text)


class Call(msgspec.Struct, frozen=True):
    """One request. `settings`, `parameters`: names as in SQL, values as text."""

    statement: Statement
    database: str
    format: str
    settings: Mapping[str, str]
    parameters: Mapping[str, str]


class Engine:
    """One engine over one folder; a process can hold only one. Each call has a handle of its own (about 1 ms)."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._anchor = self._open()  # the engine lives as long as some handle
        version, zone = self._scalar("SELECT version()"), self._scalar("SELECT timezone()")
        self.version, self.timezone = version, zone

    def close(self) -> None:
        self._anchor.close()

    def insert(self, call: Call) -> int:
        """Runs INSERT … FORMAT with its data; how many rows these held. Raises EngineError.

        The data go through a file without a name. chDB's own `send_insert` reports success whatever becomes of the rows: a full disk,
        a violated constraint (4.4.0)."""
        statement = call.statement
        assert statement.data is not None
        head, settings = _sql(statement.text[: statement.settings]), _sql(statement.text[statement.settings :])
        with closing(self._prepared(call)) as handle, data_file(statement.data) as path:
            source = f"FROM INFILE '{path}' COMPRESSION 'none'"
            return int(_run(handle, f"{head} {source} {settings} FORMAT {call.format}").rows_read())

    def whole(self, call: Call) -> tuple[bytes, int]:
        """Runs a statement; its result and the rows that were read. Raises EngineError."""
        with closing(self._prepared(call)) as handle:
            result = _run(handle, _sql(call.statement.text), call.format, call.parameters)
            return bytes(result.bytes()), int(result.storage_rows_read())

    def blocks(self, call: Call) -> Generator[bytes, None, None]:
        """Runs a query in a streamed format, block by block. Raises EngineError, before the first block or between two."""
        with closing(self._prepared(call)) as handle:
            try:
                text = _sql(call.statement.text)
                with handle.send_query(text, call.format, params=dict(call.parameters)) as stream:
                    for block in stream:
                        yield bytes(block.bytes())
            except (RuntimeError, chdb.ChdbError) as error:
                raise EngineError(str(error)) from error

    def _prepared(self, call: Call) -> Connection:
        handle = self._open()
        try:
            if call.database:
                _run(handle, f"USE {_quoted(call.database, '`')}")
            if call.settings:
                _run(handle, _set_statement(call.settings))
        except EngineError:
            handle.close()
            raise
        return handle

    def _open(self) -> Connection:
        handle: Connection = chdb.connect(self._path)
        return handle

    def _scalar(self, query: str) -> str:
        return bytes(_run(self._anchor, query).bytes()).decode().strip()


@contextmanager
def data_file(data: bytes) -> Iterator[str]:
    """A path to the data; never one of the user's, whose * or { would be a pattern. Raises EngineError where there is no room for them."""
    with tempfile.TemporaryFile() as file:
        try:
            file.write(data)
            file.flush()
        except OSError as error:
            raise EngineError(
                f"Code: 243. DB::Exception: Cannot keep the data of an INSERT: {error}. (NOT_ENOUGH_SPACE)"
            ) from error
        file.seek(0)
        yield f"/dev/fd/{file.fileno()}"


def _run(
    handle: Connection, text: str, wanted: str = "TabSeparated", parameters: Mapping[str, str] | None = None
) -> Any:
    """The engine's result object (its class is not public)."""
    try:
        return handle.query(text, wanted, params=dict(parameters or {}))
    except (RuntimeError, chdb.ChdbError) as error:
        raise EngineError(str(error)) from error


def _sql(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise EngineError(
            "Code: 62. DB::Exception: Syntax error: the statement is not UTF-8. (SYNTAX_ERROR)"
        ) from error


def _set_statement(settings: Mapping[str, str]) -> str:
    for name in settings:
        if not SETTING_NAME.fullmatch(name):
            raise EngineError(f"Code: 115. DB::Exception: Unknown setting '{name}'. (UNKNOWN_SETTING)")
    return "SET " + ", ".join(f"{name} = {_quoted(value, chr(39))}" for name, value in settings.items())


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote
