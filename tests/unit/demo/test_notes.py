"""What the lines under the live funnel say."""

import pytest

from schemas.funnel import Funnel, Mode, Stage, Unit
from streams.demo.metrics import read_lag
from streams.demo.notes import by_device, change_text, fallen, fault_line
from streams.demo.recent import Change, Recent, Share, merged, previous_required
from streams.traffic import Fault

FAULT = Fault(start_ms=1_767_618_000_000, end_ms=2**62, stage="purchase", share_lost=0.8, where=(("device", "mobile"),))


def change(device: str, channel: str, now: tuple[int, int], before: tuple[int, int]) -> Change:
    return Change((device, channel), Share(*now), Share(*before))


CHANGES = (
    change("mobile", "Direct", (50, 100), (400, 800)),
    change("mobile", "Paid", (4, 40), (200, 400)),
    change("desktop", "Paid", (1, 10), (200, 250)),
)


def test_the_segment_that_lost_most_is_named_if_there_are_enough_of_it() -> None:
    worst = fallen(Recent((None,), CHANGES))
    assert worst is CHANGES[1]
    assert change_text(worst) == "mobile × Paid 10.0% of 40 (before 50.0%)"
    assert fallen(Recent((None,), (CHANGES[0], CHANGES[2]))) is None
    assert fallen(Recent((None,), ())) is None
    assert fallen(None) is None


def test_a_segment_that_lost_everything_is_the_worst() -> None:
    nothing = change("tablet", "Paid", (0, 30), (20, 40))
    assert fallen(Recent((None,), (*CHANGES, nothing))) is nothing


def test_devices_are_summed_over_channels() -> None:
    assert [(c.segment, c.now.reached, c.now.of, c.before.reached, c.before.of) for c in merged(CHANGES, 0)] == [
        (("mobile",), 54, 140, 600, 1200),
        (("desktop",), 1, 10, 200, 250),
    ]


def funnel() -> Funnel:
    names = (("visit", False), ("checkout", False), ("pay", True), ("purchase", False))
    stages = tuple(Stage(name=name, events=(name,), optional=optional) for name, optional in names)
    return Funnel(name="f", version="v", stages=stages, unit=Unit.SESSION, mode=Mode.ORDERED)


def test_the_last_step_by_device_skips_optional_stages_and_hides_small_numbers() -> None:
    assert [previous_required(funnel(), level) for level in (1, 2, 3)] == [0, 1, 1]
    assert list(by_device(Recent((None,), CHANGES), funnel())) == [
        "checkout → purchase, last half hour (before):",
        "  mobile 38.6% (50.0%)   desktop – (80.0%)",
    ]


def test_the_fault_is_announced_and_then_told() -> None:
    assert fault_line(FAULT, None) == "simulated fault: not yet (from 13:00 UTC on)"
    assert fault_line(FAULT, FAULT.start_ms - 1) == "simulated fault: not yet (from 13:00 UTC on)"
    assert fault_line(FAULT, FAULT.start_ms) == "simulated fault: since 13:00 UTC mobile loses 80% at purchase"


PAGE = """\
# HELP funnel_consumer_lag_records Records appended and not yet applied.
# TYPE funnel_consumer_lag_records gauge
funnel_consumer_lag_records{funnel_site="s",topic="clickstream",partition="0"} 40.0
funnel_consumer_lag_records{funnel_site="s",topic="clickstream",partition="1"} 2.0
funnel_consumer_lag_records{funnel_site="s",topic="other",partition="0"} 7.0
funnel_state_units{funnel_site="s"} 12.0
"""


@pytest.mark.parametrize(("topic", "lag"), [("clickstream", 42), ("other", 7), ("third", None)])
def test_the_lag_is_that_of_the_topic_over_all_partitions(topic: str, lag: int | None) -> None:
    assert read_lag(PAGE, topic) == lag
