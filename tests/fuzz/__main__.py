"""`python -m tests.fuzz [--records N] [--seed N]`: the long run. Its last line is one JSON object; exit code 1 if anything broke.

The work is done by processes of its own (compiled, and with FUNNELWATCH_PURE=1), so that one that dies is seen.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--records", type=int, default=1_050_000, help="mutated records, of all encodings and both engines together"
    )
    parser.add_argument(
        "--files", type=int, default=20_000, help="mutated settings, definitions, mappings and environments"
    )
    parser.add_argument("--requests", type=int, default=4_000, help="requests to the web server")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    found: dict[str, Any] = {"seed": given.seed}
    with ThreadPoolExecutor(2) as both:
        compiled = both.submit(part, "stream", given.seed, given.records * 2 // 3, "0")
        pure = both.submit(part, "stream", given.seed + 1, given.records // 3, "1")
        found["compiled"], found["pure"] = compiled.result(), pure.result()
    found["files"] = part("files", given.seed, given.files, "0")
    found["web"] = part("web", given.seed, given.requests, "0")
    parts = [each for each in found.values() if isinstance(each, dict)]
    found["records"] = sum(each.get("records", 0) for each in parts)
    found["broken"] = sum(len(each["broken"]) for each in parts)
    found["seconds"] = round(time.monotonic() - began)
    print(json.dumps(found))
    return 1 if found["broken"] else 0


def part(kind: str, seed: int, amount: int, pure: str) -> dict[str, Any]:
    """One process; what it says in its last line. A process that dies is broken, too."""
    command = [sys.executable, "-m", "tests.fuzz.part", kind, str(seed), str(amount)]
    environment = {**os.environ, "FUNNELWATCH_PURE": pure}
    last = ""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for last in process.stdout or ():
            if not last.startswith("{"):
                print(f"{kind}, FUNNELWATCH_PURE={pure}: {last}", end="", flush=True)
    if process.returncode not in (0, 1) or not last.startswith("{"):
        return {"broken": [f"{kind} (FUNNELWATCH_PURE={pure}) ended with {process.returncode}"]}
    answer: dict[str, Any] = json.loads(last)
    return answer


if __name__ == "__main__":
    sys.exit(main())
