"""A schema registry for tests: the REST API of Confluent's, served over HTTP from memory; it can be put out of reach."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec


class Schema(msgspec.Struct, frozen=True):
    """`text` as the registry gives it; `binary`: of a Protobuf file, as `?format=serialized` gives it."""

    kind: str
    text: str
    binary: bytes = b""
    references: tuple[tuple[str, str, int], ...] = ()


class StubRegistry:
    """Use in a `with`. `asked`: paths in order. `fault`: an HTTP status to answer with instead, 0 = drop the connection."""

    def __init__(self, user: str = "", password: str = "") -> None:
        self.schemas: dict[int, Schema] = {}
        self.subjects: dict[tuple[str, int], Schema] = {}
        self.asked: list[str] = []
        self.fault: int | None = None
        self.credentials = "Basic " + b64encode(f"{user}:{password}".encode()).decode() if user else None
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stub.answer(self)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        if self.fault == 0:
            request.close_connection = True
            return
        if self.fault is not None:
            self._send(request, self.fault, b"<html>Bad Gateway</html>")
        elif self.credentials is not None and request.headers.get("Authorization") != self.credentials:
            self._send(request, 401, b'{"error_code": 401, "message": "Unauthorized"}')
        else:
            self._send(request, *self._found(request.path))

    def _found(self, path: str) -> tuple[int, bytes]:
        parts = urlsplit(path)
        serialized = parse_qs(parts.query).get("format") == ["serialized"]
        match [unquote(part) for part in parts.path.strip("/").split("/")]:
            case ["schemas", "ids", number]:
                schema, code = self.schemas.get(int(number)), 40403
            case ["subjects", subject, "versions", version]:
                schema, code = self.subjects.get((subject, int(version))), 40401
            case _:
                return 404, b'{"error_code": 404, "message": "HTTP 404 Not Found"}'
        if schema is None:
            return 404, json.dumps({"error_code": code, "message": "not found"}).encode()
        text = b64encode(schema.binary).decode() if serialized and schema.binary else schema.text
        said: dict[str, Any] = {"schema": text}
        if schema.kind != "AVRO":  # as the real one does
            said["schemaType"] = schema.kind
        if schema.references:
            said["references"] = [{"name": n, "subject": s, "version": v} for n, s, v in schema.references]
        return 200, json.dumps(said).encode()

    @staticmethod
    def _send(request: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        request.send_response(status)
        request.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
