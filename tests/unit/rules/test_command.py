"""`funnelwatch rules`."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from streams.commands.rules import rules

SHOP = """
[[funnels]]
name = "shop"
unit = "session"
[[funnels.stages]]
name = "visit"
events = "visit"
[[funnels.stages]]
name = "buy"
events = "buy"
"""


def config(folder: Path, definitions: str = SHOP) -> str:
    (folder / "funnels.toml").write_text(definitions)
    file = folder / "funnelwatch.toml"
    file.write_text('[site]\nname = "shop.example"\n')
    return str(file)


def test_the_rules_go_to_standard_output_or_into_a_file(tmp_path: Path) -> None:
    shown = CliRunner().invoke(rules, ["--config", config(tmp_path)])
    assert shown.exit_code == 0
    assert 'funnel_site="shop.example"' in shown.output
    written = CliRunner().invoke(rules, ["--config", config(tmp_path), "-o", str(tmp_path / "rules.yml")])
    assert (written.exit_code, written.output) == (0, "")
    assert (tmp_path / "rules.yml").read_text() == shown.output


def test_options_reach_the_rules(tmp_path: Path) -> None:
    arguments = [
        "--dashboards",
        "https://grafana.example/",
        "--runbooks",
        "https://wiki.example/a",
        "--operators",
        "sre",
    ]
    shown = CliRunner().invoke(rules, ["--config", config(tmp_path), *arguments]).output
    assert "https://grafana.example/d/funnelwatch" in shown
    assert "https://wiki.example/a#funnelwatchdog" in shown
    assert 'team: "sre"' in shown


def test_the_time_scale_is_checked(tmp_path: Path) -> None:
    answer = CliRunner().invoke(rules, ["--config", config(tmp_path), "--time-scale", "0"])
    assert answer.exit_code == 2
    assert "--time-scale: 0 is out of range; write 1 to 3600" in answer.output


def test_wrong_definitions_are_one_line_each(tmp_path: Path) -> None:
    answer = CliRunner().invoke(rules, ["--config", config(tmp_path, '[[funnels]]\nname = "x"\n')])
    assert answer.exit_code == 2
    assert "Traceback" not in answer.output
    assert "unit" in answer.output


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    answer = CliRunner().invoke(rules, ["--config", config(tmp_path), "-o", str(tmp_path / "none" / "rules.yml")])
    assert answer.exit_code == 2
    assert "can't be written" in answer.output
