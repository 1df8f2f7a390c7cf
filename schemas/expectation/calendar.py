"""Sales, campaigns and holidays that the user declares: they adjust what is expected, and mute nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from schemas.definitions.fields import as_dimension
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.metrics import ALL, CROSS
from schemas.problems import Problems, nearest
from schemas.toml import show
from schemas.values import as_tables, as_text

#: Beyond these a factor would be a mute (nothing is expected) or a promise that nobody keeps.
LEAST, MOST = 0.01, 100.0
_KEYS = ("name", "from", "until", "funnel", "stage", "dimension", "value", "traffic", "rate")


class Occasion(msgspec.Struct, frozen=True):
    """From `start` up to `end` (ms since 1970 UTC, the latter not included) things are not as usual.

    `funnel`, `stage` ("" = all), `dimension` and `value` ("" = all traffic): where. `rate`: conversions per entry are so
    many times the usual ones. `traffic`: so are the entries into the funnel.
    """

    name: str
    start: int
    end: int
    funnel: str = ""
    stage: str = ""
    dimension: str = ""
    value: str = ""
    traffic: float = 1.0
    rate: float = 1.0

    def covers(self, funnel: str, stage: str, segment: tuple[str, str]) -> bool:
        """Whether it is about this stage and segment: the segment itself, or a cell of a cross within it."""
        if self.funnel not in ("", funnel) or self.stage not in ("", stage):
            return False
        if not self.dimension:
            return True
        cells = zip(segment[0].split(CROSS), segment[1].split(CROSS), strict=False)
        return (self.dimension, self.value) in (segment, *cells)


class Calendar(msgspec.Struct, frozen=True):
    """All occasions. Where several hold at once, their factors multiply."""

    occasions: tuple[Occasion, ...] = ()

    def factor(self, funnel: str, stage: str, segment: tuple[str, str], at_ms: int) -> float:
        """By how much the conversion rate of entries at `at_ms` (ms since 1970 UTC) differs from the usual one; 1 = as usual.

        `segment`: (dimension, value), (`all`, `all`), or a cell of a cross. All traffic is not moved by an occasion of one
        segment: sum up expectations of its cells, which are.
        """
        factor = 1.0
        for one in self.occasions:
            if one.start <= at_ms < one.end and one.covers(funnel, stage, segment):
                factor *= one.rate
        return factor

    def traffic(self, funnel: str) -> tuple[Occasion, ...]:
        """The occasions that change how many enter `funnel`."""
        return tuple(one for one in self.occasions if one.traffic != 1.0 and one.funnel in ("", funnel))

    def check(self, funnels: Iterable[Funnel]) -> None:
        """Raises ConfigError for occasions of funnels, stages or dimensions that the definitions don't have."""
        problems = Problems()
        known = {funnel.name: funnel for funnel in funnels}
        for one in self.occasions:
            if not one.funnel:
                continue
            where = f"[[calendar]] {show(one.name)}"
            funnel = known.get(one.funnel)
            if funnel is None:
                problems.add(f"{where}, funnel", f"there is no funnel {show(one.funnel)}", nearest(one.funnel, known))
            elif one.stage and one.stage not in funnel.levels:
                problem = f"{one.funnel} has no stage {show(one.stage)}"
                problems.add(f"{where}, stage", problem, nearest(one.stage, funnel.levels))
            elif one.dimension and one.dimension not in funnel.dimensions:
                problem = f"{one.funnel} is not broken down by {one.dimension}"
                problems.add(f"{where}, dimension", problem, "add it to the funnel's dimensions")
        problems.raise_any()


def parse_calendar(value: object, zone: ZoneInfo, where: str) -> Calendar:
    """`[[calendar]]` tables as a Calendar. Times without an offset are on the wall clock of `zone`. Raises ConfigError."""
    problems = Problems()
    found = []
    for number, table in enumerate(as_tables(value, where, "[[calendar]]"), 1):
        at = f"{where} {number}"
        problems.refuse_unknown(table, _KEYS, at)
        one = problems.caught(None, _occasion, table, zone, at)
        if one is not None:
            found.append(one)
    problems.raise_any()
    return Calendar(tuple(found))


def _occasion(table: Mapping[str, object], zone: ZoneInfo, at: str) -> Occasion:
    name = as_text(table.get("name", ""), f"{at}, name", longest=120)
    start = _moment(table.get("from"), zone, f"{at}, from", last_day=False)
    end = _moment(table.get("until"), zone, f"{at}, until", last_day=True)
    if end <= start:
        raise ConfigError(f"{at}, until", f"{show(table['until'])} is not after `from`", "write a later one")
    texts = {key: as_text(table[key], f"{at}, {key}") for key in ("funnel", "stage", "value") if key in table}
    if "dimension" in table:
        texts["dimension"] = as_dimension(table["dimension"], f"{at}, dimension")
    traffic, rate = (_factor(table.get(key, 1), f"{at}, {key}") for key in ("traffic", "rate"))
    found = Occasion(name, start, end, traffic=traffic, rate=rate, **texts)
    _check_parts(found, at)
    return found


def _check_parts(one: Occasion, at: str) -> None:
    if one.stage and not one.funnel:
        raise ConfigError(f"{at}, stage", "is given without its funnel", "write funnel as well")
    if bool(one.dimension) != bool(one.value) or one.dimension == ALL:
        raise ConfigError(
            f"{at}, dimension", "dimension and value belong together", 'write dimension = "channel", value = "email"'
        )
    if one.traffic == one.rate == 1.0:
        raise ConfigError(at, "changes nothing", "write traffic = 8 (times the usual entries) or rate = 0.8")
    if one.traffic != 1.0 and (one.stage or one.dimension):
        raise ConfigError(
            f"{at}, traffic", "is of a whole funnel, not of a stage or segment",
            "write an occasion of its own for it; conversions are expected of the entries that come, however many",
        )  # fmt: skip


def _moment(value: object, zone: ZoneInfo, where: str, *, last_day: bool) -> int:
    """ms of a date (its first moment in `zone`; of the last day of an occasion: the moment after it) or of a time."""
    if not isinstance(value, date):
        problem = "is missing" if value is None else f"{show(value)} is neither a date nor a time"
        raise ConfigError(where, problem, "write 2026-11-27 or 2026-11-27T18:00:00, without quotes")
    try:
        if not isinstance(value, datetime):
            day = value + timedelta(days=1) if last_day else value
            value = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - its zone follows
        moment = value if value.tzinfo else value.replace(tzinfo=zone)
        return int(moment.timestamp() * 1000)
    except (OverflowError, ValueError):
        raise ConfigError(where, f"{show(value)} is out of range", "write a date from 1970 on") from None


def _factor(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ConfigError(where, f"{show(value)} is not a number", "write 8 for eight times as much, 0.8 for 20 % less")
    if not LEAST <= float(value) <= MOST:
        raise ConfigError(where, f"{show(value)} is out of range", f"write {LEAST:g} to {MOST:g}")
    return float(value)
