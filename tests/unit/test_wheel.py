"""The package as it is built: with the compiled part where there is a compiler, pure and just as right where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="builds the wheels")

ROOT = Path(__file__).parents[2]
PARTS = ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "streams", "sinks", "schemas", "examples")
MODULE, SOURCE = "streams/engine/_usual.abi3.so", "streams/engine/_usual.c"
NOTICE = "without its compiled part, all works but slower: "
WALK = """
import streams
from schemas.event import Event
from schemas.funnel import Funnel, Stage, Unit
from streams.cli import exit_code
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition
funnel = Funnel("f", "0123456789ab", Unit.VISITOR, (Stage("A", ("a",)), Stage("B", ("b",))))
partition = Partition("log", 0, Unit.VISITOR, [CompiledFunnel(funnel)], {})
for offset, name in enumerate("ab"):
    partition.event(offset, Event(event=name, ts=offset, event_id=name, visitor_id="v"))
result = partition.finish()
print(streams.__file__)
print(bool(result.made.packed), sorted((row.kind, row.to_stage, row.outcome) for row in result.rows))
exit_code(["--version"])
"""
ROWS = [("end", "B", "converted"), ("enter", "A", ""), ("enter", "B", "")]

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))) or not Path(sysconfig.get_path("include"), "Python.h").is_file(),
    reason="no C compiler, or no Python.h: the compiled part can't be built here",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources, as a checkout has them."""
    made = tmp_path / "tree"
    made.mkdir()
    for name in PARTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, made / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        else:
            shutil.copy(ROOT / name, made)
    return made


def python(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in {"CC", "CFLAGS", "FUNNELWATCH_PURE"}}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, cwd=cwd, env=clean | environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def build(tree: Path, target: str = "wheel", **environment: str) -> tuple[Path, str]:
    """The file that was built, and what was said."""
    out = tree.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    done = python("-m", "hatchling", "build", "-t", target, "-d", out, cwd=tree, **environment)
    (made,) = out.iterdir()
    return made, done.stdout + done.stderr


def walk_with(wheel: Path, place: Path) -> list[str]:
    """What WALK prints, run with the wheel's files."""
    shutil.unpack_archive(wheel, place, "zip")
    lines = python("-P", "-c", WALK, cwd=place, PYTHONPATH=str(place)).stdout.splitlines()
    assert Path(lines[0]).is_relative_to(place)
    return lines[1:]


@pytest.mark.parametrize(
    "environment,why",
    [
        ({"CC": "false"}, "false: exit code 1"),
        ({"CC": "/no/such/cc"}, "/no/such/cc: No such file or directory"),
        ({"CC": "true"}, "No such file or directory"),  # a compiler that makes nothing
        ({"FUNNELWATCH_PURE": "1"}, "FUNNELWATCH_PURE is set"),
    ],
    ids=["failing", "missing", "making nothing", "unwanted"],
)
def test_without_a_compiler_the_wheel_is_pure_and_works(
    tree: Path, tmp_path: Path, environment: dict[str, str], why: str
) -> None:
    (tree / MODULE).write_text("of another state of the source")
    wheel, said = build(tree, **environment)
    assert NOTICE in said
    assert why in said
    assert wheel.name.endswith("-py3-none-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert not [name for name in names if name.endswith((".so", ".c"))]
    assert "streams/demo/funnels.toml" in names
    counted, version = walk_with(wheel, tmp_path / "installed")
    assert counted == f"False {ROWS}"
    assert version.endswith(", pure")


@needs_compiler
def test_with_a_compiler_the_wheel_has_the_compiled_part(tree: Path, tmp_path: Path) -> None:
    wheel, said = build(tree)
    assert NOTICE not in said
    assert "-cp311-abi3-" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist().count(MODULE) == 1
        assert not [name for name in archive.namelist() if name.endswith(".c")]
        (about,) = [name for name in archive.namelist() if name.endswith(".dist-info/WHEEL")]
        assert "Root-Is-Purelib: false" in archive.read(about).decode()
    assert not (tree / MODULE).exists()
    counted, version = walk_with(wheel, tmp_path / "installed")
    assert counted == f"True {ROWS}"
    assert version.endswith(", compiled")


@needs_compiler
def test_the_compiled_part_gives_no_warning(tree: Path) -> None:
    _, said = build(tree, CFLAGS="-Wall -Wextra -Wno-missing-field-initializers -Werror")
    assert NOTICE not in said


@needs_compiler
def test_an_editable_install_has_it_beside_its_source(tree: Path) -> None:
    editable = "import sys, hatchling.build; hatchling.build.build_editable(sys.argv[1])"
    out = tree.parent / "out"
    out.mkdir()
    python("-c", editable, out, cwd=tree)
    built = (tree / MODULE).read_bytes()
    assert built[:4] in {b"\x7fELF", b"\xcf\xfa\xed\xfe"}
    (tree / SOURCE).write_text("#error")
    python("-c", editable, out, cwd=tree)
    assert not (tree / MODULE).exists()  # it would not be what the source says
    assert not list((tree / "streams/engine").glob("_usual*.new"))


def test_the_sources_hold_all_that_a_wheel_needs(tree: Path, tmp_path: Path) -> None:
    (tree / MODULE).write_text("made here")
    made, _ = build(tree, "sdist")
    with tarfile.open(made) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert {SOURCE, "hatch_build.py", "streams/engine/_usual.pyi", "examples/demo/funnels.toml"} <= names
    assert MODULE not in names
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    wheel, _ = build(unpacked, CC="false")
    assert "streams/demo/funnels.toml" in zipfile.ZipFile(wheel).namelist()


def test_a_compiled_part_of_another_version_is_left_out() -> None:
    """It lies beside its source in an editable install: after an update it was there, and every process ended at its start."""
    said = subprocess.run(
        [sys.executable, "-c", (
            "import sys, types, streams.engine; old = types.ModuleType('streams.engine._usual');"
            "sys.modules[old.__name__] = streams.engine._usual = old;"
            "from streams.engine.usual import COMPILED; print(COMPILED)"
        )],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout == "False\n"
    assert "make setup" in said.stderr
