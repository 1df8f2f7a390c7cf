"""What is written to standard error: for people, or as JSON lines for machines."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from schemas.errors import config_error_behind
from schemas.settings import Log, LogFormat

#: Libraries that tell of each rebalance over dozens of lines; at `debug` they are heard, too.
CHATTY = ("faust", "mode", "clickhouse_connect", "aiohttp", "streams")

#: Libraries that log passwords and tokens at `debug`: not heard then.
CREDULOUS = ("kafka", "aiokafka")


class JsonLines(logging.Formatter):
    """One JSON object a record: time (ISO 8601 UTC), level, logger, message, and the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class Discreet(logging.Formatter):
    """Another formatter's lines without the secrets: libraries log what they were given."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        spelled = {
            form for secret in secrets if secret for form in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1])
        }
        every = "|".join(map(re.escape, sorted(spelled, key=len, reverse=True)))
        self._hide = re.compile(every).sub if every else None

    def format(self, record: logging.LogRecord) -> str:
        line = self._inner.format(record)
        return line if self._hide is None else self._hide("(secret)", line)


def in_one_line(record: logging.LogRecord) -> bool:
    """Has a user's mistake said in one line: how the program came upon it tells nobody what to do."""
    mistake = config_error_behind(record.exc_info[1]) if record.exc_info else None
    if mistake is not None:
        record.msg, record.args, record.exc_info, record.exc_text = str(mistake), (), None, None
    return True


def set_up(settings: Log, secrets: Iterable[str] = ()) -> None:
    """Sends all logging to standard error in the form that the settings ask for. `secrets`: texts that no line may hold."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.format is LogFormat.JSON:
        lines: logging.Formatter = JsonLines()
    else:
        lines = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(Discreet(lines, secrets))
    level = logging.getLevelNamesMapping()[settings.level.value.upper()]
    if level > logging.DEBUG:
        handler.addFilter(in_one_line)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(level if level <= logging.DEBUG else logging.WARNING)
    for name in CREDULOUS:
        logging.getLogger(name).setLevel(max(level, logging.INFO) if level <= logging.DEBUG else logging.WARNING)
