"""The whole monitor with the least rights, over TLS on both sides; and what each command says without them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from clickhouse_connect.driver.client import Client
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from schemas import topics as names
from schemas.definitions import load_funnels
from schemas.settings import ClickHouse, Settings, load_settings
from sinks.clickhouse.client import connect
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from streams.cli import cli
from streams.rights import COMMANDS, GRANTS, acls, grant_statements, merged
from tests.e2e.child import Child, free_port
from tests.e2e.stack import until
from tests.security.access import allow_all
from tests.security.authority import Authority
from tests.security.conftest import PASSWORD, USER, unsigned_token
from tests.security.tls_proxy import tls_proxy
from tests.stream.letters_key import PRIVACY
from tests.stream.shop import FUNNELS, MONDAY

DATABASE_PASSWORD = "pa55-of-the-database"
CLICKHOUSE_USER = "marketing"


class Careful:
    """A site on the secure broker: a settings file, its source topic, and ClickHouse behind TLS."""

    def __init__(self, directory: Path, broker: EmbeddedKafka, authority: Authority, url: str, database: str) -> None:
        self.directory, self.broker, self.authority = directory, broker, authority
        self.name = f"c{uuid.uuid4().hex[:8]}"
        self.prefix, self.source = f"{self.name}.", f"{self.name}-clicks"
        self.web, self.sink_web = free_port(), free_port()
        self.config = directory / "funnelwatch.toml"
        (directory / "kafka-password").write_text(PASSWORD + "\n")
        self.config.write_text(
            f'funnels = "{FUNNELS}"\n[kafka]\nservers = ["{broker.servers("SASL_SSL")}"]\nsecurity_protocol = "SASL_SSL"\n'
            f'ca = "{authority.ca}"\nuser = "{USER}"\npassword_file = "kafka-password"\nreplication_factor = 1\npartitions = 2\n'
            f'topic_prefix = "{self.prefix}"\ngroup_prefix = "{self.prefix}"\nrequest_timeout = "10s"\nsession_timeout = "6s"\n'
            f'[[sources]]\ntopic = "{self.source}"\nkeyed_by = "session"\n[clickhouse]\nurl = "{url}"\nuser = "{CLICKHOUSE_USER}"\n'
            f'password = "{DATABASE_PASSWORD}"\nca = "{authority.ca}"\ndatabase = "{database}"\ntimeout = "10s"\n'
            f'flush_after = "200ms"\n[web]\nlisten = "127.0.0.1:{self.web}"\nsink_listen = "127.0.0.1:{self.sink_web}"\n{PRIVACY}'
        )
        self.settings: Settings = load_settings(self.config, {}, {})
        self.funnels = load_funnels(self.settings.funnels)
        client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        client.create_topics([NewTopic(self.source, 2, 1)])
        client.close()

    def allow(self, command: str) -> None:
        allow_all(self.broker, f"User:{USER}", merged(acls(command, self.settings, self.funnels)))

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, "--config", str(self.config)])

    def start_worker(self) -> Child:
        """Faust with a token; the principal is the same."""
        (self.directory / "token").write_text(unsigned_token())
        password = f'user = "{USER}"\npassword_file = "kafka-password"\n'
        token = 'sasl_mechanism = "OAUTHBEARER"\noauth_token_file = "token"\n'
        text = self.config.read_text()
        assert password in text
        config = self.directory / "worker.toml"
        config.write_text(text.replace(password, token))
        return Child("worker", config, self.directory / "worker.log", self.web)

    def start_sink(self) -> Child:
        """Faust with user and password."""
        return Child("sink", self.config, self.directory / "sink.log", self.sink_web)


@pytest.fixture
def careful(
    tmp_path: Path, secure_broker: EmbeddedKafka, authority: Authority, clickhouse: EmbeddedClickHouse, database: str
) -> Iterator[Careful]:
    with tls_proxy(clickhouse.url, authority.server_context(), CLICKHOUSE_USER, DATABASE_PASSWORD) as url:
        yield Careful(tmp_path, secure_broker, authority, url, database)


def test_each_command_runs_with_the_rights_that_are_listed(careful: Careful, tmp_path: Path) -> None:
    refused = careful.run("topics")  # nothing is allowed yet
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: ")
    assert PASSWORD not in refused.output
    for command in ("topics", "run --only worker", "run --only sink"):
        careful.allow(command)
    made = careful.run("topics")
    assert made.exit_code == 0, made.output
    assert careful.run("migrate").exit_code == 0
    worker, sink = careful.start_worker(), careful.start_sink()
    try:
        worker.until_ready()
        sink.until_ready()
        events = tmp_path / "events.jsonl"
        session = {"event": "session_start", "timestamp": MONDAY, "session_id": "s1", "visitor_id": "v1"}
        events.write_bytes(msgspec.json.encode(session) + b"\nnonsense\n")
        careful.allow("replay")
        replayed = careful.run("replay", str(events), "--format", "jsonl")
        assert replayed.exit_code == 0, replayed.output
        until(lambda: stored(careful) == (1, 1), "be stored")
        check_the_other_commands(careful)
    finally:
        for child in (worker, sink):
            child.kill()
    said = worker.text() + sink.text()
    assert "Traceback" not in said
    assert "uthoriz" not in said
    assert PASSWORD not in said
    assert DATABASE_PASSWORD not in said


def stored(careful: Careful) -> tuple[int, int]:
    """Attempts of the purchase funnel, and dead letters."""
    client = connect(careful.settings.clickhouse)
    try:
        attempts = client.query("SELECT count() FROM attempts_v WHERE funnel = 'purchase'").result_rows[0][0]
        return attempts, client.query("SELECT count() FROM dead_letters_v").result_rows[0][0]
    finally:
        client.close()


def check_the_other_commands(careful: Careful) -> None:
    """With their own rights on top; `lag`, `forget` and the letters' come in the order in which they need more."""
    for command, arguments in (
        ("lag", ["lag"]),
        ("dead-letters list", ["dead-letters", "list"]),
        ("dead-letters replay", ["dead-letters", "replay", "--dry-run"]),
        ("forget", ["forget", "v1"]),
    ):
        careful.allow(command)
        done = careful.run(*arguments)
        assert done.exit_code == 0, (command, done.output)
    assert stored(careful) == (0, 1)
    assert careful.run("report", "purchase").exit_code == 0


def test_rights_are_printed_as_kafkas_commands_and_as_sql(careful: Careful) -> None:
    printed = careful.run("rights")
    assert printed.exit_code == 0, printed.output
    lines = printed.output.splitlines()
    assert [line[len("# funnelwatch ") :] for line in lines if line.startswith("#")][: len(COMMANDS)] == list(COMMANDS)
    servers = careful.broker.servers("SASL_SSL")
    assert (
        f"kafka-acls.sh --bootstrap-server {servers} --add --allow-principal User:{USER} --operation Read --operation Write "
        f"--topic {names.state_log(careful.prefix, careful.funnels[0].unit)}" in lines
    )
    database = careful.settings.clickhouse.database
    assert f"GRANT INSERT ON `{database}`.transitions TO `{CLICKHOUSE_USER}`;" in lines
    alone = careful.run("rights", "report", "--principal", "User:CN=x")
    assert "kafka-acls" not in alone.output


def test_grants_are_what_clickhouse_can_read(client: Client) -> None:
    """Its own parser takes them, with the names of the rights; the embedded engine has no users to give them to."""
    clickhouse = ClickHouse(user="marketing", cluster="c1")
    for command in GRANTS:
        for statement in grant_statements(command, clickhouse):
            assert statement.startswith("GRANT ON CLUSTER `c1` ")
            ((formatted,),) = client.query(
                "SELECT formatQuerySingleLine({sql:String})", parameters={"sql": statement}
            ).result_rows
            assert str(formatted).endswith(" TO marketing")


def test_clickhouse_of_another_authority_or_user_is_one_line(careful: Careful, tmp_path: Path) -> None:
    clickhouse = careful.settings.clickhouse
    other = Authority(tmp_path / "other")
    text = careful.config.read_text()
    for changed in (
        text.replace(f'ca = "{careful.authority.ca}"\ndatabase', f'ca = "{other.ca}"\ndatabase'),
        text.replace(DATABASE_PASSWORD, "wrong-pa55"),
    ):
        assert changed != text
        careful.config.write_text(changed)
        said = careful.run("report", "purchase")
        assert said.exit_code == 2
        assert said.stderr.startswith(f"Error: ClickHouse: can't connect to {clickhouse.url} as {CLICKHOUSE_USER}: ")
        assert len(said.stderr.splitlines()) == 1
        assert "pa55" not in said.output
