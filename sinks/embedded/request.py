"""One HTTP request to ClickHouse's interface, as a call of the engine."""

from __future__ import annotations

from aiohttp import web

from sinks.embedded.codec import CodecError, choose, decode
from sinks.embedded.engine import Call, EngineError
from sinks.embedded.statement import Statement, parse

#: URL parameters that speak to the HTTP interface; all others are settings of the query.
TRANSPORT = frozenset(
    [
        "query",
        "database",
        "default_format",
        "user",
        "password",
        "quota_key",
        "role",
        "session_id",
        "session_timeout",
        "session_check",
        "query_id",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "client_protocol_version",
        "enable_http_compression",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "cancel_http_readonly_queries_on_client_close",
        "add_http_cors_header",
        "stacktrace",
        "close_session",
    ]
)
PARAMETER = "param_"


def refusal(code: int, name: str, problem: str) -> EngineError:
    """An error that the interface itself finds, in ClickHouse's words."""
    return EngineError(f"Code: {code}. DB::Exception: {problem}. ({name})")


async def read_call(request: web.Request) -> Call | None:
    """The request as a call; None when it asks for nothing. Raises EngineError."""
    values = dict(request.query)
    if values.get("compress", "0") == "1" or values.get("decompress", "0") == "1":
        raise refusal(48, "NOT_IMPLEMENTED", "compress and decompress: use Accept-Encoding and Content-Encoding")
    raw = await _text(request, values)
    if not raw.strip():
        return None
    statement = parse(raw)
    _check(statement, request.method)
    wanted = request.headers.get("X-ClickHouse-Format") or values.get("default_format")
    return Call(
        statement=statement,
        database=values.get("database", "") or request.headers.get("X-ClickHouse-Database", ""),
        format=statement.format or wanted or "TabSeparated",
        settings={k: v for k, v in values.items() if k not in TRANSPORT and not k.startswith(PARAMETER)},
        parameters={k.removeprefix(PARAMETER): v for k, v in values.items() if k.startswith(PARAMETER)},
    )


def compression(request: web.Request) -> str:
    """How the answer is to be compressed, "" for not at all: the client must accept it and the setting allow it."""
    allowed = request.query.get("enable_http_compression", "0") in {"1", "true"}
    return choose(request.headers.get("Accept-Encoding", "")) if allowed else ""


def protocol_version(request: web.Request, call: Call) -> int:
    """The version that a Native answer is for; 0 for the plainest, and for every other format."""
    text = request.query.get("client_protocol_version", "")
    return int(text) if call.format == "Native" and text.isdecimal() else 0


async def _text(request: web.Request, values: dict[str, str]) -> bytes:
    """The statement: of a form, or of the URL, the body after it. A form's fields are added to `values`."""
    if request.content_type == "multipart/form-data":
        form = await request.post()
        values |= {name: value for name, value in form.items() if isinstance(value, str)}
        if any(not isinstance(value, str) for value in form.values()):
            raise refusal(48, "NOT_IMPLEMENTED", "External tables are not supported by the embedded engine")
        return values.get("query", "").encode()
    try:
        body = decode(await request.read(), request.headers.get("Content-Encoding", ""))
    except CodecError as error:
        raise refusal(89, "UNKNOWN_COMPRESSION_METHOD", str(error)) from error
    query = values.get("query", "").encode()
    return query + b"\n" + body if query and body else query or body


def _check(statement: Statement, method: str) -> None:
    if statement.several:
        raise refusal(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
    if method == "GET" and not statement.reads:
        raise refusal(164, "READONLY", "Cannot execute query in readonly mode: GET only reads, use POST")
