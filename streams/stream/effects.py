"""What a chunk of a log brings about, gathered slice by slice, and packed while it is at hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.drop_off import pack_drop_off
from schemas.progress import Progress
from schemas.transitions import pack_progress, pack_rows, unpack_rows
from sinks.kafka import KeyValue
from sinks.prometheus.counters import Tally
from streams.engine.partition import Partition, Result
from streams.engine.units import Made
from streams.engine.usual import Alike
from streams.engine.walk import KIND_END


class Effects:
    """Of one chunk on one partition. `tally`: for the counters, which rise once all is durable. `dimensions`: by version."""

    __slots__ = ("_dimensions", "_transitions", "drop_offs", "partition", "tally")

    def __init__(self, partition: Partition, dimensions: Mapping[str, tuple[str, ...]]) -> None:
        self.partition, self._dimensions = partition, dimensions
        self._transitions: list[KeyValue] = []
        self.drop_offs: list[KeyValue] = []
        self.tally = Tally()

    def add(self, made: Made) -> None:
        """Rows as the engine has made them."""
        if made.packed:
            self._transitions.append((None, made.packed))
        self._transitions.extend(pack_rows(made.rows))
        for row in [*made.rows, *unpack_rows(made.dropped)]:
            if row.kind == KIND_END:
                dropped = pack_drop_off(row, self._dimensions[row.version])
                if dropped is not None:
                    self.drop_offs.append(dropped)
        self.drop_offs.extend(made.drop_offs)
        self.tally.add(made.rows, made.withdrawn)

    def end(self, result: Result) -> None:
        """The chunk is at its end: the rest of its rows, and what all add to the counters."""
        self.add(result.made)
        self.count(result.alike)

    def count(self, gathered: Iterable[Alike]) -> None:
        """What rows of usual events add to the counters."""
        for alike in gathered:
            group = self.tally.add_alike(alike.row, alike.entry_dims(), alike.durations)
            for money, dims in alike.earned():
                group.earn(money.value, money.currency, dims)

    def records(self, progress: Iterable[Progress]) -> list[KeyValue]:
        """The records of the transitions topic."""
        return [*self._transitions, *map(pack_progress, progress)]
