"""Made-up histories of a funnel: final rows, and the writes (replacements, retractions, repeats) that lead to them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from schemas.funnel import Funnel, Stage, Unit
from schemas.rows import End, Kind, Row

FUNNEL = Funnel(
    name="checkout",
    version="a1b2c3d4e5f6",
    unit=Unit.SESSION,
    stages=(
        Stage("view", ("view",)),
        Stage("size", ("size",), optional=True),
        Stage("cart", ("cart",), value="revenue"),
        Stage("order", ("order",), value="revenue"),
    ),
    window=3_600_000,
    dimensions=("channel", "device"),
)
NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z: half a day before the month ends
DROPS = [end.value for end in End if end is not End.CONVERTED]


def final_rows(seed: int, attempts: int) -> list[Row]:
    """The rows of `attempts` attempts of fewer units over two days and two months."""
    chance = random.Random(seed)
    return [row for number in range(attempts) for row in _attempt(chance, number, attempts)]


def writes(rows: Sequence[Row], seed: int) -> list[list[Row]]:
    """Batches that leave exactly `rows`: with older revisions, rows that are taken back, repeats, in any order."""
    chance = random.Random(seed)
    sent = list(rows)
    for row in rows:
        if chance.random() < 0.4:
            sent.append(_older(chance, row))
        if chance.random() < 0.3:
            sent.extend(_retracted(chance, row))
        if chance.random() < 0.3:
            sent.append(row)
    chance.shuffle(sent)
    batches = []
    while sent:
        size = chance.randint(1, 120)
        batches.append(sent[:size])
        sent = sent[size:]
    return [batch for batch in batches for _ in range(chance.choice((1, 1, 2)))]


def _attempt(chance: random.Random, number: int, attempts: int) -> list[Row]:
    entry = NOON + chance.randrange(86_400_000)
    levels = [0] + [level for level in (1, 2, 3) if chance.random() < 0.5]
    gap_start = chance.choice((0, 0, entry))
    row = Row(
        FUNNEL.name, FUNNEL.version, f"{number:032x}", Kind.ENTER.value, "view", 100 + chance.randrange(10**12), 0,
        f"unit {chance.randrange(attempts)}", gap_start, 1, chance.random() < 0.2, entry, entry, f"event {number}",
        "", "view", 0, 1, "forward", "", -1,
        (chance.choice(("paid", "mail", "(none)", "o'hara\\\t")), chance.choice(("mobile", "desktop"))), ("x", "y"),
        None, "", None, "", False,
    )  # fmt: skip
    rows, reached, time = [], 0, entry
    for level in levels:
        reached |= 1 << level
        step = chance.choice((0, 1, 999, 60_000, 1_234_567)) if level else -1
        time += max(step, 0)
        rows.append(
            msgspec.structs.replace(
                row, item=FUNNEL.levels[level], to_stage=FUNNEL.levels[level], stage=level, event_time=time,
                reached=reached, duration=step, **_money(chance, level),
            )
        )  # fmt: skip
    if chance.random() < 0.8:
        outcome = End.CONVERTED.value if levels[-1] == 3 else chance.choice(DROPS)
        rows.append(
            msgspec.structs.replace(
                row, kind=Kind.END.value, item="", stage=levels[-1], to_stage=FUNNEL.levels[levels[-1]], outcome=outcome,
                reached=reached, duration=time - entry, event_time=time,
            )
        )  # fmt: skip
    return rows + _strays(chance, row, number)


def _money(chance: random.Random, level: int) -> dict[str, object]:
    if level < 2 or chance.random() < 0.2:
        return {}
    amount = chance.choice((0, 1, 999_999_999, 12_500_000_000, 10**20 + 1))
    order = chance.choice(("", f"order {chance.randrange(12)}"))
    return {"value": amount, "currency": chance.choice(("EUR", "JPY")), "value_reporting": amount, "order_id": order}


def _strays(chance: random.Random, row: Row, number: int) -> list[Row]:
    """Rows of no attempt: a refund, a move from nowhere."""
    stray = msgspec.structs.replace(row, attempt_id=f"{number:031x}s", attempt=0, recovered=False, reached=0)
    rows = []
    if chance.random() < 0.2:
        rows.append(
            msgspec.structs.replace(
                stray,
                kind=Kind.REFUND.value,
                item=f"refund {number}",
                value=-2_500_000_000,
                currency="EUR",
                order_id="order 1",
            )
        )
    if chance.random() < 0.2:
        rows.append(msgspec.structs.replace(stray, kind=Kind.MOVE.value, item=f"move {number}", stage=2))
    return rows


def _older(chance: random.Random, row: Row) -> Row:
    """What an earlier revision said about the same key."""
    return msgspec.structs.replace(
        row,
        revision=row.revision - chance.randint(1, 99),
        is_deleted=chance.randint(0, 1),
        outcome=chance.choice(DROPS) if row.kind == Kind.END else "",
        stage=row.stage if row.kind == Kind.ENTER else 0,
        duration=row.duration + 5,
        recovered=not row.recovered,
        unit_id="somebody else",
        value=7,
        currency="USD",
        entry_dims=("wrong", "wrong"),
    )


def _retracted(chance: random.Random, row: Row) -> list[Row]:
    """An attempt that was and is no more: a row, and its deletion at a higher revision."""
    ghost = msgspec.structs.replace(row, attempt_id="ghost" + row.attempt_id[5:], value=9, currency="CHF", order_id="")
    return [ghost, msgspec.structs.replace(ghost, revision=ghost.revision + 1, is_deleted=1)]
