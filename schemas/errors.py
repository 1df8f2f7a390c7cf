"""The exceptions of funnelwatch.

FunnelwatchError
├── ConfigError      the user's settings, definitions or mappings are wrong      (exit code 2)
├── InvalidEvent     one record can't be used: it goes to the dead letters       (never leaves the decoder)
├── SchemaNotFetched a record's schema must be asked for first                   (the record waits)
└── SinkError        Kafka or ClickHouse refused or can't be reached             (retried, or exit code 2)

Outcomes (late, duplicate, ignored) are values, not exceptions.
"""

from __future__ import annotations

from schemas.reasons import Reason


class FunnelwatchError(Exception):
    """Base of all errors that funnelwatch raises on purpose. Its text is one line that a user can act on."""


class ConfigError(FunnelwatchError):
    """A setting, a definition or a mapping is wrong.

    `where` is the file with the line or key, `value` what stands there, `remedy` what to write instead.
    """

    def __init__(self, where: str, problem: str, remedy: str = "") -> None:
        self.where, self.problem, self.remedy = where, problem, remedy
        super().__init__(f"{where}: {problem}" + (f"; {remedy}" if remedy else ""))


class InvalidEvent(FunnelwatchError):
    """A record that can't become an event. `reason` is one of the closed list, `detail` names field and value."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)


class SchemaNotFetched(FunnelwatchError):
    """A record is encoded by a schema that nobody has asked the registry for yet: the caller's omission, not the record's."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(f"schema {number} was not fetched")


class SinkError(FunnelwatchError):
    """A broker or a database refused, or can't be reached. Says what was tried and what to check."""


def config_error_behind(error: BaseException | None) -> ConfigError | None:
    """The user's mistake that an exception came of, if that was the reason: Faust turns every one into exit code 1."""
    while error is not None and not isinstance(error, ConfigError):
        error = error.__cause__ or error.__context__
    return error
