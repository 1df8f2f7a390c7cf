"""`python -m tests.faults`: rounds of faults of every theme until there were enough of them; figures for docs/reliability.md."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

import click
import msgspec

from benchmarks.reliability import put, table
from schemas.errors import FunnelwatchError
from tests.faults.acts import GUEST, WORKERS
from tests.faults.broker import ProxiedKafka
from tests.faults.disk import ClickHouseOnSmallDisk
from tests.faults.flow import Flow
from tests.faults.monitor import SINK
from tests.faults.rounds import THEMES, Outcome, Theme, play

NAMES = (*WORKERS, GUEST, SINK)


class Summary(msgspec.Struct, frozen=True):
    """All rounds together."""

    faults: int
    worker_kills: int
    rounds: int
    seconds: float
    rows_expected: int
    rows_lost: int
    rows_doubled: int
    rows_different: int
    events_wrong: int
    counters_expected: int
    counters_short: int
    counters_beyond: int
    by_kind: dict[str, int]
    unfinished: list[str]
    skipped: dict[str, str]


class Played(msgspec.Struct):
    """What came of the rounds so far. `unfinished`: those that did not come to their end; `skipped`: themes that can't be had here, and
    why."""

    outcomes: list[Outcome] = []
    unfinished: list[str] = []
    skipped: dict[str, str] = {}

    @property
    def faults(self) -> int:
        """All that happened."""
        return sum(sum(outcome.faults.values()) for outcome in self.outcomes)


def summary(played: Played, seconds: float) -> Summary:
    """Their sums."""
    kinds: Counter[str] = Counter()
    outcomes = played.outcomes
    for outcome in outcomes:
        kinds.update(outcome.faults)

    def total(name: str) -> int:
        return sum(getattr(outcome, name) for outcome in outcomes)

    return Summary(
        kinds.total(), total("kills"), len(outcomes), seconds, total("rows"), total("lost"), total("doubled"), total("different"),
        total("events_wrong"), total("counters"), total("counted_short"), total("counted_beyond"), dict(sorted(kinds.items())), played.unfinished,
        played.skipped,
    )  # fmt: skip


def themes(chosen: Sequence[Theme]) -> Iterator[tuple[Theme, int]]:
    """All of them in turn, with another seed each time."""
    for turn in count(1) if chosen else ():
        for theme in chosen:
            yield theme, turn


def document(outcomes: Sequence[Outcome], whole: Summary) -> list[str]:
    """Lines for docs/reliability.md."""
    by_theme: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_theme.setdefault(outcome.theme, []).append(outcome)
    rows = [
        (
            theme, len(of), sum(sum(one.faults.values()) for one in of), sum(one.rows for one in of), sum(one.lost for one in of),
            sum(one.doubled + one.different for one in of), sum(one.counters for one in of),
            f"−{sum(one.counted_short for one in of):,} +{sum(one.counted_beyond for one in of):,}",
        )
        for theme, of in by_theme.items()
    ]  # fmt: skip
    what = (
        f"{whole.faults:,} faults in {whole.rounds} rounds of {whole.seconds / 60:.0f} minutes, {whole.worker_kills} of them kills of a worker: "
        f"{whole.rows_expected:,} rows expected, {whole.rows_lost} lost, {whole.rows_doubled} doubled, {whole.rows_different} different."
    )
    return [
        what,
        *(f"Not tried: {theme}, since {reason}." for theme, reason in whole.skipped.items()),
        "",
        *table(
            ("theme", "rounds", "faults", "rows", "lost", "doubled or different", "counted", "counters off by"), rows
        ),
        "",
        *table(("fault", "times"), whole.by_kind.items()),
    ]


def play_all(
    chosen: Sequence[Theme], enough: Callable[[Played], bool], seed: int, directory: Path, kafka: ProxiedKafka,
    clickhouse: ClickHouseOnSmallDisk,
) -> Played:  # fmt: skip
    """Round after round; one that breaks off does not keep the next ones from being played."""
    played = Played(skipped={theme.name: reason for theme in chosen if (reason := theme.missing(clickhouse))})
    playable = [theme for theme in chosen if theme.name not in played.skipped]
    for number, (theme, turn) in enumerate(themes(playable)):
        if enough(played):
            break
        home = directory / f"round-{number}"
        home.mkdir()
        flow = Flow(seed * 1000 + turn, uneven=theme.uneven)
        try:
            outcome = play(theme, flow, home, kafka, clickhouse, f"round_{number}")
        except (AssertionError, FunnelwatchError, OSError) as error:
            played.unfinished.append(f"{theme.name}, seed {flow.seed}")
            click.echo(f"{theme.name}, seed {flow.seed}: {error}", err=True)
        else:
            played.outcomes.append(outcome)
            click.echo(shown(outcome), err=True)
    return played


@click.command(context_settings={"show_default": True})
@click.option("--faults", default=500, type=click.IntRange(1), help="Stop after the round in which there were so many.")
@click.option("--minutes", default=30.0, help="Begin no round after so long.")
@click.option(
    "--theme", "only", multiple=True, type=click.Choice([theme.name for theme in THEMES]), help="These alone."
)
@click.option("--seed", default=0, help="Another one gives other schedules.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="A folder for the logs, which are kept.")
@click.option("--write/--no-write", default=False, help="Whether docs/reliability.md takes the figures.")
def main(faults: int, minutes: float, only: Sequence[str], seed: int, keep: Path | None, write: bool) -> None:
    """Break everything while events flow, and compare with batch. The last line is one JSON object."""
    began = time.monotonic()
    signal.signal(
        signal.SIGTERM, lambda number, _: sys.exit(128 + number)
    )  # what was started and mounted is taken away
    chosen = [theme for theme in THEMES if not only or theme.name in only]

    def enough(played: Played) -> bool:
        return played.faults >= faults or time.monotonic() - began > minutes * 60

    with tempfile.TemporaryDirectory(prefix="funnelwatch-faults-") as scratch:
        directory = keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            with (
                ProxiedKafka(directory / "kafka", NAMES) as kafka,
                ClickHouseOnSmallDisk(directory / "clickhouse", faults=True, start_seconds=300.0) as clickhouse,
            ):
                played = play_all(chosen, enough, seed, directory, kafka, clickhouse)
        except FunnelwatchError as error:
            raise click.ClickException(str(error)) from error
    whole = summary(played, time.monotonic() - began)
    if write:
        put("faults", document(played.outcomes, whole))
    print(msgspec.json.encode(whole).decode())
    sys.exit(0 if not played.unfinished and all(outcome.right for outcome in played.outcomes) else 1)


def shown(outcome: Outcome) -> str:
    """One line, and what is wrong."""
    line = (
        f"{outcome.theme}, seed {outcome.seed}: {sum(outcome.faults.values())} faults in {outcome.seconds:.0f} s; of {outcome.rows:,} rows "
        f"{outcome.lost} lost, {outcome.doubled} doubled, {outcome.different} different; counters −{outcome.counted_short} "
        f"+{outcome.counted_beyond} of {outcome.counters:,}; {outcome.faults} {outcome.ends or ''}"
    )
    return f"{line}\n{outcome.problem}" if outcome.problem else line


if __name__ == "__main__":
    main()
