"""ClickHouse on a small disk of its own, which can be full."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sinks.embedded.clickhouse import EmbeddedClickHouse

SIZE = "512m"


class ClickHouseOnSmallDisk(EmbeddedClickHouse):
    """Its directory is a tmpfs, where this user may mount one. `missing`: why there is none; "" if there is."""

    missing = "not mounted yet"

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "funnelwatch-faults", str(self.directory)]
        try:
            done = subprocess.run(mount, capture_output=True, text=True, check=False)
            self.missing = "" if done.returncode == 0 else f"no tmpfs can be mounted ({done.stderr.strip()})"
        except FileNotFoundError:
            self.missing = "there is no program mount"
        return super().__enter__()

    def fill(self) -> None:
        """No byte is left."""
        with self._ballast.open("wb", buffering=0) as file:
            for piece in (bytes(1 << 20), bytes(4096)):
                with suppress(OSError):  # until there is no room for another piece
                    while file.write(piece) == len(piece):
                        pass

    def free(self) -> None:
        """There is room again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        assert not self.missing, self.missing  # it would fill the whole machine
        return self.directory / "ballast"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if not self.missing:
            subprocess.run(["umount", "--lazy", str(self.directory)], check=True)
