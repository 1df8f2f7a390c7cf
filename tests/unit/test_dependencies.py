"""Nothing is installed that nobody uses, and everything that is has a hash in the lock."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
#: Needed without being imported by name, and why.
REASONS = {
    "tzdata": "zoneinfo reads it",
    "cramjam": "aiokafka reads lz4, snappy and zstd with it; the code only looks whether it is there",
}
DEV_REASONS = {
    "pytest-timeout": "a plug-in", "pytest-asyncio": "a plug-in", "ruff": "a program", "mypy": "a program",
    "types-pyyaml": "read by mypy", "types-protobuf": "read by mypy", "pip-audit": "a program", "editables": "hatchling builds the editable install with it",
}  # fmt: skip


def name_of(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found is not None
    return re.sub(r"[-_.]+", "-", found.group()).lower()


def imported(*folders: str) -> set[str]:
    """Distributions whose modules are imported, anywhere in a file."""
    modules: set[str] = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    modules.update(alias.name.split(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module.split(".")[0])
    known = packages_distributions()
    text = "\n".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    named = set(re.findall(r"importorskip\(\s*\"(\w+)|find_spec\(\"(\w+)|import_module\(\"(\w+)", text))
    modules.update(name for names in named for name in names if name)
    return {name_of(dist) for module in modules for dist in known.get(module, [])}


@pytest.mark.parametrize(
    ("group", "folders", "reasons"),
    [
        ("", ("streams", "sinks", "schemas"), REASONS),
        ("embedded", ("streams", "sinks", "schemas"), {}),
        ("dev", ("tests", "grafana", "benchmarks", "sinks", "streams"), DEV_REASONS),
    ],
)
def test_every_dependency_is_imported_or_has_its_reason(
    group: str, folders: tuple[str, ...], reasons: dict[str, str]
) -> None:
    declared = PROJECT["optional-dependencies"][group] if group else PROJECT["dependencies"]
    names = {name_of(requirement) for requirement in declared}
    used = imported(*folders) | {"hatchling"} if group == "dev" else imported(*folders)
    assert names - used - reasons.keys() == set()


@pytest.mark.parametrize("lock", sorted(path.name for path in ROOT.glob("requirements*.lock")))
def test_everything_in_a_lock_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    pinned = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert len(pinned) > 4
    assert [line for line in pinned if "==" not in line or "--hash=sha256:" not in line] == []
