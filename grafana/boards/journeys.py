"""Journeys: the ways that people really take, from ClickHouse."""

from __future__ import annotations

from grafana.boards import sql
from grafana.boards.kinds import COUNT, HALF, SHARE, Column, Size, Words, curves, graph, grid
from grafana.boards.layout import Board, Section
from grafana.boards.sources import CLICKHOUSE, rows, sql_lines
from grafana.boards.uids import JOURNEYS_UID
from grafana.boards.variables import data_sources, of_clickhouse

_EMPTY = "no journeys of this segment in this range"

_GRAPH = graph(
    Words(
        "Ways between stages",
        "Numbers at the stages: arrivals. At the edges: how often they were walked. (entry) and (return): the first and a later "
        "attempt of a unit; (exit): the attempt ended without conversion.",
        _EMPTY,
    ),
    rows(sql.GRAPH_NODES, "nodes"), rows(sql.GRAPH_EDGES, "edges"), Size(24, 14), CLICKHOUSE,
)  # fmt: skip

_EDGES = grid(
    Words(
        "Edges",
        "forward: on to a stage, or to one already reached. skip: past a required stage, which does not count as reaching it. back: to an "
        "earlier stage. exit: ended from here. return: a new attempt after a drop-off. Share: of all edges that leave from there.",
        _EMPTY,
    ),
    [rows(sql.EDGES)],
    [Column("Walked", decimals=0), Column("Of all that left", SHARE, decimals=1)],
    HALF, CLICKHOUSE,
)  # fmt: skip

_EXITS = grid(
    Words("Exits", "Where attempts stood when they ended without conversion, and why they ended.", "no exits in this range"),
    [rows(sql.EXITS)],
    [Column("Attempts", decimals=0), Column("Of all exits", SHARE, decimals=1)],
    HALF, CLICKHOUSE,
)  # fmt: skip

_WAYS = curves(
    Words("Ways over time", "Edges walked by kind, by the hour in which their attempts entered.", _EMPTY),
    [sql_lines(sql.WAYS)],
    COUNT, source=CLICKHOUSE, stacked=True,
)  # fmt: skip

_RETURNS = curves(
    Words("Returns", "Share of the attempts that follow a drop-off of the same unit, by hour of entry.", _EMPTY),
    [sql_lines(sql.RETURNS)],
    SHARE, source=CLICKHOUSE,
)  # fmt: skip

JOURNEYS = Board(
    JOURNEYS_UID,
    "Journeys",
    "The edges between stages as they were walked: forward, skip, back, exit, return.",
    (*data_sources(prometheus=False), *of_clickhouse()),
    (Section("Ways", (_GRAPH, _EDGES, _EXITS)), Section("Over time", (_WAYS, _RETURNS))),
    refresh="5m",
)
