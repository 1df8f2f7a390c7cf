"""Who is responsible, by the backtest: the same as Prometheus' own templates say of the same minutes (golden file)."""

from __future__ import annotations

import json

import numpy as np

from streams.backtest.drops import Steps
from streams.backtest.responsible import posteriors
from tests.alerts.shop import at_risk
from tests.alerts.test_texts import GOLDEN

MINUTES, BEGAN = 200, 120
WHOLE = ("all", "all")
#: By segment: conversions a minute that are usual, and as they are from BEGAN on (`test_texts._fall_of_instagram`).
SHOP = {
    WHOLE: (5.0, 3.2),
    ("channel", "instagram"): (2.0, 0.2),
    ("channel", "email"): (3.0, 3.0),
    ("device", "mobile"): (3.0, 2.1),
    ("device", "desktop"): (2.0, 1.1),
}


def named(rates: dict[tuple[str, str], tuple[float, float]]) -> tuple[tuple[str, str], float] | None:
    """Who is most likely responsible at minute 190, and the probability."""
    minutes = np.arange(MINUTES)
    steps = {
        segment: Steps(
            np.where(minutes < BEGAN, expected, fallen),
            np.where(minutes < BEGAN, expected, at_risk(expected, fallen)),
        )
        for segment, (expected, fallen) in rates.items()
    }
    parts = {segment: each for segment, each in steps.items() if segment != WHOLE}
    found = posteriors({WHOLE: steps[WHOLE]}, parts, {}, 190, {})
    return max(found.items(), key=lambda item: item[1], default=None)


def test_it_is_who_the_message_names() -> None:
    found = named(SHOP)
    assert found is not None
    (dimension, value), posterior = found
    told = json.loads((GOLDEN / "drop.annotations.json").read_text())["responsible"]
    assert told == f"{dimension} {value} (p = {min(posterior, 0.99):.2f})"


def test_a_fall_of_all_alike_is_nobodys_own() -> None:
    found = named({segment: (expected, 0.4 * expected) for segment, (expected, _) in SHOP.items()})
    assert found is not None
    assert found[0] == WHOLE
    assert found[1] > 0.99


def test_nobody_is_responsible_for_health() -> None:
    assert named({segment: (expected, expected) for segment, (expected, _) in SHOP.items()}) is None
