"""Dead letters as ClickHouse has them: those that were replayed as well, for as long as the table keeps them."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator

from schemas.dead_letter import DeadLetter
from sinks.clickhouse.client import Client, rows_of

_LETTERS = """
SELECT topic, partition, offset, reason, detail, toUnixTimestamp64Milli(time), base64Encode(key), base64Encode(payload)
FROM dead_letters_v WHERE toUnixTimestamp64Milli(time) >= {since:Int64}
ORDER BY topic, partition, offset"""


def read_letters(client: Client, since: int = 0) -> Iterator[DeadLetter]:
    """All letters whose record came at `since` (ms UTC) or later. Raises SinkError."""
    for topic, partition, offset, reason, detail, time, key, payload in rows_of(
        client, "read the dead letters", _LETTERS, {"since": since}
    ):
        yield DeadLetter(
            str(topic),
            int(partition),
            int(offset),
            str(reason),
            str(detail),
            int(time),
            b64decode(key),
            b64decode(payload),
        )
