"""funnelwatch.toml, the environment and flags: which one counts, and what is refused."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.decode import Format, Internal
from schemas.errors import ConfigError
from schemas.funnel import Unit
from schemas.problems import parts_of
from schemas.settings import Secret, SecurityProtocol, Settings, Source, Start, find_settings, load_settings
from schemas.settings.keys import SECTIONS, keys_of
from schemas.settings.kinds import from_text
from schemas.settings.reference import reference
from schemas.toml import parse_toml

ROOT = Path(__file__).parents[3]


def load(
    tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, flags: dict[str, str] | None = None
) -> Settings:
    path = tmp_path / "funnelwatch.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ or {}, flags or {})


def told(
    tmp_path: Path, text: str = "", environ: dict[str, str] | None = None, flags: dict[str, str] | None = None
) -> list[str]:
    """The lines that these settings are answered with, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, environ, flags)
    return [str(part).replace(f"{tmp_path}/", "") for part in parts_of(caught.value)]


def test_nothing_given_is_all_defaults() -> None:
    assert load_settings(None, {}, {}) == Settings()
    assert Settings().kafka.topic_prefix == "funnelwatch."
    assert Settings().web.listen == "127.0.0.1:6066"
    assert Settings().labels.max_values == 20


def test_the_example_is_good() -> None:
    found = load_settings(ROOT / "examples" / "funnelwatch.toml", {}, {})
    assert found.sources == (Source(topic="clickstream", keyed_by=Unit.SESSION),)
    assert found.site.rates.convert(1_000_000_000, "USD", 1_790_000_000_000) == 851_100_000
    assert found.labels.allowed("device") == ("desktop", "mobile", "tablet", "app")
    assert found.labels.allowed("channel") is None
    assert found.funnels.is_file()


def test_environment_beats_file_and_flags_beat_both(tmp_path: Path) -> None:
    text = '[kafka]\nservers = ["file:1"]\nfetch_wait = "1s"\npartitions = 3\n[log]\nformat = "json"'
    environ = {"FUNNELWATCH_KAFKA_SERVERS": "env:1, env:2", "FUNNELWATCH_KAFKA_PARTITIONS": "4"}
    found = load(tmp_path, text, environ, flags={"kafka.partitions": "5"})
    assert found.kafka.servers == ("env:1", "env:2")
    assert found.kafka.partitions == 5
    assert found.kafka.fetch_wait == 1000
    assert found.log.format.value == "json"


def test_a_wrong_value_below_a_good_one_does_no_harm(tmp_path: Path) -> None:
    assert load(tmp_path, "create = 3", {"FUNNELWATCH_CREATE": "false"}).create is False


def test_sources_by_environment_change_and_add(tmp_path: Path) -> None:
    text = '[[sources]]\ntopic = "a"\nidle_after = "5s"'
    environ = {
        "FUNNELWATCH_SOURCES_0_START": "latest",
        "FUNNELWATCH_SOURCES_1_TOPIC": "b",
        "FUNNELWATCH_SOURCES_1_FORMAT": "segment",
    }
    assert load(tmp_path, text, environ).sources == (
        Source(topic="a", idle_after=5000, start=Start.LATEST),
        Source(topic="b", format=Format.SEGMENT),
    )
    assert told(tmp_path, text, {"FUNNELWATCH_SOURCES_2_TOPIC": "c"}) == [
        "FUNNELWATCH_SOURCES_2_TOPIC: there is no source 1; number the sources 0, 1, 2 and so on"
    ]


def test_paths_in_a_file_are_relative_to_it_and_others_are_not(tmp_path: Path) -> None:
    assert load(tmp_path, 'funnels = "sub/f.toml"').funnels == tmp_path / "sub" / "f.toml"
    assert load(tmp_path).funnels == tmp_path / "funnels.toml"
    assert load(tmp_path, "", {"FUNNELWATCH_FUNNELS": "f.toml"}).funnels == Path("f.toml")
    assert load(tmp_path, f'funnels = "{ROOT}/x.toml"').funnels == ROOT / "x.toml"


def test_the_settings_file_is_the_given_one_then_the_environments_then_the_folders(tmp_path: Path) -> None:
    assert find_settings(None, {}, tmp_path) is None
    (tmp_path / "funnelwatch.toml").touch()
    assert find_settings(None, {}, tmp_path) == tmp_path / "funnelwatch.toml"
    assert find_settings(None, {"FUNNELWATCH_CONFIG": "/e.toml"}, tmp_path) == Path("/e.toml")
    assert find_settings(Path("g.toml"), {"FUNNELWATCH_CONFIG": "/e.toml"}, tmp_path) == Path("g.toml")


def test_secrets_come_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("s3cret pass\r\n")
    text = '[clickhouse]\npassword_file = "pw"'
    assert load(tmp_path, text).clickhouse.password.reveal() == "s3cret pass"
    environ = {"FUNNELWATCH_CLICKHOUSE_PASSWORD_FILE": str(tmp_path / "pw")}
    assert load(tmp_path, '[clickhouse]\npassword = "below"', environ).clickhouse.password == Secret("s3cret pass")
    assert load(tmp_path, text, {"FUNNELWATCH_CLICKHOUSE_PASSWORD": "above"}).clickhouse.password == Secret("above")
    (tmp_path / "other").write_text("flag")
    flags = {"clickhouse.password_file": str(tmp_path / "other")}
    assert load(tmp_path, text, flags=flags).clickhouse.password == Secret("flag")


def test_bad_secret_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    assert told(tmp_path, '[clickhouse]\npassword_file = "no"') == [
        (
            "funnelwatch.toml, [clickhouse], password_file: no can't be read (No such file or directory); "
            "check path and rights of the file"
        ),
    ]
    assert told(tmp_path, '[clickhouse]\npassword_file = "empty"') == [
        "funnelwatch.toml, [clickhouse], password_file: empty is empty; write the secret into the file"
    ]
    assert told(tmp_path, '[clickhouse]\npassword_file = "empty"\npassword = "x"') == [
        (
            "funnelwatch.toml, [clickhouse], password_file: funnelwatch.toml, [clickhouse], password is given as well; "
            "leave one of them out"
        ),
    ]


def test_a_secret_is_never_shown(tmp_path: Path) -> None:
    text = '[kafka]\nsecurity_protocol = "SASL_SSL"\nuser = "u"\npassword = "hunter2"\n[web]\ntoken = "hunter2"'
    found = load(tmp_path, text)
    shown = f"{found} {found!r} {found.kafka.password:>20} {[found.web.token]}"
    assert "hunter2" not in shown
    assert "(secret)" in shown
    assert found.web.token.reveal() == "hunter2"
    assert (bool(Secret()), repr(Secret()), Secret("a") == Secret("b"), Secret("a") == "a") == (
        False,
        "(none)",
        False,
        False,
    )
    with pytest.raises(TypeError):
        msgspec.json.encode(found)
    assert "hunter" not in " ".join(told(tmp_path, '[web]\ntoken = "hunter2\\u0000"'))
    assert "hunter" not in " ".join(
        told(tmp_path, "[web]\ntoken = 2", flags={"clickhouse.url": "http://u:hunter2@host"})
    )


@pytest.mark.parametrize(
    "text, line",
    [
        ("[kafak]", "funnelwatch.toml, kafak: unknown key; did you mean kafka?"),
        ("[kafka]\nserver = 1", "funnelwatch.toml, [kafka], server: unknown key; did you mean servers?"),
        ('[[sources]]\ntopics = "a"', "funnelwatch.toml, [[sources]] 1, topics: unknown key; did you mean topic?"),
        ("[[sources]]", 'funnelwatch.toml, [[sources]] 1: is empty; write topic = "clickstream"'),
        ('[[sources]]\nstart = "latest"', '[[sources]] 1, topic: is missing; write topic = "clickstream"'),
        ("sources = 3", "funnelwatch.toml, [[sources]]: 3 is not an array of tables; write [[sources]] above each one"),
        ("kafka = 3", "funnelwatch.toml, [kafka]: 3 is not a table; write [section] or { key = value }"),
        ('[kafka]\nservers = ["a"]', '[kafka], servers: "a" is not an address; write "host:port"'),
        ('[kafka]\npartitions = "8"', '[kafka], partitions: "8" is not a whole number; write a number such as 1'),
        ("[kafka]\npartitions = 0", "[kafka], partitions: 0 is out of range; write 1 to 10000"),
        ("[kafka]\nfetch_wait = 5", "[kafka], fetch_wait: 5 has no unit; write a text such as"),
        ('[kafka]\nsecurity_protocol = "SASL_SSL"', "kafka.user: is missing, and SASL_SSL logs in; write user as well"),
        ('[kafka]\nuser = "u"', "[kafka], user: PLAINTEXT doesn't log in; write security_protocol"),
        ('[kafka]\nca = "no.pem"', "[kafka], ca: PLAINTEXT doesn't encrypt; write security_protocol"),
        ('[kafka]\nca = "no.pem"', 'no.pem" is not a file; check the path'),
        (
            '[[sources]]\ntopic = "a b"',
            'topic: "a b" can\'t name a topic; use letters, digits, dot, _ and -; at most 249',
        ),
        ('[[sources]]\ntopic = "funnelwatch.x"', "begins like funnelwatch's own topics; choose another topic_prefix"),
        ('[[sources]]\ntopic = "a"\n[[sources]]\ntopic = "a"', '[[sources]] 2, topic: "a" is there twice; name each'),
        ('[[sources]]\ntopic = "a"\nformat = "jsn"', '"jsn" is none of "auto", "native", "cloudevents"'),
        ('[[sources]]\ntopic = "a"\nformat = "mapping"', 'format: "mapping" needs a mapping file; write mapping ='),
        ('[[sources]]\ntopic = "a"\nmapping = "m"', 'm" is not a file; check the path'),
        ('[clickhouse]\nurl = "host:8123"', 'url: "host:8123" is not a URL; write it as "http://host:port"'),
        (
            '[clickhouse]\nurl = "http://a:b@host"',
            "url: holds a user name or password; write them in user and password",
        ),
        ('[clickhouse]\ntimeout = "2m"', "timeout: is not shorter than kafka.rebalance_timeout; write a shorter one"),
        ('[clickhouse]\ndatabase = "a-b"', 'database: "a-b" can\'t name a database; use letters, digits and _'),
        ('[site]\ntimezone = "Europe/Berln"', '"Europe/Berln" is not a time zone; did you mean Europe/Berlin?'),
        ('[site]\ncurrency = "EURO"', '"EURO" is not a currency code; write three capital letters'),
        ("[events]\nearliest = 3", "earliest: 3 is not a date from 1970 on; write 2020-01-01"),
        ('[events]\ninternal_addresses = ["10.0.0.300"]', '"10.0.0.300" is not an address or network'),
        ("[labels.values]\nuser_id = ['x']", '[labels], values, user_id: "user_id" is an id'),
        ("[labels.values]\nchannel = []", "[labels], values, channel: is empty; write at least one text"),
        ('[labels]\ncrosses = ["channel"]', '"channel" is not a pair of dimensions; write "channel×device"'),
        ("create = 1", "funnelwatch.toml, create: 1 is neither true nor false; write true or false, without quotes"),
        ("a = ", "funnelwatch.toml"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, line: str) -> None:
    lines = told(tmp_path, text)
    assert any(line in said for said in lines), lines


def test_mistakes_of_all_layers_are_told_together(tmp_path: Path) -> None:
    environ = {"FUNNELWATCH_KAFKA_SERVER": "a:1", "FUNNELWATCH_LABELS_VALUES": "x", "FUNNELWATCH_WEB_LISTEN": "x"}
    assert told(tmp_path, "[log]\nlevel = 'loud'", environ, flags={"kafka.partition": "3"}) == [
        "FUNNELWATCH_KAFKA_SERVER: no such setting; did you mean FUNNELWATCH_KAFKA_SERVERS?",
        "FUNNELWATCH_LABELS_VALUES: no such setting; only the file can set values",
        "flag kafka.partition: no such setting; did you mean kafka.partitions?",
        'FUNNELWATCH_WEB_LISTEN: "x" is not an address; write "host:port", such as "127.0.0.1:6066"',
        'funnelwatch.toml, [log], level: "loud" is none of "debug", "info", "warning", "error"; write one of them',
    ]


def test_service_links_of_kubernetes_and_empty_variables_are_no_settings() -> None:
    environ = {
        "FUNNELWATCH_SERVICE_HOST": "10.0.0.1",
        "FUNNELWATCH_SERVICE_PORT": "6066",
        "FUNNELWATCH_SERVICE_PORT_HTTP": "6066",
        "FUNNELWATCH_PORT": "tcp://10.0.0.1:6066",
        "FUNNELWATCH_WEB_PORT": "tcp://10.0.0.1:6066",
        "FUNNELWATCH_WEB_PORT_6066_TCP_ADDR": "10.0.0.1",
        "FUNNELWATCH_CONFIG": "elsewhere.toml",
        "FUNNELWATCH_KAFKA_SERVERS": "",
        "OTHER": "x",
    }
    assert load_settings(None, environ, {}) == Settings()


def test_internal_traffic_has_the_decoders_defaults() -> None:
    events, internal = Settings().events, Internal()
    assert (events.internal_addresses, events.internal_user_agents) == (internal.addresses, internal.user_agents)
    assert (events.internal_hosts, events.internal_marks) == (internal.hosts, internal.marks)


def test_every_default_is_a_value_that_may_be_given() -> None:
    for section in SECTIONS:
        for key in keys_of(section):
            if key.needed or key.secret or key.name == "funnels":
                continue
            shown = key.kind.text(key.default)
            plain = shown.strip('"') if not shown.startswith("[") else shown.strip("[]").replace('"', "")
            if plain:
                assert key.kind.read(from_text(key.kind, plain), key.path) == key.default, key.path


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == reference()


def test_the_security_that_a_broker_asks_for(tmp_path: Path) -> None:
    for name in ("ca.pem", "c.pem", "k.pem"):
        (tmp_path / name).touch()
    text = """
    [kafka]
    security_protocol = "SSL"
    ca = "ca.pem"
    cert = "c.pem"
    key = "k.pem"
    """
    kafka = load(tmp_path, text).kafka
    assert (kafka.security_protocol, kafka.ca) == (SecurityProtocol.SSL, tmp_path / "ca.pem")


NAMES = st.sampled_from([key.name for section in SECTIONS for key in keys_of(section)] + [*SECTIONS, "rates", "values"])
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=6) | st.booleans() | st.integers() | st.sampled_from(["EUR", "1h", "a:1", "SSL", "\ud800", "\0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=4), inner, max_size=4),
)


@settings(max_examples=150, deadline=None)
@given(document=st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, max_size=4) | VALUES, max_size=4))
def test_any_document_is_read_or_refused(document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("schemas.settings.layers.read_toml", lambda *_: document)
        lines = refused(Path("no-such-folder/f.toml"), {})
    assert all(line.isprintable() for line in lines)


@settings(max_examples=60, deadline=None)
@given(environ=st.dictionaries(NAMES.map(lambda name: f"FUNNELWATCH_KAFKA_{name.upper()}"), st.text(max_size=9)))
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    assert all(line.isprintable() for line in refused(None, environ))


def refused(path: Path | None, environ: dict[str, str]) -> list[str]:
    """The lines of the ConfigError, if there is one; anything else that is raised fails the test."""
    try:
        load_settings(path, environ, {})
    except ConfigError as error:
        return [str(part) for part in parts_of(error)]
    return []


@pytest.mark.parametrize("number", ["1e99999999999999999999", "9" * 5_000, "9" * 500 + "e1000000000000000000"])
def test_a_number_that_no_decimal_can_hold_is_a_mistake_of_the_file(number: str) -> None:
    with pytest.raises(ConfigError, match="a number has too many digits"):
        parse_toml(f"a = {number}", "f.toml", Decimal)
