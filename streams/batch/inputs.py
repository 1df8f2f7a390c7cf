"""Files, and standard input, as records with their decoder."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from schemas.decode import (
    FileProgress,
    Format,
    Mapping,
    decoder,
    detect_format,
    file_progress,
    load_mapping,
    mapping_for,
    read_records,
)
from schemas.errors import ConfigError, FunnelwatchError
from schemas.settings import Settings
from streams.batch.intake import BatchInput
from streams.decoding import event_protection, options, protected

#: Names of formats on the command line. `jsonl` is any JSON line that needs no mapping; a mapping file says its own.
FORMATS = ("jsonl", *(kind.value for kind in Format if kind not in (Format.MAPPING, Format.CONFLUENT)))
STDIN = Path("-")


def open_inputs(
    files: Sequence[Path], format_name: str | None, mapping: Path | None, settings: Settings, now: int, stack: ExitStack
) -> tuple[list[BatchInput], list[FileProgress]]:
    """How to read each of `files`, and how far each is read. `now`: ms, later events are refused (`events.max_ahead`).

    What can be read only once (`-`, a pipe) is first copied to a temporary folder, which `stack` removes. Raises
    ConfigError for a file, a format or a mapping that can't be used.
    """
    rules = load_mapping(mapping) if mapping is not None else None
    inputs, progress = [], []
    for path in files:
        readable = _copied(path, stack) if path == STDIN or path.is_fifo() else path
        done = file_progress(readable)
        if readable.is_dir():
            raise ConfigError(str(path), "is a folder", "name the files in it")
        inputs.append(
            _input(readable, "stdin" if path == STDIN else str(path), format_name, rules, settings, now, done)
        )
        progress.append(done)
    return inputs, progress


def _input(
    path: Path, name: str, format_name: str | None, rules: Mapping | None, settings: Settings, now: int,
    progress: FileProgress,
) -> BatchInput:  # fmt: skip
    kind = _format(path, format_name, rules)
    rules = mapping_for(path, kind, rules)
    decode = protected(decoder(options(settings, kind, rules)), event_protection(settings))
    return BatchInput(name, read_records(path, kind, rules, progress), lambda data: decode(data, now))


def _format(path: Path, name: str | None, rules: Mapping | None) -> Format:
    """The format of a file: as it is named, else as the mapping says, else recognised."""
    if rules is not None and name in (None, "jsonl"):
        return Format.MAPPING
    if name is None:
        found = detect_format(path)
        if found is Format.MAPPING:
            raise ConfigError(str(path), "its JSON has no `event` and `timestamp`", "say where they are with --mapping")
        return found
    return Format.AUTO if name == "jsonl" else Format(name)


def _copied(path: Path, stack: ExitStack) -> Path:
    """A copy that can be read twice: once to recognise the format, once for the events."""
    try:
        folder = stack.enter_context(TemporaryDirectory(prefix="funnelwatch-stdin-"))
        copy = Path(folder) / "stdin"
        source: BinaryIO = sys.stdin.buffer if path == STDIN else stack.enter_context(path.open("rb"))
        with copy.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    except OSError as error:
        raise FunnelwatchError(
            f"{path}: can't be copied to the temporary folder: {error.strerror or error}; "
            "free some space, or name another folder by TMPDIR"
        ) from error
    return copy
