"""Bearer tokens to log in at Kafka (OAUTHBEARER): from a file, or from an authorisation server with client credentials."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import msgspec
from aiokafka.abc import AbstractTokenProvider as AsyncProvider
from kafka.net.sasl.oauth import AbstractTokenProvider as PlainProvider

from schemas.errors import SinkError
from schemas.settings import Kafka

#: Seconds before its end at which a token is replaced.
EARLY = 30.0
#: Seconds that an authorisation server has to answer.
PATIENCE = 10.0


class Answer(msgspec.Struct, frozen=True):
    """What an authorisation server grants (RFC 6749, 5.1). `expires_in`: seconds."""

    access_token: str
    expires_in: float = 300.0


class Tokens:
    """Gives a token that holds now. One that was granted is used until shortly before its end. Any thread may ask."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._lock = threading.Lock()
        self._granted = ""
        self._until = 0.0

    def token(self) -> str:
        """Raises SinkError, which never holds the token or the secret."""
        if self._kafka.oauth_token_file is not None:
            return self._from_file()
        with self._lock:
            if time.monotonic() >= self._until:
                answer = self._ask()
                self._granted, self._until = answer.access_token, time.monotonic() + max(0.0, answer.expires_in - EARLY)
            return self._granted

    def _from_file(self) -> str:
        """Read anew each time: whoever keeps the file fresh need not tell us."""
        path = self._kafka.oauth_token_file
        try:
            token = path.read_text(encoding="ascii").strip() if path is not None else ""
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not ASCII text"
            raise SinkError(f"Kafka: no token in {path} ({reason}); check kafka.oauth_token_file") from None
        if not token.isprintable() or not token or " " in token:
            raise SinkError(f"Kafka: no token in {path} (empty, or several words); check kafka.oauth_token_file")
        return token

    def _ask(self) -> Answer:
        kafka = self._kafka
        form = {"grant_type": "client_credentials"} | ({"scope": kafka.oauth_scope} if kafka.oauth_scope else {})
        quoted = (urllib.parse.quote_plus(text) for text in (kafka.user, kafka.password.reveal()))
        headers = {
            "Authorization": f"Basic {base64.b64encode(':'.join(quoted).encode()).decode()}",
            "Accept": "application/json",
        }
        request = urllib.request.Request(  # noqa: S310 - the settings take http and https alone
            kafka.oauth_url, data=urllib.parse.urlencode(form).encode(), headers=headers
        )
        context = ssl.create_default_context()
        if kafka.ca is not None:
            context.load_verify_locations(str(kafka.ca))
        try:
            opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), NoRedirect())
            with opener.open(request, timeout=PATIENCE) as answer:
                return msgspec.json.decode(answer.read(1 << 20), type=Answer)
        except urllib.error.HTTPError as error:
            error.close()
            reason = f"{error.code} {error.reason}"
        except (OSError, msgspec.DecodeError) as error:
            reason = str(getattr(error, "reason", "") or type(error).__name__)
        raise SinkError(
            f"Kafka: no token from {kafka.oauth_url} ({reason}); check kafka.oauth_url, kafka.user and kafka.password"
        )


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The client's secret goes to the named server and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class AsyncTokens(AsyncProvider):  # type: ignore[misc]  # untyped
    """For aiokafka, and so for Faust."""

    def __init__(self, kafka: Kafka) -> None:
        self._tokens = Tokens(kafka)

    async def token(self) -> str:
        return await asyncio.to_thread(self._tokens.token)


class PlainTokens(PlainProvider):  # type: ignore[misc]  # untyped
    """For kafka-python."""

    def __init__(self, kafka: Kafka) -> None:
        super().__init__()
        self._tokens = Tokens(kafka)

    def token(self) -> str:
        return self._tokens.token()
