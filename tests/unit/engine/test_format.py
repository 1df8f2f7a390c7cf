"""State of another format is refused with the remedy, never misread."""

from __future__ import annotations

import msgspec
import pytest

from schemas.errors import ConfigError
from schemas.funnel import Funnel, Stage, Unit
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition
from streams.engine.state import FORMAT, UnitState, pack


def test_state_of_another_format_is_refused() -> None:
    funnel = CompiledFunnel(Funnel("f", "0" * 12, Unit.SESSION, (Stage("A", ("a",)),)))
    newer = pack(UnitState(FORMAT + 1, 5, 100, False, {}))
    with pytest.raises(ConfigError, match=f"written in format {FORMAT + 1}, this version reads {FORMAT}.*start anew"):
        Partition("log", 0, Unit.SESSION, [funnel], {"=u": newer})


@pytest.mark.parametrize("packed, found", [
    (msgspec.msgpack.encode([FORMAT - 1, 5, "in another form"]), FORMAT - 1), (b"\xc1", "unknown"), (b"", "unknown"),
])  # fmt: skip
def test_so_is_one_that_looks_otherwise_or_like_nothing(packed: bytes, found: object) -> None:
    """A form whose head was another ended the worker with a traceback."""
    funnel = CompiledFunnel(Funnel("f", "0" * 12, Unit.SESSION, (Stage("A", ("a",)),)))
    with pytest.raises(ConfigError, match=f"written in format {found}, this version reads {FORMAT}.*start anew"):
        Partition("log", 0, Unit.SESSION, [funnel], {"=u": packed})


def test_so_is_the_partition_s_own() -> None:
    funnel = CompiledFunnel(Funnel("f", "0" * 12, Unit.SESSION, (Stage("A", ("a",)),)))
    with pytest.raises(ConfigError, match="written in format 7"):
        Partition("log", 0, Unit.SESSION, [funnel], {"!": msgspec.msgpack.encode([7, "in another form"])})


def test_the_format_stands_first() -> None:
    packed = pack(UnitState(FORMAT, 5, 100, False, {}))
    assert msgspec.msgpack.decode(packed)[0] == FORMAT
