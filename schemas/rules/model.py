"""What a rule file is made of, and the one place where a duration becomes text."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from schemas.durations import format_duration
from schemas.errors import ConfigError

SECOND, MINUTE, HOUR, DAY, WEEK = 1_000, 60_000, 3_600_000, 86_400_000, 604_800_000
#: Below a millisecond Prometheus has no durations; a thousandth of the evaluation interval must still be one.
LARGEST_SCALE = 3_600


class Scale(msgspec.Struct, frozen=True):
    """Divides every duration of the rules by `factor`: live tests can't wait for days. 1 = as it ships."""

    factor: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.factor <= LARGEST_SCALE:
            raise ConfigError("--time-scale", f"{self.factor} is out of range", f"write 1 to {LARGEST_SCALE}")

    def milliseconds(self, milliseconds: int) -> int:
        """A duration in whole ms, as the rules have it."""
        return max(1, round(milliseconds / self.factor))

    def duration(self, milliseconds: int) -> str:
        """The same as PromQL and rule files write it: `1h30m`."""
        return format_duration(self.milliseconds(milliseconds))

    def seconds(self, milliseconds: int) -> str:
        """The same as a number of seconds, for what is compared with `time()`."""
        return f"{self.milliseconds(milliseconds) / SECOND:g}"


class Links(msgspec.Struct, frozen=True):
    """Where alerts lead: base addresses without a trailing slash, and who looks after the pipeline itself."""

    dashboards: str = "http://localhost:3000"
    runbooks: str = "docs/alerts.md"
    operators: str = "operations"


class Record(msgspec.Struct, frozen=True):
    """A recording rule. `labels` are added to every sample; Prometheus takes them as they are, without templates."""

    name: str
    expression: str
    labels: Mapping[str, str] = {}


class Alert(msgspec.Struct, frozen=True):
    """An alerting rule. `wait`, `keep`: texts of durations (`for`, `keep_firing_for`), empty = at once.

    `labels` and `annotations` are templates of Prometheus: a text from outside goes through `texts.literal` first.
    """

    name: str
    expression: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    wait: str = ""
    keep: str = ""


class Group(msgspec.Struct, frozen=True):
    """Rules that are evaluated one after the other, every `interval` (text of a duration)."""

    name: str
    interval: str
    rules: tuple[Record | Alert, ...]


class RuleFile(msgspec.Struct, frozen=True):
    """A rule file for one site. `heading`: lines of its first comment."""

    heading: tuple[str, ...]
    groups: tuple[Group, ...]
