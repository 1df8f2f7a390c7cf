"""Runs one server process and ends it when the process that asked for it is gone.

Started by `sinks.embedded.process` as a plain script (standard library only): `guard.py log|pipe COMMAND…`. Its standard
input is a pipe whose other end only the asking process holds; end of file means that this process died or let go. Its
first line on standard output is the server's pid. `log`: the server's output goes to standard error (the log file).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

GRACE_SECONDS = 15.0
PR_SET_PDEATHSIG = 1


def _linux_death_signal() -> Callable[[], None] | None:
    """For the case that the guard itself is killed: the kernel then kills the server too."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_owner(child: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    child.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
        return
    child.kill()


def main(argv: list[str]) -> int:
    output, command = argv[0], argv[1:]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if output == "log" else None,
        preexec_fn=_linux_death_signal(),  # noqa: PLW1509  (safe: no thread runs yet in this process)
    )
    print(child.pid, flush=True)
    threading.Thread(target=_end_with_owner, args=(child,), daemon=True).start()
    status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # no interpreter shutdown: the watching thread sits in a blocking read
