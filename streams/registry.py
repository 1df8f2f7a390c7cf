"""The schema registry's client: fetches each schema once, and waits while the registry can't be asked.

A record whose schema can't be had *now* is never refused for it: `learn` returns once the registry has answered. Only its own
word that there is no such schema (404, error code 40403), or a schema that can't be used, makes dead letters.
"""

from __future__ import annotations

import asyncio
import binascii
import logging
import ssl
import time
from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from schemas.decode.framed import Read, SchemaStore, schema_id
from schemas.decode.jsonrecord import json_object
from schemas.errors import ConfigError, FunnelwatchError
from schemas.settings import Registry as RegistrySettings

log = logging.getLogger("funnelwatch.registry")

#: Seconds between two tries: doubled from the first to the last.
FIRST_PAUSE, LAST_PAUSE = 0.5, 10.0
#: Seconds after which an unknown schema is asked for again, and how many are remembered.
ASK_AGAIN, MOST_REFUSED = 60.0, 10_000
#: Its own words for a schema, or a reference's subject or version, that it doesn't know; any other 404 is somebody else's.
UNKNOWN = (40401, 40402, 40403)
_MOST_BYTES, _MOST_REFERENCES = 16 * 1024 * 1024, 100


class RegistryFault(FunnelwatchError):
    """The registry did not answer, or not as one. Tried again."""


class NoSchema(FunnelwatchError):
    """The registry has no such schema, or one that can't be used."""


class Reference(msgspec.Struct, frozen=True):
    """A schema that another one names. `name`: of the type, or the path of the import."""

    name: str
    subject: str
    version: int


class Answer(msgspec.Struct, frozen=True):
    """What the registry says of a schema. No `schemaType` is Avro."""

    schema: str
    schemaType: str = "AVRO"  # noqa: N815 - the registry's name
    references: tuple[Reference, ...] = ()


class Refusal(msgspec.Struct, frozen=True):
    """What it says instead."""

    error_code: int
    message: str = ""


class SchemaRegistry:
    """Fills `store`; `kinds`: the type of each schema, as the registry calls it. For one event loop; `close` when it ends. `on_fault` is called for each request that failed."""

    def __init__(self, settings: RegistrySettings, on_fault: Callable[[], None] = lambda: None) -> None:
        self.settings, self.store, self.on_fault = settings, SchemaStore(), on_fault
        self.kinds: dict[int, str] = {}
        self._ask_again: dict[int, float] = {}
        self._session: aiohttp.ClientSession | None = None
        self._waiting: dict[int, float] = {}
        self._down = False

    def waiting(self) -> int:
        """How long records have been waiting for it, in ms; 0 while none wait."""
        return int((time.monotonic() - min(self._waiting.values())) * 1000) if self._waiting else 0

    async def learn(self, records: Iterable[bytes | None], what: str, go_on: Callable[[], bool] = lambda: True) -> bool:
        """Fetches the schemas of the records that are framed, and returns True once the store lacks none of them.

        An outage is waited for while `go_on()`; then False. `what` waits meanwhile: a name for the log.
        """
        wanted = {number for data in records if (number := schema_id(data)) is not None and self._lacks(number)}
        if not wanted:
            return True
        me, pause = id(wanted), FIRST_PAUSE
        self._waiting[me] = time.monotonic()
        try:
            for number in sorted(wanted):
                while not await self._know(number, what, pause):
                    if not await _sleep(pause, go_on):
                        return False
                    pause = min(pause * 2, LAST_PAUSE)
        finally:
            del self._waiting[me]
        return True

    async def fetch(self, number: int) -> None:
        """Asks once. Raises RegistryFault."""
        try:
            self.store.readers[number] = await self._reader(number)
        except NoSchema as error:
            for oldest in list(self._ask_again)[: len(self._ask_again) - MOST_REFUSED]:
                del self._ask_again[oldest], self.store.refused[oldest]
            self.store.refused[number] = f"schema {number}: {error}"
            self._ask_again[number] = time.monotonic() + ASK_AGAIN
            log.warning("schema registry: schema %d can't be used: %s; its records are dead letters", number, error)

    async def close(self) -> None:
        """Ends its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _know(self, number: int, what: str, pause: float) -> bool:
        try:
            await self.fetch(number)
        except RegistryFault as error:
            self.on_fault()
            self._down = True
            log.warning("schema registry: %s; trying again in %.1f s, %s waits, nothing is lost", error, pause, what)
            return False
        if self._down:
            self._down = False
            log.info("schema registry: it answers again")
        return True

    def _lacks(self, number: int) -> bool:
        return number not in self.store.readers and time.monotonic() >= self._ask_again.get(number, 0.0)

    async def _reader(self, number: int) -> Read:
        from schemas.decode.avro import avro_reader  # a worker without such sources is smaller for it
        from schemas.decode.protobuf import protobuf_reader

        found = await self._ask(f"schemas/ids/{number}")
        self.kinds[number] = found.schemaType
        try:
            match found.schemaType:
                case "AVRO":
                    inner = await self._referenced(found, "")
                    return avro_reader(found.schema, list(inner.values()))
                case "JSON":
                    return json_reader
                case "PROTOBUF":
                    binary = "?format=serialized"
                    file = _bytes((await self._ask(f"schemas/ids/{number}{binary}")).schema)
                    inner = await self._referenced(found, binary)
                    return protobuf_reader(file, {name: _bytes(text) for name, text in inner.items()})
                case other:
                    raise NoSchema(f"its type is {other[:40]!r}, not AVRO, JSON or PROTOBUF")
        except ValueError as error:
            raise NoSchema(str(error)[:300]) from None

    async def _referenced(self, schema: Answer, form: str) -> dict[str, str]:
        """All that a schema refers to, by name; what others need comes first."""
        found: dict[str, str] = {}

        async def follow(references: Iterable[Reference], levels: int) -> None:
            for each in references:
                if each.name in found:
                    continue
                if levels == 0 or len(found) >= _MOST_REFERENCES:
                    raise NoSchema("it refers to too many others")
                inner = await self._ask(f"subjects/{quote(each.subject, safe='')}/versions/{each.version}{form}")
                await follow(inner.references, levels - 1)
                found[each.name] = inner.schema

        await follow(schema.references, 20)
        return found

    async def _ask(self, path: str) -> Answer:
        session = self._session = self._session or self._connect()
        try:
            async with session.get(f"{self.settings.url}/{path}") as answer:
                body, status = bytearray(), answer.status
                while len(body) < _MOST_BYTES and (part := await answer.content.read(65_536)):
                    body += part
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RegistryFault(
                f"{self.settings.url} can't be reached ({str(error) or type(error).__name__})"
            ) from None
        try:
            if status == 200:
                return msgspec.json.decode(body, type=Answer)
            refused = msgspec.json.decode(body, type=Refusal)
        except msgspec.DecodeError as error:
            raise RegistryFault(
                f"{self.settings.url}/{path} answers {status}, and not as a registry ({error})"
            ) from None
        if status == 404 and refused.error_code in UNKNOWN:
            raise NoSchema("the registry does not know it")
        remedy = "; check user and password in [registry]" if status in (401, 403) else ""
        raise RegistryFault(f"{self.settings.url}/{path} answers {status}: {refused.message[:200]!r}{remedy}")

    def _connect(self) -> aiohttp.ClientSession:
        settings = self.settings
        headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"}
        if settings.user:
            headers["Authorization"] = aiohttp.encode_basic_auth(settings.user, settings.password.reveal())
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_trust(settings)),
            timeout=aiohttp.ClientTimeout(settings.timeout / 1000),
            headers=headers,
        )


def json_reader(payload: bytes) -> dict[str, Any]:
    """JSON Schema: the payload is JSON. What an event needs is checked anyhow, so the schema itself is not."""
    return json_object(payload, len(payload), lambda _odd: None)


def _trust(settings: RegistrySettings) -> ssl.SSLContext | bool:
    if settings.ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(settings.ca))
    except (OSError, ValueError) as error:
        raise ConfigError("[registry] ca", f"{settings.ca} can't be used: {error}", "give a PEM file") from None


def _bytes(text: str) -> bytes:
    """A Protobuf file in base64, as it was asked for. Raises RegistryFault for a registry that gives its text instead."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise RegistryFault(
            "it gives Protobuf schemas as text only; a registry that knows ?format=serialized is needed (Confluent, Karapace, Redpanda)"
        ) from None


async def _sleep(seconds: float, go_on: Callable[[], bool]) -> bool:
    """Sleeps while `go_on()`; whether it held to the end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not go_on():
            return False
        await asyncio.sleep(min(0.1, seconds))
    return go_on()
