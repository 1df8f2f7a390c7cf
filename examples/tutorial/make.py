"""Makes the files of docs/tutorial.md from the simulated shop: `python examples/tutorial/make.py`. The same ones every time."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from streams.traffic import Traffic, TrafficConfig

HERE = Path(__file__).parent
START, DAY = 1_772_409_600_000, 86_400_000  # 2026-03-02
#: Steps that a web server sees, as it sees them.
PATHS = {"add_to_cart": "/cart/add", "begin_checkout": "/checkout", "purchase": "/checkout/thank-you"}
PAGES = {"page_view", "view_item", *PATHS}
COLUMNS = ("time", "visitor", "visit", "action", "device", "came_from", "amount", "currency", "order")


def events(days: int) -> Iterator[dict[str, Any]]:
    """The shop's events in order of time; the first page of a visit with where it came from."""
    config = TrafficConfig(
        seed=3, start_ms=START, visitors_per_day=400, disorder_ms=0, bad_share=0, duplicate_share=0, without_id_share=0
    )
    referrers: dict[str, str] = {}
    for record in Traffic(config).records(START + days * DAY):
        event = msgspec.json.decode(record.data)
        if event.get("session_id") is None or "url" not in event:
            continue
        if event["event"] == "session_start":
            referrers[event["session_id"]] = event.get("referrer") or ""
        elif event["event"] in PAGES:
            event["referrer"] = referrers.pop(event["session_id"], "") or event.get("referrer")
        yield event | {"ts": record.ts}


def when(event: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(event["ts"] / 1000, UTC)


def log_line(event: dict[str, Any]) -> str:
    """One request in the combined format. Addresses are of the range for documentation."""
    rng = random.Random(event["visitor_id"])
    address = f"203.0.113.{rng.randrange(1, 255)}"
    path = PATHS.get(event["event"]) or event["url"].partition("shop.example")[2]
    method = "POST" if event["event"] == "add_to_cart" else "GET"
    agent = event.get("user_agent", "-")
    stamp = when(event).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'{address} - - [{stamp}] "{method} {path} HTTP/1.1" 200 {rng.randrange(900, 40_000)} "{event.get("referrer") or "-"}" "{agent}"'


def csv_row(event: dict[str, Any]) -> tuple[str, ...]:
    """One row of an export."""
    cells = (event["visitor_id"], event["session_id"], event["event"], event.get("device"), event.get("channel"))
    money = (event.get("revenue"), event.get("currency"), event.get("order_id"))
    return (when(event).strftime("%Y-%m-%d %H:%M:%S"), *(str(cell or "") for cell in (*cells, *money)))


def write(name: str, text: str) -> None:
    """Compressed, without the time of writing."""
    (HERE / name).write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def main() -> None:
    log = [log_line(event) for event in events(3) if event["event"] in PAGES]
    write("access.log.gz", "\n".join(log) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(csv_row(event) for event in events(3) if event["event"] in {"view_item", *PATHS})
    write("shop.csv.gz", table.getvalue())


if __name__ == "__main__":
    main()
