"""`funnelwatch check`: one screen that says what is wrong (exit 2) or what will run (exit 0)."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.funnel import Unit
from schemas.settings import Source
from schemas.topics import Feed, feeds
from streams.commands.check import check

ROOT = Path(__file__).parents[3]
SETTINGS = """
[kafka]
servers = ["b1:9092"]
security_protocol = "SASL_SSL"
user = "watcher"
password = "hunter2"
[[sources]]
topic = "clicks"
keyed_by = "session"
[web]
listen = "0.0.0.0:6066"
[labels.values]
country = ["DE"]
"""
FUNNELS = """
[[funnels]]
name = "shop"
unit = "session"
window = "2h"
dimensions = ["channel"]
[[funnels.stages]]
name = "view"
events = ["view_*", "look"]
where = { device = "mobile" }
[[funnels.stages]]
name = "cart"
events = ["cart"]
optional = true
exclude = ["logout"]
[[funnels.stages]]
name = "buy"
events = ["buy"]
within = "3h"
value = "revenue"
target = 0.4
floor = 0.2
floor_minimum = 50
[[funnels]]
preset = "newsletter"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(check, list(arguments), env={})


def test_what_will_run(folder: Path) -> None:
    (folder / "funnelwatch.toml").write_text(SETTINGS)
    (folder / "funnels.toml").write_text(FUNNELS)
    result = run("--set", "site.name=shop.example")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[:9] == [
        "read       funnelwatch.toml, funnels.toml",
        "site       shop.example, UTC, amounts in their own currencies",
        "Kafka      b1:9092 (SASL_SSL, SCRAM-SHA-512 as watcher, password (secret))",
        "source     clicks: auto, keyed by session, from earliest, idle after 1m",
        (
            "topics     funnelwatch.state.session, funnelwatch.log.visitor, funnelwatch.state.visitor, "
            "funnelwatch.transitions, funnelwatch.drop-offs, funnelwatch.dead-letters, funnelwatch.annotations, funnelwatch.live, funnelwatch.baselines"
        ),
        "ClickHouse http://localhost:8123 as default, password (none)",
        "tables     funnelwatch: events (90 days), transitions (400 days), attempts (400 days), dead_letters (30 days)",
        "metrics    http://0.0.0.0:6066/metrics, token (none)",
        "privacy    ids as they are, addresses masked, dead letters masked",
    ]
    assert lines[10].startswith("shop  version ")
    assert lines[10].endswith(", by session, ordered, window 2h, lateness 10m, session gap 30m")
    assert lines[11:16] == [
        "  fed by clicks, directly",
        "  dimensions channel",
        '   1 view  view_* or look, where device = "mobile"',
        "   2 cart  cart, optional, ended by logout",
        "   3 buy   buy, within 3h, value revenue, target 40 %, floor 20 % from 50",
    ]
    assert "  fed by funnelwatch.log.visitor, keyed by visitor out of clicks" in lines
    assert [line for line in lines if line.startswith("note")] == [
        "note       [web] listens on 0.0.0.0:6066 without a token: all who reach it can read the metrics",
        "note       [labels.values] lists country, which is a dimension of no funnel",
        "note       shop, buy: within is no shorter than the window and changes nothing",
    ]
    assert "hunter2" not in result.output


def test_all_that_is_wrong(folder: Path) -> None:
    (folder / "funnelwatch.toml").write_text('[kafka]\nserver = "x"\npassword = "hunter2"')
    (folder / "other.toml").write_text('[[funnels]]\npreset = "aidda"')
    result = run("other.toml")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "funnelwatch.toml, [kafka], server: unknown key; did you mean servers?",
        (
            "funnelwatch.toml, [kafka], password: PLAINTEXT doesn't log in; "
            'write security_protocol = "SASL_SSL" or "SASL_PLAINTEXT"'
        ),
        'other.toml, funnel 1, preset: "aidda" is not a preset; did you mean "aida"?',
    ]


def test_a_wrong_mapping_is_told(folder: Path) -> None:
    (folder / "funnels.toml").write_text(FUNNELS)
    (folder / "m.toml").write_text("nonsense = 3")
    (folder / "funnelwatch.toml").write_text('[[sources]]\ntopic = "t"\nmapping = "m.toml"')
    result = run()
    assert result.exit_code == 2
    assert result.stderr.startswith("m.toml, nonsense: no such key")


def test_definitions_alone_are_enough(folder: Path) -> None:
    result = run(str(ROOT / "examples" / "demo" / "funnels.toml"))
    assert result.exit_code == 0
    assert "note       there is no source: enough for `batch`, but `run` needs [[sources]]" in result.output


def test_nothing_there_at_all(folder: Path) -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (2, "funnels.toml: no such file; check the path, or create the file\n")


def test_a_log_in_without_encryption_is_noted(folder: Path) -> None:
    (folder / "funnels.toml").write_text(FUNNELS)
    (folder / "password").write_text("hunter2")
    login = [
        "--set",
        "kafka.security_protocol=SASL_PLAINTEXT",
        "--set",
        "kafka.user=u",
        "--set",
        "kafka.password_file=password",
    ]
    result = run(*login)
    assert result.exit_code == 0
    assert "note       [kafka] security_protocol SASL_PLAINTEXT encrypts nothing" in result.output
    assert "hunter2" not in result.output


def test_a_secret_on_the_command_line_is_refused_and_not_repeated(folder: Path) -> None:
    (folder / "funnels.toml").write_text(FUNNELS)
    result = run("--set", "clickhouse.password=hunter2")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "flag clickhouse.password: a secret on the command line is seen by all who list processes; write it into the settings, "
        "FUNNELWATCH_CLICKHOUSE_PASSWORD, or a file: clickhouse.password_file=…\n"
    )


def test_a_flag_without_value(folder: Path) -> None:
    result = run("--set", "kafka.servers")
    assert (result.exit_code, result.stderr) == (2, "flag --set: has no value; write --set kafka.servers=broker:9092\n")


def test_only_a_single_source_keyed_by_the_unit_feeds_it_directly() -> None:
    from schemas.definitions import parse_funnels

    funnels = parse_funnels({"funnels": [{"preset": "newsletter"}, {"preset": "ecommerce"}]}, "f")
    keyed = Source(topic="t", keyed_by=Unit.VISITOR)
    session, visitor = Feed(Unit.SESSION, "p.log.session", False), Feed(Unit.VISITOR, "p.log.visitor", False)
    assert feeds([keyed], funnels, "p.") == (session, Feed(Unit.VISITOR, "t", True))
    assert feeds([keyed, Source(topic="u", keyed_by=Unit.VISITOR)], funnels, "p.") == (session, visitor)
    assert feeds([Source(topic="t")], funnels, "p.") == (session, visitor)
