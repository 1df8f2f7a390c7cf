"""funnels.toml: what a good one becomes."""

import tomllib
from pathlib import Path

import pytest

from schemas.definitions import load_funnels, parse_funnels, preset_names, preset_text, render_funnel
from schemas.funnel import Condition, Funnel, Mode, Stage, Unit

ROOT = Path(__file__).parents[3]

FULL = """
[[funnels]]
name = "purchase"
unit = "session"
mode = "strict"
window = "1h30m"
lateness = "5m"
session_gap = "20m"
dimensions = ["channel", "properties.plan", "variant.button"]
refunds = ["refund*"]
owner = "ann"
team = "shop"

[[funnels.stages]]
name = "view"
events = "view_*"
where = { device = "mobile", revenue = { ge = 100, lt = 200.5 }, url = ["*/a*", "*/b*"], consent = true }

[[funnels.stages]]
name = "cart"
events = ["add_to_cart"]
where = { "properties.plan" = ["pro", 3], properties.a.b = { exists = false }, channel = { not_in = "email" } }
optional = true
within = "10m"
exclude = ["logout"]

[[funnels.stages]]
name = "buy"
events = ["purchase"]
value = "revenue"
indicator = "Purchase rate"
target = 1
floor = 0.25
floor_minimum = 50
owner = "bob"
alert = false
"""


def parsed(text: str) -> tuple[Funnel, ...]:
    return parse_funnels(tomllib.loads(text), "f.toml")


def test_every_key_arrives_in_the_units_of_the_engine() -> None:
    (funnel,) = parsed(FULL)
    assert funnel == Funnel(
        name="purchase",
        version=funnel.version,
        unit=Unit.SESSION,
        mode=Mode.STRICT,
        window=5_400_000,
        lateness=300_000,
        session_gap=1_200_000,
        dimensions=("channel", "properties.plan", "variant.button"),
        refunds=("refund*",),
        owner="ann",
        team="shop",
        stages=(
            Stage(
                name="view",
                events=("view_*",),
                where=(
                    Condition("device", "in", ("mobile",)),
                    Condition("revenue", "ge", (100,)),
                    Condition("revenue", "lt", (200.5,)),
                    Condition("url", "in", ("*/a*", "*/b*")),
                    Condition("consent", "in", (True,)),
                ),
            ),
            Stage(
                name="cart",
                events=("add_to_cart",),
                where=(
                    Condition("properties.plan", "in", ("pro", 3)),
                    Condition("properties.a.b", "exists", (False,)),
                    Condition("channel", "not_in", ("email",)),
                ),
                optional=True,
                within=600_000,
                exclude=("logout",),
            ),
            Stage(
                name="buy",
                events=("purchase",),
                value="revenue",
                indicator="Purchase rate",
                target=1.0,
                floor=0.25,
                floor_minimum=50,
                owner="bob",
                alert=False,
            ),
        ),
    )


def test_an_amount_alone_means_equal() -> None:
    text = '[[funnels]]\nname = "g"\nunit = "visitor"\nstages = [{ name = "s", events = "e", where = { revenue = 5 } }]'
    assert parsed(text)[0].stages[0].where == (Condition("revenue", "eq", (5,)),)


def test_defaults_of_a_goal() -> None:
    (funnel,) = parsed('[[funnels]]\nname = "goal"\nunit = "account"\n[[funnels.stages]]\nname = "s"\nevents = ["e"]')
    stage = Stage(name="s", events=("e",))
    assert funnel == Funnel(name="goal", version=funnel.version, unit=Unit.ACCOUNT, stages=(stage,))
    assert (funnel.window, funnel.lateness, funnel.session_gap) == (86_400_000, 600_000, 1_800_000)


def test_presets_are_the_families_that_marketers_know() -> None:
    levels = {name: parse_funnels({"funnels": [{"preset": name}]}, "f")[0].levels for name in preset_names()}
    assert levels == {
        "advocacy": ("awareness", "evaluation", "acquisition", "engagement", "advocacy"),
        "aida": ("attention", "interest", "desire", "action"),
        "ecommerce": (
            "view_item",
            "add_to_cart",
            "begin_checkout",
            "add_shipping_info",
            "add_payment_info",
            "purchase",
        ),
        "lead-generation": ("visit", "form_start", "lead", "qualified_lead"),
        "newsletter": ("form_view", "sign_up", "confirmation"),
        "pirate-metrics": ("acquisition", "activation", "retention", "revenue", "referral"),
        "purchase-journey": ("awareness", "interest", "consideration", "intent", "evaluation", "purchase"),
        "sales": ("contact", "prospect", "opportunity", "qualification", "closing"),
    }


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_has_indicators_and_is_a_funnels_toml_of_its_own(name: str) -> None:
    (funnel,) = parsed(preset_text(name))
    assert (funnel,) == parse_funnels({"funnels": [{"preset": name}]}, "f")
    assert funnel.name == name
    assert all(stage.indicator for stage in funnel.stages)


def test_a_preset_is_changed_key_by_key_and_stage_by_stage() -> None:
    own = """
    [[funnels]]
    preset = "ecommerce"
    name = "shop"
    window = "2h"
    [[funnels.stages]]
    name = "purchase"
    events = ["order_completed"]
    target = 0.5
    """
    (funnel,) = parsed(own)
    (preset,) = parse_funnels({"funnels": [{"preset": "ecommerce"}]}, "f")
    assert (funnel.name, funnel.window, funnel.unit) == ("shop", 7_200_000, Unit.SESSION)
    assert funnel.stages[:-1] == preset.stages[:-1]
    last, before = funnel.stages[-1], preset.stages[-1]
    assert (last.events, last.target, last.value) == (("order_completed",), 0.5, "revenue")
    assert last.indicator == before.indicator
    assert parse_funnels({"funnels": [{"preset": "ecommerce"}]}, "f") == (preset,)  # the preset itself is untouched


def test_the_rendered_text_says_the_same() -> None:
    (funnel,) = parsed(FULL)
    assert parsed(render_funnel(funnel)) == (funnel,)
    for name in preset_names():
        (preset,) = parsed(preset_text(name))
        assert parsed(render_funnel(preset)) == (preset,)


@pytest.mark.parametrize(
    "example, names",
    [
        ("shop", ["purchase"]),
        ("weblog", ["reading on", "download"]),
        ("otto", ["orders"]),
        ("demo", ["purchase", "newsletter", "lead-form"]),
    ],
)
def test_the_examples_are_good(example: str, names: list[str]) -> None:
    assert [funnel.name for funnel in load_funnels(ROOT / "examples" / example / "funnels.toml")] == names


def test_the_manual_names_every_key_and_preset() -> None:
    from schemas.definitions import FUNNEL_KEYS, STAGE_KEYS

    manual = (ROOT / "docs" / "funnels.md").read_text(encoding="utf-8")
    missing = [name for name in (*FUNNEL_KEYS, *STAGE_KEYS, *preset_names()) if f"`{name}`" not in manual]
    assert missing == []


def test_the_manuals_examples_are_good() -> None:
    manual = (ROOT / "docs" / "funnels.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in manual.split("```toml\n")[1:]]
    assert [parsed(block)[0].name for block in blocks] == ["purchase", "checkout"]
