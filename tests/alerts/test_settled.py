"""Whatever the moments at which Prometheus scrapes a worker and evaluates the rules: each count is in one step."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.metrics import ALL, STAGE_CONVERSIONS
from schemas.rules import Links, Scale, render, rule_file
from schemas.rules import names as n
from schemas.rules.model import SECOND
from schemas.rules.promql import select
from schemas.rules.windows import SETTLED, STEP
from tests.alerts.alertmanager import free_port
from tests.alerts.exporter import Exporter, Speeds
from tests.alerts.promtool import only
from tests.alerts.receivers import until
from tests.alerts.servers import need_prometheus, prometheus
from tests.alerts.shipped import FUNNELS, SETTINGS

FACTOR = 12
#: Scraped at as many moments, and under way for a quarter of the time: whenever the rules look, some are. An answer takes half of the time
#: that the rules leave it.
WORKERS, BUSY = 32, SETTLED / SECOND / FACTOR / 2
STEPS = 3


@pytest.mark.slow
def test_what_is_scraped_while_the_rules_look_is_counted(tmp_path: Path) -> None:
    need_prometheus()
    speeds = {(ALL, ALL): 20.0}
    rules = only(("steps",), render(rule_file(FUNNELS, SETTINGS.site, Links(), Scale(FACTOR))))
    with ExitStack() as stack:
        worker = stack.enter_context(Exporter(Speeds(speeds, speeds), BUSY))
        server = stack.enter_context(prometheus(rules, FACTOR, worker.port, free_port(), tmp_path, WORKERS))
        step, counter = select(n.OBSERVED_STEP, dimension=ALL), f"sum({select(STAGE_CONVERSIONS, dimension=ALL)})"
        until(lambda: len(server.samples(step)) > STEPS, "the steps", 20 * STEP / SECOND / FACTOR)
        found = server.samples(step)
        # Those of the first moments are left out: a worker that was not seen before has no difference yet.
        (began, _), *steps = found[-STEPS:]
        assert all(abs(later - earlier - STEP / SECOND / FACTOR) < 0.1 for (earlier, _), (later, _) in pairwise(found))
        settled = SETTLED / SECOND / FACTOR
        counted = [server.number(counter, at - settled) for at in (began, steps[-1][0])]
        assert counted[0] is not None
        assert counted[1] is not None
        grown = counted[1] - counted[0]
        assert grown > 0.9 * WORKERS * 20.0 * (steps[-1][0] - began)
        assert sum(value for _, value in steps) == pytest.approx(grown, rel=0.05)
