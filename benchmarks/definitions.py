"""The funnels that the benchmarks follow, as a user would write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from schemas.definitions import load_funnels
from schemas.funnel import Funnel


class Walk(msgspec.Struct, frozen=True):
    """One funnel of a workload: its name, and the events of its stages in their order (a stage has its event's name).

    `share`: of the sessions that walk it. `stay`: the chance to go on from one stage to the next.
    """

    name: str
    stages: tuple[str, ...]
    share: float
    stay: float


#: Short enough that attempts run out while the benchmark runs: drop-offs are part of the work.
WINDOW, LATENESS = 600_000, 60_000
SESSION_GAP = 120_000

DENSE = (Walk("purchase", ("product_view", "add_to_cart", "checkout", "payment", "purchase"), 1.0, 0.85),)
REALISTIC = (
    Walk("purchase", ("product_view", "add_to_cart", "checkout", "purchase"), 0.8, 0.6),
    Walk("newsletter", ("signup_view", "signup_submit", "signup_confirm"), 0.3, 0.5),
    Walk("lead", ("pricing_view", "form_start", "form_submit"), 0.3, 0.5),
)
DIMENSIONS = ("channel", "device", "country", "customer_type")


def definitions(walks: Sequence[Walk], dimensions: Sequence[str]) -> str:
    """The text of `funnels.toml`. The gap counts only for events without session ids."""
    return "\n".join(_definition(walk, dimensions) for walk in walks)


def load(walks: Sequence[Walk], dimensions: Sequence[str], directory: Path) -> tuple[Funnel, ...]:
    """The funnels as the worker reads them; writes `funnels.toml` into `directory`."""
    path = directory / "funnels.toml"
    path.write_text(definitions(walks, dimensions))
    return load_funnels(path)


def _definition(walk: Walk, dimensions: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in dimensions)
    lines = [
        "[[funnels]]", f'name = "{walk.name}"', 'unit = "session"', 'mode = "ordered"', f'window = "{WINDOW // 1000}s"',
        f'lateness = "{LATENESS // 1000}s"', f'session_gap = "{SESSION_GAP // 1000}s"', f"dimensions = [{listed}]",
    ]  # fmt: skip
    for stage in walk.stages:
        value = 'value = "revenue"\n' if stage == "purchase" else ""
        lines.append(f'\n[[funnels.stages]]\nname = "{stage}"\nevents = ["{stage}"]\n{value}')
    return "\n".join(lines)
