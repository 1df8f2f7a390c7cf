"""Where an INSERT's data begin, what only reads, and what is more than one statement."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.embedded.statement import parse


@pytest.mark.parametrize(
    ("raw", "text", "wanted", "data"),
    [
        (b"INSERT INTO t FORMAT Native\n\x01\x02", b"INSERT INTO t ", "Native", b"\x01\x02"),
        (b"insert into t (a, b) format JSONEachRow {}", b"insert into t (a, b) ", "JSONEachRow", b"{}"),
        (b"INSERT INTO t FORMAT RowBinary\r\n\n\x00;'", b"INSERT INTO t ", "RowBinary", b"\n\x00;'"),
        (b"INSERT INTO t SETTINGS a = 'FORMAT X' FORMAT CSV\n'", b"INSERT INTO t SETTINGS a = 'FORMAT X' ", "CSV", b"'"),
        (b"INSERT INTO `FORMAT` (`format`) FORMAT TSV\n1", b"INSERT INTO `FORMAT` (`format`) ", "TSV", b"1"),
        (b"-- FORMAT X\nINSERT /* FORMAT Y */ INTO t FORMAT TSV\n1", b"-- FORMAT X\nINSERT /* FORMAT Y */ INTO t ", "TSV", b"1"),
        (b"INSERT INTO t FORMAT format\n1", b"INSERT INTO t ", "format", b"1"),
        (b"INSERT INTO t FORMAT TSV", b"INSERT INTO t ", "TSV", b""),
    ],
)  # fmt: skip
def test_the_data_of_an_insert_begin_after_its_format_clause(raw: bytes, text: bytes, wanted: str, data: bytes) -> None:
    found = parse(raw)
    assert (found.text, found.format, found.data, found.several) == (text, wanted, data, False)


@given(st.binary())
def test_data_of_any_bytes_are_taken_as_they_are(data: bytes) -> None:
    assert parse(b"INSERT INTO t FORMAT Native\n" + data).data == data


@pytest.mark.parametrize(
    "raw",
    [
        b"INSERT INTO t VALUES (1, 'a; b')",
        b"INSERT INTO t SELECT 1 FORMAT Null",
        b"INSERT INTO t (a) WITH 1 AS x SELECT x",
    ],
)
def test_inline_values_and_selects_are_left_to_the_engine(raw: bytes) -> None:
    found = parse(raw)
    assert (found.text, found.data, found.several, found.reads) == (raw, None, False, False)


@pytest.mark.parametrize(
    ("raw", "verb", "wanted", "reads"),
    [
        (b"SELECT 1", "SELECT", None, True),
        (b" -- x\n ( select 1 ) format JSON", "SELECT", "JSON", True),
        (b"WITH 1 AS x SELECT x\n FORMAT Native", "WITH", "Native", True),
        (b"SELECT format('{}', 'x') AS FORMATS", "SELECT", None, True),
        (b"SELECT * FROM format(JSONEachRow, '{}')", "SELECT", None, True),
        (b"SHOW TABLES", "SHOW", None, True),
        (b"CREATE TABLE t (a Int8) ENGINE = Memory", "CREATE", None, False),
        (b"", "", None, False),
    ],
)
def test_kind_and_format_are_read_off(raw: bytes, verb: str, wanted: str | None, reads: bool) -> None:
    found = parse(raw)
    assert (found.verb, found.format, found.reads, found.data) == (verb, wanted, reads, None)


@pytest.mark.parametrize(
    ("raw", "several"),
    [
        (b"SELECT 1; SELECT 2", True),
        (b"SELECT 1;", False),
        (b"SELECT 1; -- done\n", False),
        (b"SELECT ';'; ", False),
        (b"SELECT `a;b` FROM t", False),
        (b"SELECT 'it''s; ok', 'b\\';'", False),
        (b"DROP TABLE a; DROP TABLE b", True),
    ],
)
def test_a_second_statement_is_seen(raw: bytes, several: bool) -> None:
    assert parse(raw).several is several
