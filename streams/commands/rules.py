"""`funnelwatch rules`: Prometheus' recording and alerting rules for the funnels of the definitions."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from schemas.definitions import load_funnels
from schemas.errors import ConfigError
from schemas.rules import Links, Scale, render, rule_file
from schemas.settings import Settings
from sinks.prometheus.labels import clean
from streams.commands.configuration import read_settings, settings_options, user_errors

_DEFAULT = Links()
_RESOURCE = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: funnelwatch
  labels:
    app.kubernetes.io/name: funnelwatch
spec:
"""


@click.command("rules")
@settings_options
@click.option("--time-scale", default=1, metavar="N", help="Divide every duration by N, for live tests.")
@click.option("--kubernetes", is_flag=True, help="As a PrometheusRule, for the Prometheus operator.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write (default: standard output).")
@click.option("--dashboards", default=_DEFAULT.dashboards, metavar="URL", help="Grafana's address, for links.")
@click.option("--runbooks", default=_DEFAULT.runbooks, metavar="URL", help="Address of docs/alerts.md, for links.")
@click.option("--operators", default=_DEFAULT.operators, metavar="TEAM", help="The label `team` of pipeline alerts.")
def rules(
    config: Path | None, pairs: tuple[str, ...], time_scale: int, kubernetes: bool, output: Path | None, dashboards: str,
    runbooks: str, operators: str,
) -> None:  # fmt: skip
    """Write Prometheus' rules for the funnels: what is recorded, and what alerts.

    Reads the settings and definitions only. Write again after each change of them, and reload Prometheus.
    """
    with user_errors():
        links = Links(dashboards.rstrip("/"), runbooks, operators)
        text = rules_text(read_settings(config, pairs), links, Scale(time_scale))
        text = prometheus_rule(text) if kubernetes else text
        if output is None:
            click.echo(text, nl=False)
            return
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(str(output), f"can't be written ({error.strerror})", "choose another -o") from None


def rules_text(settings: Settings, links: Links, scale: Scale) -> str:
    """The rule file for the definitions that `settings` name. Raises ConfigError."""
    site = msgspec.structs.replace(settings.site, name=clean(settings.site.name))
    funnels = load_funnels(settings.funnels)
    settings.calendar.check(funnels)
    return render(rule_file(funnels, site, links, scale, settings.calendar))


def prometheus_rule(rules: str) -> str:
    """A rule file as the Prometheus operator's resource, which has the same groups under `spec`."""
    heading, groups, body = rules.partition("groups:\n")
    spec = "".join(f"  {line}" if line.strip() else line for line in (groups + body).splitlines(keepends=True))
    return f"{heading}{_RESOURCE}{spec}"
