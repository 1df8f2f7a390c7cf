"""How long each panel's SQL takes over millions of transitions: `python -m tests.dashboards.volume --attempts 950000`.

Makes 30 days of one funnel that end now (about 3.4 transitions an attempt, 34 values of four dimensions), on the embedded engine,
and runs every panel over its last day and over all 30 days, before and after the hours of past days are computed.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from schemas.settings.sections import ClickHouse
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.migrate import bring_up_to_date
from sinks.embedded.clickhouse import EmbeddedClickHouse
from tests.dashboards.interpolate import Query, fill, queries

DAY = 86_400_000
DAYS = 30
BATCH = 15_000
VARIABLES = {"funnel": "purchase", "version": "v1", "dimension": "channel", "value": "google"}
LEVELS = "['visit', 'view_item', 'add_to_cart', 'begin_checkout', 'add_payment_info', 'purchase']"

DEFINITION = f"""INSERT INTO definitions (funnel, version, unit, mode, window, lateness, levels, following, dimensions, definition)
VALUES ('purchase', 'v1', 'session', 'ordered', 1800000, 120000, {LEVELS}, [1, 2, 3, 5, 5, 5],
    ['channel', 'device', 'customer_type', 'campaign'], '{{"stages": [{{}}, {{"target": 0.3}}]}}')"""

ATTEMPTS = """INSERT INTO transitions (
    funnel, version, attempt_id, kind, item, revision, is_deleted, unit_id, session_start, attempt, recovered, entry_time, event_time,
    event_id, from_stage, to_stage, stage, reached, direction, outcome, duration, entry_dims, dims, value, currency, value_reporting,
    order_id, consent)
WITH
    {levels} AS levels,
    sipHash64(number, 1) AS chance,
    multiIf(chance % 1000 < 500, 0, chance % 1000 < 720, 1, chance % 1000 < 830, 2, chance % 1000 < 900, 3, chance % 1000 < 925, 4, 5) AS top,
    fromUnixTimestamp64Milli({first} + toInt64(number * {span} / {attempts}), 'UTC') AS entered,
    if(fact.1 = 'enter' AND fact.6 = 5, toDecimal128(10 + chance % 9000 / 100, 9), NULL) AS money,
    [['direct', 'google', 'email', 'instagram', 'tiktok', 'affiliate', 'display', 'organic'][1 + sipHash64(number, 3) % 8],
        ['desktop', 'mobile', 'tablet', 'app'][1 + sipHash64(number, 4) % 4], ['new', 'returning'][1 + sipHash64(number, 5) % 2],
        concat('campaign ', toString(sipHash64(number, 6) % 20))] AS values
SELECT
    'purchase', 'v1', lower(hex(sipHash128(number, 2))), fact.1, fact.2, number * 10 + fact.3, 0, concat('unit ', toString(chance % 300000)),
    toDateTime64(0, 3, 'UTC'), 1, chance % 7 = 0, entered, entered + toIntervalMillisecond(fact.3 * 45000),
    concat('e', toString(number), '-', toString(fact.3)), fact.4, fact.5, fact.6, bitShiftLeft(toUInt64(1), fact.6 + 1) - 1,
    multiIf(fact.1 = 'move', 'back', fact.1 = 'enter', 'forward', ''),
    multiIf(fact.1 != 'end', '', top = 5, 'converted', ['window_timeout', 'session_end'][1 + chance % 2]),
    multiIf(fact.1 = 'end', top * 45000, fact.6 = 0 OR fact.1 = 'move', -1, 45000), values, values,
    money, if(isNull(money), '', 'EUR'), money, if(isNull(money), '', concat('o', toString(number))), 1
FROM numbers({start}, {count})
ARRAY JOIN arrayConcat(
    arrayMap(i -> ('enter', levels[i + 1], toUInt64(i), if(i = 0, '', levels[i]), levels[i + 1], toUInt8(i)), range(top + 1)),
    [('end', '', toUInt64(8), levels[top + 1], levels[top + 1], toUInt8(top))],
    if(chance % 3 = 0, [('move', concat('m', toString(number)), toUInt64(7), levels[top + 1], levels[1], toUInt8(0))], [])) AS fact"""


def make(client: Client, attempts: int, now: int) -> int:
    """Writes the rows, in the order of entry; how many."""
    client.command(DEFINITION)
    for start in range(0, attempts, BATCH):
        count = min(BATCH, attempts - start)
        client.command(
            ATTEMPTS.format(
                levels=LEVELS, first=now - DAYS * DAY, span=DAYS * DAY, attempts=attempts, start=start, count=count
            )
        )
    return int(client.query("SELECT count() FROM transitions").result_rows[0][0])


def measure(client: Client, query: Query, since: int, until: int, repeats: int = 7) -> tuple[float, float]:
    """The least and the median time of one query, in ms, driver and HTTP included."""
    step = str((until - since) // 1000)
    built_in = {"__from": str(since), "__to": str(until), "__interval_ms": step}
    text, taken = fill(query.text, {**VARIABLES, **built_in}), []
    for _ in range(repeats):
        began = time.perf_counter()
        client.query(text)
        taken.append((time.perf_counter() - began) * 1000)
    return min(taken), statistics.median(taken)


def report(client: Client, now: int) -> None:
    """Prints each panel's time: over the last day, least and median, and over all days."""
    for query in queries("grafana-clickhouse-datasource"):
        day, whole = measure(client, query, now - DAY, now), measure(client, query, now - DAYS * DAY, now)
        times = "   ".join(f"{least:5.0f} {median:5.0f}" for least, median in (day, whole))
        print(f"{query.name:60} {times}", flush=True)


def main() -> None:
    """Makes the rows, and measures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--attempts", type=int, default=950_000)
    options.add_argument("--uncomputed", action="store_true", help="measure before the hours are computed as well")
    chosen = options.parse_args()
    now = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory() as folder, EmbeddedClickHouse(Path(folder)) as server:
        settings = ClickHouse(url=server.url, database="volume")
        bring_up_to_date(settings)
        with connect(settings) as client:
            print(f"{make(client, chosen.attempts, now)} transitions")
            if chosen.uncomputed:
                report(client, now)
            began = time.perf_counter()
            client.command("SYSTEM REFRESH VIEW hours_mv")
            client.command("SYSTEM WAIT VIEW hours_mv")
            print(f"hours computed in {time.perf_counter() - began:.1f} s")
            report(client, now)


if __name__ == "__main__":
    main()
