"""A person's rows taken out of ClickHouse for good: mutations that are waited for, not marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schemas.errors import SinkError
from sinks.clickhouse.client import Client, faults, rows_of

#: Ids in one statement, at most.
MOST_IDS = 1_000
_WAIT = {"mutations_sync": 2}
_EVENT_IDS = ("session_id", "visitor_id", "user_id", "account_id")
_SESSIONS = """
SELECT DISTINCT session_id FROM events
WHERE session_id != '' AND (visitor_id = {id:String} OR user_id = {id:String})"""
_ATTEMPTS = "SELECT DISTINCT attempt_id FROM transitions WHERE unit_id IN {ids:Array(String)}"


def sessions_of(client: Client, person: str) -> list[str]:
    """Ids of the sessions in which a visitor or user of this id was seen, as far as events are kept. Raises SinkError."""
    return [str(session) for (session,) in rows_of(client, "look for sessions", _SESSIONS, {"id": person})]


def erase_units(client: Client, ids: Sequence[str]) -> dict[str, int]:
    """Erases the rows of units and people of these ids; returns how many by table. Raises SinkError."""
    erased = dict.fromkeys(("transitions", "attempts", "events"), 0)
    for part in parts(ids):
        attempts = [str(attempt) for (attempt,) in rows_of(client, "look for attempts", _ATTEMPTS, {"ids": part})]
        for known in parts(attempts):
            erased["attempts"] += erase(client, "attempts", "attempt_id IN {ids:Array(String)}", known)
        erased["attempts"] += erase(client, "attempts", "tupleElement(entry, 'unit_id') IN {ids:Array(String)}", part)
        erased["transitions"] += erase(client, "transitions", "unit_id IN {ids:Array(String)}", part)
        where = " OR ".join(f"{name} IN {{ids:Array(String)}}" for name in _EVENT_IDS)
        erased["events"] += erase(client, "events", where, part)
    return erased


def erase_letters(client: Client, places: Sequence[str]) -> int:
    """Erases dead letters by place ("topic:partition:offset"). Raises SinkError."""
    where = "concat(topic, ':', toString(partition), ':', toString(offset)) IN {ids:Array(String)}"
    return sum(erase(client, "dead_letters", where, part) for part in parts(places))


def erase(client: Client, table: str, where: str, ids: Sequence[str]) -> int:
    """Deletes the rows that fulfil a condition on `ids`, and waits until no replica has them any more."""
    parameters = {"ids": list(ids)}
    counted = f"SELECT count() FROM {table} WHERE {where}"  # noqa: S608 - names are ours, ids are parameters
    ((count,),) = rows_of(client, f"look into {table}", counted, parameters)
    if not count:
        return 0
    with faults(f"erase from {table}"):
        client.command(f"ALTER TABLE {table} DELETE WHERE {where}", parameters=parameters, settings=_WAIT)
    ((left,),) = rows_of(client, f"look into {table}", counted, parameters)
    if left:
        raise SinkError(f"ClickHouse: {left} rows of {table} are still there; run it again")
    return int(count)


def parts(ids: Iterable[str]) -> list[list[str]]:
    """So many at a time that a statement stays short."""
    every = list(ids)
    return [every[start : start + MOST_IDS] for start in range(0, len(every), MOST_IDS)]
