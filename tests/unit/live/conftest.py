"""Builders shared by the tests of the live page."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from schemas import metrics as m
from schemas.funnel import Funnel, Stage, Unit
from schemas.live import MINUTE, Account, Counts, Published
from tests.unit.prometheus.conftest import row  # noqa: F401 - the fixture: a row of this shop

#: 2026-06-01 12:00 UTC, the beginning of a minute and of a quarter of an hour.
NOON = 1_780_315_200_000
SHOP = Funnel(
    name="shop",
    version="v1",
    unit=Unit.SESSION,
    stages=(
        Stage("view", ("view",)),
        Stage("cart", ("cart",), indicator="Carts", target=0.5),
        Stage("coupon", ("coupon",), optional=True),
        Stage("buy", ("buy",), value="revenue"),
    ),
    dimensions=("channel", "device", "user_id"),
)

Amounts = Mapping[str, Mapping[str, int]]
Publish = Callable[..., Published]


def everything(amount: int) -> Amounts:
    return {"all": {"all": amount}}


@pytest.fixture(scope="session")
def shop() -> Funnel:
    """view, cart, coupon (optional), buy."""
    return SHOP


@pytest.fixture(scope="session")
def publish() -> Publish:
    """A worker's record: `entered` is stage → amount of all traffic; `accounts` more of the kind."""

    def build(
        minute: int = NOON, worker: str = "a", born: int = 1, at: int | None = None, version: str = "v1",
        ready: Mapping[str, int | None] | None = None, entered: Mapping[str, int] | None = None, accounts: tuple[Account, ...] = (), **more: object,
    ) -> Published:  # fmt: skip
        stages = tuple(
            Account(m.STAGE_ENTERED.name, (stage,), {"all": {"all": amount}})
            for stage, amount in (entered or {}).items()
        )
        counts = (Counts("shop", version, dict(ready or {}), stages + accounts),)
        return Published(worker, born, minute, minute + MINUTE - 1 if at is None else at, counts=counts, **more)  # type: ignore[arg-type]

    return build
