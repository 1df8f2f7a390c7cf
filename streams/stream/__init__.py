"""The live stream: the pure engine fed by Faust agents from Kafka, chunk by chunk.

faust_fixes.py  what Faust 0.15.3 needs to be safe, each with its thread: the only place that overrides private methods
chunks.py       one Faust event carries one fetched chunk of records (public extension points: scheduler, schema)
table.py        the table of unit states: by partition, its changelog written as record batches
log.py          the records of the internal logs
follow.py       the way of the data through one chunk, top to bottom
source.py       decoding a source, and re-keying what is not keyed by the unit
unit_log.py     one kind of unit followed through its log; effects.py: what a chunk brings about
letters.py      dead letters and drop-offs as records
"""
