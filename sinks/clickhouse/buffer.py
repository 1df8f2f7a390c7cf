"""Records on their way into ClickHouse: held until there are enough of them, or the oldest has waited long enough."""

from __future__ import annotations

import msgspec

from schemas.annotation import StoredAnnotation
from schemas.dead_letter import DeadLetter
from schemas.event import Event
from schemas.progress import Progress
from schemas.rows import Row
from sinks.clickhouse.writer import Writer


class Buffer(msgspec.Struct):
    """What the next flush writes. `since`: monotonic seconds of the first record, None while empty."""

    rows: list[Row] = []
    progress: list[Progress] = []
    dead_letters: list[DeadLetter] = []
    events: list[Event] = []
    annotations: list[StoredAnnotation] = []
    since: float | None = None

    def __len__(self) -> int:
        rows = len(self.rows) + len(self.progress) + len(self.annotations)
        return rows + len(self.dead_letters) + len(self.events)

    def write(self, writer: Writer) -> dict[str, int]:
        """Writes everything; returns rows by table. Raises SinkError; writing again is safe. Progress goes last: it
        must not be ahead of the rows that it vouches for."""
        writer.write_rows(self.rows)
        writer.write_dead_letters(self.dead_letters)
        writer.write_events(self.events)
        writer.write_annotations(self.annotations)
        writer.write_progress(self.progress)
        return {
            "transitions": len(self.rows),
            "dead_letters": len(self.dead_letters),
            "events": len(self.events),
            "annotations": len(self.annotations),
            "progress": len(self.progress),
        }
