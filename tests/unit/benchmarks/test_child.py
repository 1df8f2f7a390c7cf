"""A measured process is charged with all that it and its children use, and a failure is one line."""

import sys
from pathlib import Path

import pytest

from benchmarks.child import Child
from schemas.errors import SinkError

BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


def test_the_cpu_of_threads_and_children_counts(tmp_path: Path) -> None:
    script = (
        "import subprocess, sys, threading\n"
        f"subprocess.run([sys.executable, '-c', {BURN.format(seconds=0.2)!r}], check=True)\n"
        f"thread = threading.Thread(target=exec, args=({BURN.format(seconds=0.4)!r},))\n"
        "thread.start(); thread.join()\n"
    )
    with Child([sys.executable, "-c", script], tmp_path / "log") as child:
        used = child.ended()
    assert used.cpu > 0.55
    assert used.peak_rss > 1_000_000


def test_a_running_childs_children_count_at_once(tmp_path: Path) -> None:
    inner = BURN.format(seconds=0.3) + "print('burnt', flush=True)\ntime.sleep(60)"
    outer = (
        f"import subprocess, sys\nchild = subprocess.Popen([sys.executable, '-c', {inner!r}])\n"
        "try:\n    child.wait()\nfinally:\n    child.kill()\n"
    )
    stop = "import signal\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit())\n"
    with Child([sys.executable, "-c", "import sys\n" + stop + outer], tmp_path / "log") as child:
        child.wait(lambda: child.said("burnt"), 0.02)
        assert child.usage().cpu > 0.25


def test_a_child_that_fails_says_why_in_one_line(tmp_path: Path) -> None:
    with (
        Child([sys.executable, "-c", "print('one'); print('two'); raise SystemExit(3)"], tmp_path / "log") as child,
        pytest.raises(SinkError, match=r"ended with code 3: one \| two"),
    ):
        child.ended()
