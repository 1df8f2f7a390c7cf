"""One broker with everything that a careful site has: TLS, client certificates, three kinds of log-in, and an authorizer."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.embedded.kafka import EmbeddedKafka
from sinks.embedded.kraft import Security
from tests.security.authority import Authority

PASSWORD = "pa55-word-of-the-watcher"
USER = "watcher"
_LOGIN = "org.apache.kafka.common.security"
_MODULES = {
    "scram-sha-256": f"{_LOGIN}.scram.ScramLoginModule required;",
    "scram-sha-512": f"{_LOGIN}.scram.ScramLoginModule required;",
    "plain": f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "oauthbearer": f'{_LOGIN}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
}


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def security(authority: Authority) -> Security:
    """SASL_SSL takes every log-in, SSL wants a client's certificate."""
    cert, key = authority.issue("broker")
    store = authority.directory / "broker-store.pem"
    store.write_bytes(key.read_bytes() + cert.read_bytes())
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # the test's own hand, by the plain listener
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(store),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.ca),
        "listener.name.ssl.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
    }
    settings |= {f"listener.name.sasl_ssl.{name}.sasl.jaas.config": module for name, module in _MODULES.items()}
    return Security({"SASL_SSL": "SASL_SSL", "SSL": "SSL"}, settings, {USER: PASSWORD})


@pytest.fixture(scope="session")
def secure_broker(
    kafka_jars: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedKafka]:
    """Nothing is allowed there but what a test allows; its plain listener is the test's own."""
    with EmbeddedKafka(tmp_path_factory.mktemp("secure"), heap="384m", security=security(authority)) as running:
        yield running


def unsigned_token(subject: str = USER, seconds: int = 3600) -> str:
    """A token as Kafka's validator for development takes it: a JWT without signature."""
    now = int(time.time())
    parts = ({"alg": "none"}, {"sub": subject, "iat": now, "exp": now + seconds})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."
