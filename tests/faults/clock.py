"""The wall clock of one process, which jumps: libfaketime reads how far off it is from a file. Monotonic time goes on as it was."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

PLACES = ("/usr/lib/*/faketime", "/usr/lib64/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
MISSING = "libfaketime is not installed (Debian: apt install libfaketime)"


@cache
def library() -> Path | None:
    """The library for processes with threads, if it is here."""
    found = [file for place in PLACES for file in Path("/").glob(f"{place[1:]}/libfaketimeMT.so.1")]
    return found[0] if found else None


class Clock:
    """`file`: what the process reads once a second. It shows the true time at first."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """From now on the clock is off by so much."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self._file)  # never seen empty

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment of the process. Raises FileNotFoundError where the library is missing."""
        found = library()
        if found is None:
            raise FileNotFoundError(MISSING)
        return {
            "LD_PRELOAD": str(found), "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DISABLE_SHM": "1",
        }  # fmt: skip
