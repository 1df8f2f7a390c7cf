"""Compiles streams/engine/_usual.c where there are a C compiler and Python's headers. Where there are none the wheel is pure: all
works without the compiled part, only slower.

`CC` and `CFLAGS` in the environment are obeyed; `FUNNELWATCH_PURE=1` leaves the compiled part out.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

SOURCE, MODULE = "streams/engine/_usual.c", "streams/engine/_usual.abi3.so"
#: Wrapping sums: what a damaged state holds may be any number.
FLAGS = ("-O2", "-fPIC", "-fwrapv")
SHARED = ("-bundle", "-undefined", "dynamic_lookup") if sys.platform == "darwin" else ("-shared",)
LOADS = """
import sys
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("_usual", sys.argv[1])
spec.loader.exec_module(module_from_spec(spec))
"""


class LeftOut(Exception):
    """Why there is no compiled part."""


class CompiledPart(BuildHookInterface[Any]):
    """Adds the compiled part to a wheel; for an editable install it is put beside its source."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """`version`: standard or editable."""
        self.made = Path(tempfile.mkdtemp()) / Path(MODULE).name
        beside = Path(self.root, MODULE)
        try:
            compile_part(Path(self.root, SOURCE), self.made)
        except LeftOut as why:
            self.app.display_warning(f"funnelwatch without its compiled part, all works but slower: {why}")
            if version == "editable":
                beside.unlink(missing_ok=True)  # made from another state of the source
            return
        if version == "editable":
            put(self.made, beside)
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform()}"
        build_data["force_include"][str(self.made)] = MODULE

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatch's names
        """Removes what lay outside the tree."""
        shutil.rmtree(self.made.parent, ignore_errors=True)


def compile_part(source: Path, made: Path) -> None:
    """Raises LeftOut if that can't be done here."""
    if os.environ.get("FUNNELWATCH_PURE", "") not in {"", "0"}:
        raise LeftOut("FUNNELWATCH_PURE is set")
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED") or os.name != "posix":
        raise LeftOut("it is for CPython with its lock, on Linux and macOS")
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").is_file():
        raise LeftOut(f"no Python.h in {headers}")
    flags = [*FLAGS, *shlex.split(os.environ.get("CFLAGS", "")), *SHARED]
    run([*compiler(), *flags, f"-I{headers}", str(source), "-o", str(made)])
    run([sys.executable, "-I", "-c", LOADS, str(made)])


def compiler() -> list[str]:
    """The command that compiles C: `CC`, else what Python was built with, else the usual names."""
    own = os.environ.get("CC")
    if own:
        return shlex.split(own)
    for command in (sysconfig.get_config_var("CC") or "", "cc", "gcc", "clang"):
        words = shlex.split(command)
        if words and shutil.which(words[0]):
            return words
    raise LeftOut("no C compiler found (CC names one)")


def run(command: list[str]) -> None:
    """Raises LeftOut with what the command has said last."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise LeftOut(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [f"exit code {done.returncode}"]
        raise LeftOut(f"{command[0]}: {said[-1]}")


def put(made: Path, place: Path) -> None:
    """In one step: a worker that runs keeps the file that it has."""
    beside = place.with_suffix(".new")
    shutil.copyfile(made, beside)
    beside.replace(place)


def platform() -> str:
    """This machine's, as wheels name it. The generic one: the part is made here, for here."""
    return next(
        tag.platform for tag in sys_tags() if "manylinux" not in tag.platform and "musllinux" not in tag.platform
    )
