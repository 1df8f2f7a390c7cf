"""Commands of the documentation that are not run as they stand, why, and where what they do is tried instead."""

from __future__ import annotations

import msgspec


class Elsewhere(msgspec.Struct, frozen=True):
    """`pattern` is searched in the command; `test`: a file, from the root, that tries it or what stands for it."""

    pattern: str
    reason: str
    test: str


ELSEWHERE = (
    Elsewhere(r"^make demo|^funnelwatch demo", "runs until Ctrl-C", "tests/e2e/test_demo.py"),
    Elsewhere(r"^make (setup|check|test|lint|types|format)\b", "what runs the tests can't be one of them", ".ci/run"),
    Elsewhere(r"\bdocker compose\b", "needs a container engine", "tests/deploy/test_mounted.py"),
    Elsewhere(r"^docker build", "needs a container engine", "tests/deploy/test_dockerfile.py"),
    Elsewhere(r"^kubectl ", "needs a cluster", "tests/deploy/test_kubernetes.py"),
    Elsewhere(r"\$GRAFANA/api/annotations", "needs a Grafana", "tests/unit/grafana/test_boards.py"),
    Elsewhere(r"/live\?", "needs a running worker, and never ends", "tests/live/test_page.py"),
    Elsewhere(r"^funnelwatch alerts test", "needs an Alertmanager", "tests/alerts/test_test_page.py"),
    Elsewhere(r"^funnelwatch alerts backtest", "needs a history", "tests/alerts/test_backtest_shop.py"),
    Elsewhere(r"^funnelwatch seed", "needs weeks of history", "tests/e2e/test_expectation.py"),
    Elsewhere(r"^funnelwatch leave", "needs a member of a group that has gone", "tests/stream/test_leave.py"),
)
