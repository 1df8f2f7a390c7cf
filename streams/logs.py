"""What is written to standard error: for people, or as JSON lines for machines."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime

import msgspec

from schemas.settings import Log, LogFormat

#: Libraries that tell of each rebalance over dozens of lines; at `debug` they are heard, too.
CHATTY = ("faust", "mode", "aiokafka", "kafka", "clickhouse_connect", "aiohttp", "streams")


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


def set_up(settings: Log) -> None:
    """Sends all logging to standard error in the form that the settings ask for."""
    handler = logging.StreamHandler(sys.stderr)
    if settings.format is LogFormat.JSON:
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S"))
    level = logging.getLevelNamesMapping()[settings.level.value.upper()]
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(level if level <= logging.DEBUG else logging.WARNING)
