"""Files: records one by one, whatever they are packed in; and the real data that lies beside the repository."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.decode import (
    DecodeOptions,
    Format,
    Mapping,
    RawRecord,
    decoder,
    detect_format,
    file_progress,
    load_mapping,
    mapping_for,
    read_records,
)
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event

ROOT = Path(__file__).parents[3]
DATA = ROOT.parent / "shared" / "data"
NOW = 1_800_000_000_000

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"the data folder is not beside the repository: {DATA.name}")


def lines_of(path: Path, kind: str, mapping: Mapping | None = None) -> list[tuple[int, bytes]]:
    return [(record.line, record.data) for record in read_records(path, kind, mapping)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_gzip_is_known_by_its_content_and_blank_lines_are_skipped(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "events"
    path.write_bytes(pack(b'\xef\xbb\xbf{"a":1}\r\n\n{"a":2}'))
    assert lines_of(path, "native") == [(1, b'{"a":1}'), (3, b'{"a":2}')]


def test_a_csv_header_is_skipped_and_quoted_line_breaks_belong_to_the_record(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b'event,note\nbuy,"two\r\nlines"\n\nview,one\n')
    assert lines_of(path, "csv") == [(2, b'buy,"two\nlines"'), (5, b"view,one")]
    mapping = mapping_for(path, "csv", None)
    assert mapping is not None
    assert mapping.columns == ("event", "note")
    assert lines_of(path, "csv", mapping)[0][0] == 2
    assert lines_of(path, "csv", Mapping(format="csv", columns=("a", "b")))[0] == (1, b"event,note")


def test_a_quote_that_nothing_closes_swallows_no_other_record(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(b'event,note\nbuy,6" pipe\n' + b"view,one\n" * 3)
    assert lines_of(path, "csv") == [(2, b'buy,6" pipe'), (3, b"view,one"), (4, b"view,one"), (5, b"view,one")]


def test_an_otto_session_gives_one_record_per_event(tmp_path: Path) -> None:
    path = tmp_path / "otto.jsonl"
    path.write_bytes(b'{"session":7,"events":[{"aid":1,"ts":2,"type":"clicks"},5]}\nbroken\n')
    assert lines_of(path, "otto") == [
        (1, b'{"session":7,"aid":1,"ts":2,"type":"clicks"}'),
        (1, b'{"session":7,"event":5}'),
        (2, b"broken"),
    ]


def test_the_progress_counts_the_files_own_bytes(tmp_path: Path) -> None:
    path = tmp_path / "events.gz"
    path.write_bytes(gzip.compress(b'{"a":1}\n' * 5000))
    progress = file_progress(path)
    assert (progress.done, progress.total) == (0, path.stat().st_size)
    assert sum(1 for _ in read_records(path, "native", None, progress)) == 5000
    assert progress.done == progress.total


def test_an_endless_line_is_one_record_and_not_kept_whole(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_bytes(b"x" * (40 * 1024 * 1024) + b'\n{"a":1}\n')
    records = list(read_records(path, "native"))
    assert [record.line for record in records] == [1, 2]
    assert len(records[0].data) == 16 * 1024 * 1024
    assert records[1] == RawRecord(b'{"a":1}', 2)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        list(read_records(tmp_path / "missing", "native"))
    with pytest.raises(ConfigError, match="can't be read"):
        file_progress(tmp_path / "missing")
    with pytest.raises(ConfigError, match="use one of auto"):
        read_records(tmp_path / "missing", "xml")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"line\n" * 100_000)[:-20])
    with pytest.raises(ConfigError, match="give a whole file"):
        list(read_records(cut, "native"))
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    with pytest.raises(ConfigError, match="header line"):
        mapping_for(empty, "csv", None)
    with pytest.raises(ConfigError, match="is empty"):
        detect_format(empty)


@pytest.mark.parametrize(
    "name, content, expected",
    [
        ("a", b'{"event":"a","timestamp":1}', Format.NATIVE),
        ("a", b'{"specversion":"1.0","data":{}}', Format.CLOUDEVENTS),
        ("a", b'{"type":"track","messageId":"m"}', Format.SEGMENT),
        ("a", b'{"session":1,"events":[]}', Format.OTTO),
        ("a", b'{"what":1}', Format.MAPPING),
        ("a", b'1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "x"', Format.COMBINED),
        ("a.csv", b"event\nbuy", Format.CSV),
        ("a.txt", b"event;time\nbuy;1\n", Format.CSV),
    ],
)
def test_formats_are_recognised(tmp_path: Path, name: str, content: bytes, expected: Format) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(content))
    assert detect_format(path) is expected


def test_a_format_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"hello\nthere, you\n")
    with pytest.raises(ConfigError, match="--format"):
        detect_format(path)


def decoded(path: Path, kind: Format, mapping: Mapping | None) -> tuple[list[Event], list[int]]:
    """The events of a file, and the numbers of the lines that were refused."""
    mapping = mapping_for(path, kind, mapping)
    decode = decoder(DecodeOptions(format=kind, mapping=mapping))
    events: list[Event] = []
    invalid: list[int] = []
    for record in read_records(path, kind, mapping):
        try:
            events.append(decode(record.data, NOW))
        except InvalidEvent:
            invalid.append(record.line)
    return events, invalid


@needs_data
def test_the_real_web_log() -> None:
    path = DATA / "weblog" / "apache_logs.gz"
    assert detect_format(path) is Format.COMBINED
    events, invalid = decoded(path, Format.COMBINED, load_mapping(ROOT / "examples" / "weblog" / "mapping.toml"))
    assert (len(events), invalid) == (9999, [8899])
    assert len(events) - len({event.event_id for event in events}) == 19
    assert sum(later.ts < earlier.ts for earlier, later in pairwise(events)) == 4915
    names = Counter(event.event for event in events)
    pages = ("blog_article", "blog_tag", "presentation", "download", "feed", "home", "robots", "probe")
    assert [names[page] for page in pages] == [808, 473, 235, 105, 901, 218, 181, 40]
    # 2,862 by their agents (2,252 say bot, crawler, spider, feed or RSS, 228 say nothing), 78 by what they ask for.
    assert sum(event.bot for event in events) == 2940
    assert not any(event.visitor_id is None or "." in event.visitor_id for event in events)


@needs_data
def test_the_shop() -> None:
    path = DATA / "shop" / "ecom.csv.gz"
    assert detect_format(path) is Format.CSV
    events, invalid = decoded(path, Format.CSV, load_mapping(ROOT / "examples" / "shop" / "mapping.toml"))
    assert (len(events), invalid) == (31_106, [])
    assert len(events) - len({event.event_id for event in events}) == 30
    assert len({event.session_id for event in events}) == 3605
    assert len({event.visitor_id for event in events}) == 600
    first = events[0]
    assert (first.event, first.ts, first.device, first.channel) == ("home", 1_710_325_274_000, "desktop", "email")
    assert (first.customer_type, first.properties) == ("returning", {"cohort": "2024-01"})


@needs_data
def test_the_otto_sessions() -> None:
    path = DATA / "otto" / "train.jsonl"
    assert detect_format(path) is Format.OTTO
    events, invalid = decoded(path, Format.OTTO, None)
    assert invalid == []
    assert Counter(event.event for event in events) == {"clicks": 800, "carts": 52, "orders": 10}
    assert len({event.session_id for event in events}) == 20
