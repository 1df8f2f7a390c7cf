"""The events of the workloads as records of a topic: ids, keys and JSON."""

from __future__ import annotations

from zlib import crc32

from benchmarks.oracle import PRICE_CENTS, Step

PARTITIONS = 4

CHANNELS = ("Organic Search", "Direct", "Paid Search", "Email", "Paid Social", "Referral")
DEVICES = ("mobile", "desktop", "tablet")
COUNTRIES = ("DE", "FR", "GB", "US", "NL", "ES", "IT", "PL", "SE", "AT")
CUSTOMERS = ("new", "returning")


def session_id(session: int) -> str:
    return f"s{session * 2_654_435_761 % 2**48:012x}"


def visitor_id(session: int) -> str:
    """In these streams a visitor has one session with an id, or all those that his pauses cut."""
    return f"v{session * 40_503 % 2**40:010x}"


def partition_of_session(session: int) -> int:
    return session % PARTITIONS


def partition_of_visitor(session: int) -> int:
    """As a client's partitioner would: it has nothing to do with the session's."""
    return crc32(visitor_id(session).encode()) % PARTITIONS


def dense_record(step: Step) -> bytes:
    session = session_id(step.session)
    return (
        f'{{"event_id":"{session}{step.number:04x}","event":"{step.event}","timestamp":{step.ts},'
        f'"session_id":"{session}"{_money(step, f"o{session}")}}}'
    ).encode()


def gap_record(step: Step) -> bytes:
    """The dense event without the session's id."""
    visitor = visitor_id(step.session)
    return (
        f'{{"event_id":"{visitor}{step.number:04x}","event":"{step.event}","timestamp":{step.ts},'
        f'"visitor_id":"{visitor}"{_money(step, f"o{visitor}{step.number:x}")}}}'
    ).encode()


def realistic_record(step: Step) -> bytes:
    session, mixed = session_id(step.session), step.session * 40_503
    page = (mixed + step.number * 7) % 5_000
    return (
        f'{{"event_id":"{session}-{step.number:04x}-{step.ts:x}","event":"{step.event}","timestamp":{step.ts},'
        f'"session_id":"{session}","visitor_id":"{visitor_id(step.session)}",'
        f'"url":"https://www.shop.example/catalogue/department-{page % 40}/product-{page}.html",'
        f'"referrer":"https://www.shop.example/catalogue/department-{page % 40}/",'
        f'"channel":"{CHANNELS[mixed % 6]}","device":"{DEVICES[mixed // 6 % 3]}",'
        f'"country":"{COUNTRIES[mixed // 18 % 10]}","customer_type":"{CUSTOMERS[mixed // 180 % 2]}"'
        f"{_money(step, f'o{session}')},"
        f'"properties":{{"page":"product-{page}","position":{step.number},"list":"recommended"}}}}'
    ).encode()


def _money(step: Step, order: str) -> str:
    if step.event != "purchase":
        return ""
    return f',"revenue":{PRICE_CENTS / 100:.2f},"currency":"EUR","order_id":"{order}"'
