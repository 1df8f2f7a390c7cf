"""Writes the dashboards: `python -m grafana.boards`."""

from __future__ import annotations

from pathlib import Path

from grafana.boards.funnel import FUNNEL_BOARD
from grafana.boards.journeys import JOURNEYS
from grafana.boards.layout import Board, encode
from grafana.boards.overview import OVERVIEW
from grafana.boards.pipeline import PIPELINE
from grafana.boards.revenue import REVENUE
from grafana.boards.segments import SEGMENTS

FOLDER = Path(__file__).parents[1] / "dashboards"
#: By the file's name.
BOARDS: dict[str, Board] = {
    "overview.json": OVERVIEW,
    "funnel.json": FUNNEL_BOARD,
    "journeys.json": JOURNEYS,
    "segments.json": SEGMENTS,
    "revenue.json": REVENUE,
    "pipeline.json": PIPELINE,
}


def main() -> None:
    """Writes every file anew."""
    for name, board in BOARDS.items():
        (FOLDER / name).write_bytes(encode(board))


if __name__ == "__main__":
    main()
