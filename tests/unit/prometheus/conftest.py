"""Builders shared by the tests of the counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import pytest
from prometheus_client.core import Metric as Family

from schemas.funnel import Funnel, Stage, Unit
from schemas.rows import Row

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

SHOP = Funnel(
    name="shop",
    version="v1",
    unit=Unit.SESSION,
    stages=(
        Stage("view", ("view",)),
        Stage("cart", ("cart",)),
        Stage("coupon", ("coupon",), optional=True),
        Stage("buy", ("buy",), value="revenue"),
    ),
    dimensions=("channel", "device"),
)

_BLANK = Row(
    funnel="shop", version="v1", attempt_id="a" * 32, kind="enter", item="", revision=0, is_deleted=0, unit_id="u",
    session_start=0, attempt=1, recovered=False, entry_time=0, event_time=0, event_id="", from_stage="", to_stage="",
    stage=0, reached=1, direction="", outcome="", duration=-1, entry_dims=("paid", "mobile"), dims=("paid", "mobile"),
    value=None, currency="", value_reporting=None, order_id="", consent=False,
)  # fmt: skip


@pytest.fixture(scope="session")
def shop() -> Funnel:
    """view, cart, coupon (optional), buy; by channel and device."""
    return SHOP


@pytest.fixture(scope="session")
def row() -> Callable[..., Row]:
    """A row of the shop; name the fields that matter."""

    def build(**fields: Any) -> Row:
        return msgspec.structs.replace(_BLANK, **fields)

    return build


@pytest.fixture(scope="session")
def read() -> Callable[[Iterable[Family]], Series]:
    """What one scrape reads, by sample name and labels; fails on a series that stands there twice."""

    def scrape(families: Iterable[Family]) -> Series:
        found: Series = {}
        for family in families:
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in found, f"twice: {key}"
                found[key] = sample.value
        return found

    return scrape
