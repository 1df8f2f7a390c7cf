"""docker-compose.yml: well-formed, every file that it mounts is there, and it agrees with the rest of the project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from compose_spec import PyCompose

from schemas.definitions import load_funnels
from schemas.settings import load_settings
from schemas.settings.layers import CONFIG_VARIABLE
from schemas.settings.reference import reference
from sinks.embedded.jars import KAFKA_VERSION
from streams.cli import cli
from tests.deploy.strict_yaml import load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded = load((ROOT / "docker-compose.yml").read_text())
    assert isinstance(loaded, dict)
    return loaded


def test_it_obeys_the_compose_specification() -> None:
    text = yaml.safe_dump(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))  # with its anchors resolved
    assert set(PyCompose.from_yaml(text).to_dict()["services"]) >= {"kafka", "clickhouse", "worker"}
    with pytest.raises(ValueError, match="portz"):
        PyCompose.from_yaml(text.replace("ports:", "portz:", 1))


def test_the_services_are_the_documented_ones(compose: dict[str, Any]) -> None:
    documented = {"kafka", "clickhouse", "worker", "sink", "traffic", "prometheus", "alertmanager", "grafana"}
    assert set(compose["services"]) == documented | {"topics"}


def test_every_image_has_a_version(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert "build" in service or re.fullmatch(r"[\w./-]+:v?\d[\w.-]*", service["image"]), name


def test_the_broker_is_of_the_version_of_the_embedded_one(compose: dict[str, Any]) -> None:
    assert compose["services"]["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_no_password_stands_in_the_environment(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        secret = {key for key in service.get("environment", {}) if re.search("PASSWORD|TOKEN|KEY$", key)}
        assert all(key.endswith("_FILE") for key in secret), name
        assert all(service["environment"][key].startswith("/run/secrets/") for key in secret), name
        assert set(service.get("secrets", ())) <= set(compose["secrets"]), name


def test_ports_are_open_on_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_what_is_mounted_is_there_and_what_is_named_is_declared(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
            else:
                assert source in compose["volumes"], source
        for other in service.get("depends_on", []):
            assert other in compose["services"]
    for secret in compose["secrets"].values():
        assert (ROOT / re.sub(r"\$\{\w+:-(.*)\}", r"\1", secret["file"])).is_file()


def test_who_waits_for_health_waits_for_a_service_that_has_a_check(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] in ("service_healthy", "service_completed_successfully")
            assert how["condition"] != "service_healthy" or "healthcheck" in compose["services"][other]


@pytest.mark.parametrize("name", ["worker", "sink", "traffic"])
def test_it_would_start_with_what_is_mounted(compose: dict[str, Any], name: str, tmp_path: Path) -> None:
    service = compose["services"][name]
    environment = {key: str(value) for key, value in service["environment"].items()}
    for volume in service["volumes"]:
        source, inside, _ = volume.split(":")
        (tmp_path / inside[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / inside[1:]).write_bytes((ROOT / source).read_bytes())
    (tmp_path / "password").write_text("a password\n")
    environment["FUNNELWATCH_CLICKHOUSE_PASSWORD_FILE"] = str(tmp_path / "password")
    settings = load_settings(tmp_path / environment.pop(CONFIG_VARIABLE)[1:], environment, {})
    assert load_funnels(settings.funnels)
    assert settings.clickhouse.password.reveal() == "a password"
    (source_topic,) = (source.topic for source in settings.sources)
    assert f"--topic={source_topic}" in compose["services"]["topics"]["command"]
    assert (settings.web.listen, settings.web.sink_listen) == ("0.0.0.0:6066", "0.0.0.0:6067")


def import_command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def test_the_commands_exist(compose: dict[str, Any]) -> None:
    for name in ("worker", "sink", "traffic"):
        command, *options = compose["services"][name]["command"]
        parsed = import_command(command)
        parsed.make_context(command, list(options), resilient_parsing=False)


def test_worker_and_sink_are_scraped_where_they_listen() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/compose/prometheus.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == ["worker:6066", "sink:6067"]


def test_the_workers_settings_exist(compose: dict[str, Any]) -> None:
    known = reference()
    for name in compose["services"]["worker"]["environment"]:
        assert name == CONFIG_VARIABLE or f"`{name.removesuffix('_FILE')}`" in known, name


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "grafana").rglob("*.y*ml"), *(ROOT / "deploy/compose").rglob("*.y*ml")]),
    ids=lambda path: str(path.name),
)
def test_what_prometheus_and_grafana_are_given_is_yaml(path: Path) -> None:
    assert isinstance(load(path.read_text()), dict)


def test_a_key_that_stands_twice_would_be_seen() -> None:
    again = re.sub("( +FUNNELWATCH_WEB_LISTEN: .*\n)", r"\1\1", (ROOT / "docker-compose.yml").read_text())
    with pytest.raises(yaml.constructor.ConstructorError, match="FUNNELWATCH_WEB_LISTEN stands twice"):
        load(again)


def test_grafana_data_sources_point_at_the_services(compose: dict[str, Any]) -> None:
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/funnelwatch.yaml").read_text())["datasources"]
    hosts = {re.sub(r"^https?://|:\d+$", "", source.get("url") or source["jsonData"]["host"]) for source in sources}
    assert hosts == {"prometheus", "clickhouse", "alertmanager"}
    assert hosts <= set(compose["services"])
    (password,) = (source["secureJsonData"]["password"] for source in sources if "secureJsonData" in source)
    secret = re.fullmatch(r"\$__file\{/run/secrets/([\w-]+)\}", password)
    assert secret is not None
    assert secret[1] in compose["services"]["grafana"]["secrets"]
