"""Alertmanager's HTTP interface (v2), as far as a test page needs it. Faults are one line each."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec

from schemas.errors import SinkError

T = TypeVar("T")
_SECONDS = 10.0
_SENT = re.compile(
    r'^alertmanager_notifications(_failed)?_total\{[^}]*?integration="([a-z0-9]+)"[^}]*\} ([0-9.e+]+)$', re.MULTILINE
)


class Posted(msgspec.Struct, frozen=True):
    """An alert as it is posted. Times: RFC 3339."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: str = msgspec.field(name="startsAt")
    ends_at: str = msgspec.field(name="endsAt")


class Status(msgspec.Struct, frozen=True):
    """`state`: unprocessed, active or suppressed, and by which silences or alerts."""

    state: str
    silenced_by: tuple[str, ...] = msgspec.field(name="silencedBy", default=())
    inhibited_by: tuple[str, ...] = msgspec.field(name="inhibitedBy", default=())


class Receiver(msgspec.Struct, frozen=True):
    name: str


class Held(msgspec.Struct, frozen=True):
    """An alert as Alertmanager holds it: its state, and where its routes lead."""

    status: Status
    receivers: tuple[Receiver, ...]


class Sent(msgspec.Struct, frozen=True):
    """Messages of one integration (`email`, `slack`) since Alertmanager began: tried, and failed (all tries) among them."""

    tried: float
    failed: float


class _Version(msgspec.Struct):
    version: str


class _State(msgspec.Struct):
    version: _Version = msgspec.field(name="versionInfo")


class Alertmanager:
    """One Alertmanager. `url`: where people reach it, without `/api`. Every method raises SinkError."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def version(self) -> str:
        """Its version; also says whether it is there."""
        return self._read(_State, "/api/v2/status").version.version

    def post(self, alerts: Sequence[Posted]) -> None:
        """Hands alerts over, as Prometheus does."""
        self._ask("/api/v2/alerts", msgspec.json.encode(alerts))

    def held(self, **labels: str) -> tuple[Held, ...]:
        """The alerts with these labels."""
        filters = [("filter", f"{name}={msgspec.json.encode(value).decode()}") for name, value in labels.items()]
        return self._read(tuple[Held, ...], f"/api/v2/alerts?{urllib.parse.urlencode(filters)}")

    def sent(self) -> dict[str, Sent]:
        """By integration what was sent, of its own metrics."""
        counts: dict[str, list[float]] = {}
        for failed, integration, amount in _SENT.findall(self._ask("/metrics").decode(errors="replace")):
            counts.setdefault(integration, [0.0, 0.0])[bool(failed)] += float(amount)
        return {integration: Sent(tried, failed) for integration, (tried, failed) in counts.items()}

    def _read(self, kind: type[T], path: str) -> T:
        try:
            return msgspec.json.decode(self._ask(path), type=kind)
        except msgspec.DecodeError as error:
            raise SinkError(f"{self.url} does not answer as an Alertmanager ({error}); check the address") from error

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", body, {"Content-Type": "application/json"})  # noqa: S310  (the settings allow http and https alone)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                said = " ".join(error.read(300).decode(errors="replace").split())
            raise SinkError(
                f"Alertmanager at {self.url} answers {error.code} to {path.partition('?')[0]}: {said}"
            ) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise SinkError(
                f"can't reach Alertmanager at {self.url} ({reason}); check --alertmanager, or [web] alertmanager"
            ) from error
