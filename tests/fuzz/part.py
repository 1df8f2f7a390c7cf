"""One process of a fuzzing run: `python -m tests.fuzz.part stream|files|web SEED AMOUNT`; its last line is JSON."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import psutil  # type: ignore[import-untyped]

from streams.engine.usual import COMPILED
from tests.formats.shop import MONDAY
from tests.fuzz import web
from tests.fuzz.corpus import Subject, subjects
from tests.fuzz.files import Files
from tests.fuzz.mutate import mutated
from tests.fuzz.stream import CHUNK, World, culprit

#: Chunks until a source begins anew: the state of made-up units would grow for ever, as it should.
LIFE = 25
#: MB that a process may grow by once all is warm.
GROWTH = 150.0
MOST_BROKEN = 10


def stream(seed: int, amount: int, directory: Path, *, life: int = LIFE) -> dict[str, Any]:
    """So many records at least, each encoding in its turn, `life` chunks of each."""
    rng, refused, unforeseen, broken = Random(seed), Counter[str](), Counter[str](), list[str]()
    done, read, began, warm = 0, 0, time.monotonic(), 0.0
    own = psutil.Process()
    peak = 0.0
    chosen = subjects(directory)
    while done < amount and len(broken) < MOST_BROKEN:
        for subject in chosen:
            world = World(subject.name, subject.decode)
            for _ in range(life):
                values: list[bytes | None] = [mutated(rng, subject.seeds) for _ in range(CHUNK - 1)]
                values.append(None)
                try:
                    world.chunk(values, MONDAY + rng.randrange(86_400_000))
                except Exception:  # noqa: BLE001 - whatever it is, is what is looked for
                    broken.append(_report(subject, values, seed))
                    world = World(subject.name, subject.decode)
            refused.update(world.refused)
            unforeseen.update(world.unforeseen)
            done += world.records
            read += world.read
            peak = max(peak, own.memory_info().rss / 1e6)
        if not warm:
            warm = own.memory_info().rss / 1e6
        print(f"{done:,} records, {peak:.0f} MB, {len(broken)} broken", flush=True)
    if peak - (warm or peak) > GROWTH:
        broken.append(f"memory grew from {warm:.0f} to {peak:.0f} MB")
    return {
        "compiled": COMPILED, "records": done, "read": read, "dead_letters": refused.total(), "reasons": dict(refused.most_common()),
        "unforeseen": dict(unforeseen.most_common(20)), "rss_warm_mb": round(warm), "rss_peak_mb": round(peak),
        "seconds": round(time.monotonic() - began), "broken": broken,
    }  # fmt: skip


def _report(subject: Subject, values: list[bytes | None], seed: int) -> str:
    said = traceback.format_exc(limit=-4)
    alone = culprit(subject.name, subject.decode, values, MONDAY + 86_400_000, seed)
    shown = base64.b64encode(alone[:3_000]).decode() if alone else "(none alone)"
    return f"{subject.name}: {said}\nrecord, in base64: {shown}"


def files(seed: int, amount: int, directory: Path) -> dict[str, Any]:
    """So many files; each hundredth by the command itself."""
    rng, made, broken, peak = Random(seed), Files(directory), list[str](), 0.0
    for number in range(amount):
        try:
            if number % 100 == 0:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    made.command(rng)
            elif number % 10 == 0:
                made.environment(rng)
            else:
                made.one(rng)
        except Exception:  # noqa: BLE001
            last = max(directory.glob("*.toml"), key=lambda path: path.stat().st_mtime_ns)
            held = base64.b64encode(last.read_bytes()[:6_000]).decode()
            broken.append(f"{traceback.format_exc(limit=-4)}\n{last.name}, in base64: {held}")
            if len(broken) >= MOST_BROKEN:
                break
    peak = psutil.Process().memory_info().rss / 1e6
    return {"tried": dict(made.tried), "refused": dict(made.told), "rss_mb": round(peak), "broken": broken}


def ask(seed: int, amount: int) -> dict[str, Any]:
    """So many requests."""
    try:
        answers, broken = asyncio.run(web.ask(Random(seed), amount)), list[str]()
    except AssertionError as error:
        answers, broken = Counter(), [str(error)]
    return {"answers": {str(status): count for status, count in sorted(answers.items())}, "broken": broken}


def main() -> int:
    kind, seed, amount = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with TemporaryDirectory(prefix="funnelwatch-fuzz-") as folder:
        directory = Path(folder)
        found = (
            ask(seed, amount) if kind == "web" else {"stream": stream, "files": files}[kind](seed, amount, directory)
        )
    for each in found["broken"]:
        print(each, file=sys.stderr)
    print(json.dumps(found))
    return 1 if found["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
