"""Where a real Alertmanager delivers to in the tests: a mail server and an HTTP server, each on a port of its own."""

from __future__ import annotations

import email
import email.policy
import json
import socketserver
import time
from collections.abc import Callable
from email.message import EmailMessage
from http.server import ThreadingHTTPServer
from typing import Any

from tests.alerts.loopback import Loopback, Quiet


class MailSink(Loopback):
    """An SMTP server on loopback that takes every message. `messages`: those that came, oldest first."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        sink = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self._say("220 sink")
                for line in iter(self.rfile.readline, b""):
                    command = line.decode().strip().upper()
                    if command.startswith("DATA"):
                        self._say("354 go on")
                        sink.messages.append(_message(self._data()))
                        self._say("250 taken")
                    elif command.startswith("QUIT"):
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 sink")

            def _data(self) -> bytes:
                lines = []
                while (line := self.rfile.readline()) not in (b".\r\n", b""):  # b"": the sender has gone
                    lines.append(line[1:] if line.startswith(b"..") else line)
                return b"".join(lines)

            def _say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        super().__init__(_Threading(("127.0.0.1", 0), Session))


class WebSink(Loopback):
    """An HTTP server on loopback that answers 200. `bodies`: (path, JSON) of what was posted, oldest first."""

    def __init__(self) -> None:
        self.bodies: list[tuple[str, Any]] = []
        sink = self

        class Answer(Quiet):
            def do_POST(self) -> None:  # noqa: N802 - the base class calls it so
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.bodies.append((self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Answer))

    def at(self, path: str) -> list[Any]:
        return [body for at, body in self.bodies if at == path]


def until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Waits until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.1)


def part(message: EmailMessage, kind: str) -> str:
    """The text of the message's part `text/<kind>`."""
    for one in message.walk():
        if one.get_content_type() == f"text/{kind}":
            payload = one.get_payload(decode=True)
            assert isinstance(payload, bytes)
            return payload.decode().replace("\r\n", "\n")
    raise AssertionError(f"no text/{kind} in the message")


class _Threading(socketserver.ThreadingTCPServer):
    daemon_threads = True


def _message(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=email.policy.default)
