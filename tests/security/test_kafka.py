"""Each way to log in at Kafka, with both clients, on the real broker; and what is said when it fails."""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import logging
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from schemas.errors import FunnelwatchError
from schemas.settings import Settings, load_settings
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import BatchWriter
from streams.dead_letters.topic import reader, records
from streams.topics import admin, partition_counts
from tests.security.access import allow
from tests.security.authority import Authority
from tests.security.conftest import PASSWORD, USER, unsigned_token

KEY_PASSWORD = "pa55-of-the-key"
Login = Callable[["Place"], str]


class Place:
    """What a log-in is made of."""

    def __init__(self, directory: Path, broker: EmbeddedKafka, authority: Authority) -> None:
        self.directory, self.broker, self.authority = directory, broker, authority

    def settings(self, listener: str, text: str) -> Settings:
        """The settings of a file with this in [kafka]."""
        path = self.directory / "funnelwatch.toml"
        path.write_text(
            f'[kafka]\nservers = ["{self.broker.servers(listener)}"]\nca = "{self.authority.ca}"\nrequest_timeout = "5s"\n'
            f'security_protocol = "{listener}"\n{text}\n'
        )
        return load_settings(path, {}, {})

    def password(self, mechanism: str, password: str = PASSWORD) -> Settings:
        return self.settings("SASL_SSL", f'sasl_mechanism = "{mechanism}"\nuser = "{USER}"\npassword = "{password}"')

    def token_file(self, token: str) -> Settings:
        (self.directory / "token").write_text(token + "\n")
        return self.settings("SASL_SSL", 'sasl_mechanism = "OAUTHBEARER"\noauth_token_file = "token"')

    def token_server(self, url: str, password: str = PASSWORD) -> Settings:
        return self.settings(
            "SASL_SSL",
            f'sasl_mechanism = "OAUTHBEARER"\noauth_url = "{url}"\noauth_scope = "kafka"\nuser = "{USER}"\npassword = "{password}"',
        )

    def certificate(self, name: str = USER) -> Settings:
        cert, key = self.authority.issue(name, KEY_PASSWORD)
        return self.settings("SSL", f'cert = "{cert}"\nkey = "{key}"\nkey_password = "{KEY_PASSWORD}"')


@pytest.fixture
def place(tmp_path: Path, secure_broker: EmbeddedKafka, authority: Authority) -> Place:
    return Place(tmp_path, secure_broker, authority)


@contextmanager
def token_server() -> Iterator[str]:
    """An authorisation server that knows one client."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            known = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            granted = self.headers["Authorization"] == known and body == b"grant_type=client_credentials&scope=kafka"
            answer = {"access_token": unsigned_token(), "expires_in": 3600} if granted else {"error": "invalid_client"}
            self.send_response(200 if granted else 401)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/token"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_and_read(settings: Settings, topic: str) -> None:
    """A record by aiokafka, and back by kafka-python, whose admin client finds the topic, too."""

    async def write() -> None:
        writer = BatchWriter(settings.kafka)
        await writer.start()
        try:
            await writer.write(topic, 0, [(b"k", b"v")])
        finally:
            await writer.stop()

    asyncio.run(write())
    with admin(settings.kafka) as client:
        assert partition_counts(client, [topic]) == {topic: 1}
    with reader(settings.kafka) as consumer:
        assert {(record.key, record.value) for record in records(consumer, topic)} == {(b"k", b"v")}


@pytest.fixture(scope="module")
def topic(secure_broker: EmbeddedKafka) -> str:
    name = f"login-{uuid.uuid4().hex[:8]}"
    client = KafkaAdminClient(bootstrap_servers=secure_broker.bootstrap_servers)
    client.create_topics([NewTopic(name, 1, 1)])
    client.close()
    for principal in (f"User:{USER}", f"User:CN={USER}"):
        allow(secure_broker, principal, "topic", name, "Read", "Write", "Describe")
    return name


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_user_and_password_over_tls(place: Place, topic: str, mechanism: str) -> None:
    write_and_read(place.password(mechanism), topic)


def test_a_token_from_a_file_over_tls(place: Place, topic: str) -> None:
    write_and_read(place.token_file(unsigned_token()), topic)


def test_a_token_from_an_authorisation_server_over_tls(place: Place, topic: str) -> None:
    with token_server() as url:
        write_and_read(place.token_server(url), topic)


def test_a_client_certificate(place: Place, topic: str) -> None:
    write_and_read(place.certificate(), topic)


def failures(settings: Settings) -> list[str]:
    """What both clients say when they can't log in. (In production they try for longer.)"""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", ResourceWarning
        )  # clients that could not connect leave their sockets to the collector
        patch.setattr("streams.topic_sender._METADATA_MS", 1_500)
        logging.disable(logging.CRITICAL)  # kept records of the log would hold the sockets
        said = attempts(settings)
        logging.disable(logging.NOTSET)
        gc.collect()
        return said


def attempts(settings: Settings) -> list[str]:
    """The same, as patient as the clients are."""
    said = []
    try:
        with admin(settings.kafka) as client:
            client.list_topics()
    except FunnelwatchError as error:
        said.append(str(error))

    async def start() -> None:
        writer = BatchWriter(settings.kafka)
        try:
            await writer.start()
        finally:
            await writer.stop()

    try:
        asyncio.run(start())
    except FunnelwatchError as error:
        said.append(str(error))
    return said


def one_line_without_secrets(said: list[str], *secrets: str) -> None:
    assert len(said) == 2
    for line in said:
        assert line.startswith("Kafka: ")
        assert "\n" not in line
        assert "check" in line
        assert not [secret for secret in secrets if secret in line]


def test_a_wrong_password_is_one_line(place: Place) -> None:
    one_line_without_secrets(failures(place.password("SCRAM-SHA-512", "wrong-pa55")), "wrong-pa55")


def test_a_wrong_token_is_one_line(place: Place) -> None:
    token = unsigned_token(seconds=-60)
    one_line_without_secrets(failures(place.token_file(token)), token)


def test_a_refused_client_and_an_empty_token_file_are_one_line(place: Place) -> None:
    with token_server() as url:
        said = failures(place.token_server(url, "wrong-pa55"))
        one_line_without_secrets(said, "wrong-pa55", base64.b64encode(f"{USER}:wrong-pa55".encode()).decode())
        assert "401" in said[0]
        assert "check kafka.oauth_url, kafka.user and kafka.password" in said[0]
    said = failures(place.token_file(""))
    one_line_without_secrets(said)
    assert "check kafka.oauth_token_file" in said[0]


def test_a_broker_of_another_authority_is_refused(place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path, place.broker, Authority(tmp_path / "other"))
    said = failures(other.password("SCRAM-SHA-512"))
    one_line_without_secrets(said, PASSWORD)
