"""ClickHouse's `windowFunnel`, an oracle written by others, for plain ordered funnels and strict first attempts."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from schemas.funnel import Funnel, Mode
from tests.oracle.reference import OracleEvent, stages_of

MODES = {Mode.ORDERED: "strict_once", Mode.STRICT: "strict_order"}


class Question(msgspec.Struct, frozen=True):
    """Many units' events for one funnel. Within a unit each `event_id` occurs once: `strict_once` miscounts copies."""

    funnel: Funnel
    units: tuple[Sequence[OracleEvent], ...]


def table_of(question: Question) -> str:
    """Tab-separated: unit, time, and one column per stage, 1 where the event fits it."""
    lines: list[str] = []
    columns = range(len(question.funnel.stages))
    for unit, events in enumerate(question.units):
        if len({event.event_id for event in events}) < len(events):
            raise ValueError(f"unit {unit}: an event_id occurs twice; leave duplicates out first")
        for event in events:
            fitting = stages_of(question.funnel, event)
            lines.append("\t".join(map(str, (unit, event.ts, *(int(j in fitting) for j in columns)))))
    return "\n".join(lines) + "\n"


def sql_of(question: Question, path: Path) -> str:
    columns = [f"c{j}" for j in range(len(question.funnel.stages))]
    structure = ", ".join(["unit UInt32", "ts UInt64", *(f"{column} UInt8" for column in columns)])
    call = f"windowFunnel({question.funnel.window}, '{MODES[question.funnel.mode]}')(ts, {', '.join(columns)})"
    return f"SELECT unit, {call} FROM file('{path}', 'TSV', '{structure}') GROUP BY unit ORDER BY unit"


def ask(queries: Sequence[str]) -> list[str]:
    """The answers of one chDB process, as TSV."""
    script = Path(__file__).with_name("chdb_query.py")
    done = subprocess.run(
        [sys.executable, str(script)], input="\n".join(queries) + "\n", capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"chDB failed: {done.stderr.strip()}")
    return done.stdout.split("\n\n")[: len(queries)]


def levels(questions: Sequence[Question]) -> list[list[int]]:
    """For each question, each unit's level: how many stages it reached; 0 for none, and for a unit without events."""
    with TemporaryDirectory() as folder:
        queries: list[str] = []
        for number, question in enumerate(questions):
            path = Path(folder, f"{number}.tsv")
            path.write_text(table_of(question))
            queries.append(sql_of(question, path))
        answers = ask(queries)
    reached: list[list[int]] = []
    for question, answer in zip(questions, answers, strict=True):
        pairs = [line.split("\t") for line in answer.splitlines()]
        found = {int(unit): int(level) for unit, level in pairs}
        reached.append([found.get(unit, 0) for unit in range(len(question.units))])
    return reached
