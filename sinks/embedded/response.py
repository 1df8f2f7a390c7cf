"""What ClickHouse's HTTP interface says around a result: headers, errors, and errors after the first byte."""

from __future__ import annotations

import json

from aiohttp import web

from sinks.embedded.engine import EngineError

#: HTTP status by ClickHouse's error number, as the server's `exceptionCodeToHTTPStatus` has them; all others are 500.
STATUSES = {
    **dict.fromkeys((46, 47, 50, 56, 57, 60, 63, 73, 81, 115), 404),
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 42, 43, 53, 62, 69, 70, 72, 168), 400),
    **dict.fromkeys((159, 335), 408),
    48: 501,
    209: 503,
    210: 503,
    241: 500,
    307: 413,
    497: 403,
    516: 403,
}


def headers(timezone: str, query_id: str) -> dict[str, str]:
    return {
        "Content-Type": "text/plain; charset=UTF-8",
        "X-ClickHouse-Server-Display-Name": "embedded",
        "X-ClickHouse-Query-Id": query_id,
        "X-ClickHouse-Timezone": timezone,
    }


def summary(*, read_rows: int = 0, written_rows: int = 0) -> dict[str, str]:
    """The summary's header; numbers are texts there."""
    counts = {"read_rows": read_rows, "read_bytes": 0, "written_rows": written_rows, "written_bytes": 0}
    counts |= {"total_rows_to_read": 0, "result_rows": written_rows, "result_bytes": 0, "elapsed_ns": 0}
    return {"X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in counts.items()})}


def failure(error: EngineError, version: str, base: dict[str, str]) -> web.Response:
    """An error known before the first byte of a result."""
    answer = base | summary() | {"X-ClickHouse-Exception-Code": str(error.code)}
    return web.Response(status=STATUSES.get(error.code, 500), text=error_text(error, version) + "\n", headers=answer)


def error_text(error: EngineError, version: str) -> str:
    return error.text if "(version " in error.text else f"{error.text} (version {version} (chDB))"


def late_failure(error: EngineError, version: str, tag: str) -> bytes:
    """An error after the first byte: the end of the body, marked with the tag that the headers announced."""
    text = error_text(error, version).encode()
    mark = tag.encode()
    return b"\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n" % (mark, text, len(text), mark)
