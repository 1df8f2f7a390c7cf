"""The manifests against the schemas of Kubernetes and of the Prometheus operator, and against the settings that exist."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from cloudcoil.models.kubernetes.apps import v1 as apps
from cloudcoil.models.kubernetes.core import v1 as core
from cloudcoil.models.kubernetes.policy import v1 as policy
from cloudcoil.models.prometheus_operator import v1 as monitoring

from schemas.settings import load_settings
from schemas.settings.layers import CONFIG_VARIABLE
from schemas.settings.reference import reference
from streams.cli import cli, exit_code
from tests.alerts.promtool import need_promtool
from tests.deploy.strict_yaml import load, load_all

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
RULES = FOLDER / "monitoring" / "rules.yaml"
MODELS = {
    "StatefulSet": apps.StatefulSet, "Deployment": apps.Deployment, "Service": core.Service, "ConfigMap": core.ConfigMap,
    "PodDisruptionBudget": policy.PodDisruptionBudget, "PodMonitor": monitoring.PodMonitor,
    "PrometheusRule": monitoring.PrometheusRule,
}  # fmt: skip


def resources(folder: Path = FOLDER) -> list[dict[str, Any]]:
    """What the kustomization names, in its folders, too."""
    found: list[dict[str, Any]] = []
    for name in load((folder / "kustomization.yaml").read_text())["resources"]:
        place = folder / name
        found += resources(place) if place.is_dir() else load_all(place.read_text())
    return found


ALL = resources()
WORKLOADS = [one for one in ALL if one["kind"] in ("StatefulSet", "Deployment")]


def judged(resource: dict[str, Any]) -> None:
    """Raises for a value that the schema does not allow; a key that it does not know is lost on the way."""
    model = MODELS[resource["kind"]]
    assert model.model_validate(resource).model_dump(mode="json", by_alias=True, exclude_unset=True) == resource


@pytest.mark.parametrize("resource", ALL, ids=lambda one: f"{one['kind']}-{one['metadata']['name']}")
def test_the_schemas_take_it(resource: dict[str, Any]) -> None:
    judged(resource)


def test_the_schemas_would_refuse_mistakes() -> None:
    (pods,) = (one for one in ALL if one["kind"] == "StatefulSet")
    with pytest.raises(ValueError, match="serviceName"):
        judged({**pods, "spec": {key: value for key, value in pods["spec"].items() if key != "serviceName"}})
    with pytest.raises(AssertionError):
        judged({**pods, "spec": {**pods["spec"], "replica": 2}})


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    found = workload["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: str(one["kind"]))
def test_a_pod_has_no_rights_and_writes_only_where_it_may(workload: dict[str, Any]) -> None:
    (container,) = pod(workload)["containers"]
    assert pod(workload)["securityContext"]["runAsNonRoot"] is True
    assert pod(workload)["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}
    }  # fmt: skip
    writable = [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["/tmp"]  # noqa: S108 - a place in the container
    assert f"USER {pod(workload)['securityContext']['runAsUser']}\n" in (FOLDER.parents[1] / "Dockerfile").read_text()


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: str(one["kind"]))
def test_a_pod_would_start_with_what_it_is_given(workload: dict[str, Any], tmp_path: Path) -> None:
    (container,) = pod(workload)["containers"]
    known, environment = reference(), {}
    for variable in container["env"]:
        assert variable["name"] == CONFIG_VARIABLE or f"`{variable['name'].removesuffix('_FILE')}`" in known
        environment[variable["name"]] = variable.get("value", "funnelwatch-worker-0")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    config = environment.pop(CONFIG_VARIABLE)
    assert config == f"{mounts['config']}/funnelwatch.toml"
    password = environment["FUNNELWATCH_CLICKHOUSE_PASSWORD_FILE"]
    assert password == f"{mounts['secrets']}/clickhouse-password"
    (tmp_path / "password").write_text("secret")
    environment["FUNNELWATCH_CLICKHOUSE_PASSWORD_FILE"] = str(tmp_path / "password")
    settings = load_settings(FOLDER / "funnelwatch.toml", environment, {})
    role = container["args"][-1]
    listen = settings.web.listen if role == "worker" else settings.web.sink_listen
    (port,) = container["ports"]
    assert listen == f"0.0.0.0:{port['containerPort']}"
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz"), ("startupProbe", "/healthz")):
        assert container[probe]["httpGet"] == {"path": path, "port": port["name"]}
    command = cli.get_command(cli.make_context("funnelwatch", ["run"]), container["args"][0])
    assert command is not None
    command.make_context("run", container["args"][1:])


def test_what_selects_finds_what_it_is_for() -> None:
    labels = {one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"] for one in WORKLOADS}
    for one in ALL:
        spec = one["spec"]
        if one["kind"] == "Service":
            assert spec["selector"].items() <= labels[one["metadata"]["name"]].items()
        elif one["kind"] == "PodMonitor":
            wanted = spec["selector"]["matchLabels"].items()
            assert all(wanted <= found.items() for found in labels.values())
            ports = {port["name"] for workload in WORKLOADS for port in pod(workload)["containers"][0]["ports"]}
            assert {endpoint["port"] for endpoint in spec["podMetricsEndpoints"]} == ports
        elif one["kind"] != "PrometheusRule":
            assert spec["selector"]["matchLabels"] == labels[one["metadata"]["name"]]


def test_the_rules_are_those_of_the_definitions(tmp_path: Path) -> None:
    again = tmp_path / "rules.yaml"
    config = str(FOLDER / "funnelwatch.toml")
    assert exit_code(["rules", "--config", config, "--kubernetes", "-o", str(again)]) == 0
    assert again.read_text() == RULES.read_text(), "write them again: `funnelwatch rules --kubernetes`"
    plain = tmp_path / "plain.yml"
    assert exit_code(["rules", "--config", config, "-o", str(plain)]) == 0
    spec = yaml.safe_load(again.read_text())["spec"]
    assert spec == yaml.safe_load(plain.read_text())
    groups = tmp_path / "groups.yml"
    groups.write_text(yaml.safe_dump(spec))
    checked = subprocess.run(
        [need_promtool(), "check", "rules", str(groups)], capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_kustomize_builds_it() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed, which has kustomize inside")
    built = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, timeout=60, check=True)
    made = list(yaml.safe_load_all(built.stdout))
    assert sorted(one["kind"] for one in made) == sorted([*(one["kind"] for one in ALL), "ConfigMap"])
    for one in made:
        judged(one)
        assert one["metadata"]["namespace"] == "funnelwatch"
        if one["kind"] in ("StatefulSet", "Deployment"):
            (config,) = (volume["configMap"]["name"] for volume in pod(one)["volumes"] if "configMap" in volume)
            assert config.startswith("funnelwatch-")
            assert pod(one)["containers"][0]["image"] == "registry.example/funnelwatch:0.1.0"
