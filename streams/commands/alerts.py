"""`funnelwatch alerts`: whether alerts reach people."""

from __future__ import annotations

import click

from streams.commands.alerts_backtest import alerts_backtest
from streams.commands.alerts_test import alerts_test


@click.group("alerts")
def alerts() -> None:
    """Whether alerts reach people, and what they would have said."""


alerts.add_command(alerts_backtest)
alerts.add_command(alerts_test)
