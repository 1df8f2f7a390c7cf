"""Which steps there are, and when what was learned of one still holds."""

from schemas.definitions.funnels import parse_funnels
from schemas.expectation.steps import Step, steps
from schemas.funnel import Funnel


def funnel(*stages: dict[str, object], **more: object) -> Funnel:
    table = {"name": "shop", "unit": "session", **more, "stages": list(stages)}
    return parse_funnels({"funnels": [table]}, "test")[0]


def stage(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "events": [name], **more}


def prints(of: Funnel) -> dict[int, str]:
    return {step.level: step.fingerprint for step in steps(of, 60_000)}


def test_steps_lead_to_the_next_required_stage() -> None:
    found = list(steps(funnel(stage("view"), stage("gift", optional=True), stage("buy"), window="2h"), 60_000))
    assert [(step.level, step.following, step.delay) for step in found] == [(0, 2, 7_200_000), (1, 2, 7_200_000)]
    assert all(isinstance(step, Step) and len(step.fingerprint) == 16 for step in found)


def test_long_windows_are_followed_for_a_week() -> None:
    assert next(steps(funnel(stage("a"), stage("b"), window="30d"), 60_000)).delay == 7 * 86_400_000


def test_a_goal_has_no_steps() -> None:
    assert list(steps(funnel(stage("lead")), 60_000)) == []


def test_editing_one_stage_leaves_the_other_steps() -> None:
    before = prints(funnel(stage("view"), stage("cart"), stage("checkout"), stage("buy")))
    after = prints(funnel(stage("view"), stage("cart"), stage("checkout"), stage("buy", where={"revenue": {"gt": 1}})))
    assert [before[level] == after[level] for level in range(3)] == [True, True, False]


def test_names_money_and_alerts_change_no_rate() -> None:
    plain = prints(funnel(stage("view"), stage("buy")))
    assert plain == prints(
        funnel(stage("view"), {"name": "order", "events": ["buy"], "value": "revenue", "floor": 0.1})
    )


def test_what_changes_counting_changes_the_step() -> None:
    plain = prints(funnel(stage("view"), stage("buy")))[0]
    others = [
        prints(funnel(stage("view"), stage("buy"), window="1h"))[0],
        prints(funnel(stage("view"), stage("buy"), mode="strict"))[0],
        prints(funnel(stage("view"), stage("buy"), unit="visitor"))[0],
        prints(funnel(stage("view"), stage("buy", within="5m")))[0],
        prints(funnel(stage("view", events=["view", "list"]), stage("buy")))[0],
        prints(funnel(stage("view"), stage("gift", optional=True), stage("buy")))[0],
        next(steps(funnel(stage("view"), stage("buy")), 1_000)).fingerprint,
    ]
    assert len({plain, *others}) == len(others) + 1
