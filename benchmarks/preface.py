"""What docs/benchmarks.md says of how the figures came about."""

from __future__ import annotations

from benchmarks.definitions import LATENESS, SESSION_GAP, WINDOW

PREFACE = f"""# Benchmarks

Written by `make bench` (`python -m benchmarks`); run it again to replace the figures. `make bench BENCH=--quick` only shows that it works.

## The job

A backlog lies in a real Kafka broker (4 partitions, one node, same machine). Each contestant, a process of its own, follows it from its
beginning: per session it keeps the stage reached within a window, writes a record to an output topic for each stage reached, and keeps its
state durably in its own way. **dense**: every event is a stage of one funnel of five; 15 of 100 sessions stop at each stage; about 115 bytes
an event. All contestants get the beginning of the same stream, each as much of it as makes its run long enough.

| contestant | written as | durable state | more or less than the product |
|---|---|---|---|
| funnelwatch | `funnelwatch run --only worker`, default settings but for names and places | one compacted record per changed session and chunk, durable before offsets are committed | drop-offs by event time, late and repeated events, dead letters, attempts with revisions, breakdowns, metrics: all on |
| Faust | models, one event at a time, tumbling table, `send`; orjson | changelog topic, not awaited | less: no drop-offs, late events, duplicates, breakdowns or metrics; a day's window instead of the funnel's |
| Quix Streams | `StreamingDataFrame`: `apply(stateful=True)`, `filter`, `to_topic`; its JSON is orjson | RocksDB and changelog topic, every 5 s, then offsets | less, as Faust; more: state may exceed memory, and a local copy (not in the bytes) shortens recovery |
| Bytewax | `KafkaSource`, `map`, `stateful_flat_map`, `KafkaSink`; msgspec | recovery store (SQLite), every 10 s; offsets in it | less, as Faust; its source does not share partitions by a consumer group; more: snapshots of all steps are of one moment |

Settings differ from the frameworks' defaults only in their favour: Faust's and Quix Streams' producers wait 5 and 100 ms for a batch. None but
the product expires sessions that never come back: in so short a run that spares them work.

Three more workloads and one more way of running, **without a bar**, for the product alone:

- **realistic**: four events of five fit no stage of any of three ordered funnels; four breakdown dimensions, twelve fields, about 435 bytes.
- **gap**: dense events without session ids; visitors come back, and pauses above {SESSION_GAP // 1000} s cut their sessions. Such events always pass the internal
  log.
- **rekeyed**: realistic on a topic keyed by the visitor instead of the session, so that every event passes the internal log. Its bytes count as
  written.
- **full**: dense with `funnelwatch run`: the worker, the sink (events stored, too, as by default) and an embedded ClickHouse at once on the
  same cores; the three are measured apart. `sink_…` counts rows of both tables; its rows/s run from the worker's readiness until the sink has
  acknowledged the last.

## What is measured

- **CPU**: user and system time of the contestant's process with all its threads and children, from its readiness until all is written and
  durable. Start-up stands apart (`startup_cpu`); `process_cpu` is both. Faust is measured until its transitions are written, since its
  commits may stall; Quix Streams is then told to stop and writes its last checkpoint; Bytewax ends with the topic and its last snapshot. The
  broker's CPU is nobody's.
- **Wall time** ends with the last state written. It begins with readiness; for the other frameworks with the first transition, since their consumer group
  may take seconds to form.
- **Bytes written per event**: output and state, as they lie in the broker's log (Bytewax: its store) at the end, uncompressed.
- **Counts**: a run whose transitions, counted by stage, are not those of a plain count of the stream ends the benchmark. For the product
  conversions, drop-offs and revenue are held against it, too; for *full*, what ClickHouse answers.
- Streams are seeded, carry 1,000 events a second of event time (so that a session's next event mostly comes in another chunk), in order;
  window {WINDOW // 1000} s, lateness {LATENESS // 1000} s.
- Contestants alternate, round by round. Figures are medians with the lowest and the highest round; ratios are taken within each round. CPU
  time depends on what else the machine does: compare ratios, and read the load average with the rest.

## Where the time goes

Shares of a long run, sampled late in it (py-spy, 500 times a second, whoever holds the interpreter's lock), at some 5.5 µs a dense and 2.8 µs a realistic event.
Beside them the kernel takes 10 to 20 % of the CPU: copies from and to sockets, first touches of memory.

| part | dense | realistic |
|---|---|---|
| the engine in C (`Reading.take`): reading JSON, states, rows, ending attempts and their drop-offs | 52 % | 53 % |
| the worker's own copy of the states, and what a chunk has changed of them | 14 % | 10 % |
| producing: requests and sockets, batches | 10 % | 10 % |
| counters, and what rows add to them | 10 % | 8 % |
| loops, Faust, asyncio | 6 % | 9 % |
| fetching: sockets, batches, the consumer's thread | 4 % | 7 % |
| the calendar | 3 % | 3 % |

In a process of its own, with nothing but records to work on, the engine takes 0.75 µs of a realistic event (1.5 µs of a dense one): what else its share is, it waits for memory that the
broker and the worker's other parts have used meanwhile.

A unit's state is looked up among 330,000, and lies in no cache: sixteen records are read ahead and their units looked up, so that the waits overlap (a tenth
of the whole).

Runs of one program differ by a quarter from one minute to the next here, so changes are measured by running both programs at once, on the same backlog, with
the same noise for both (1,500,000 events, medians). What brought the most lately, together 0.78 for realistic and 0.89 for dense events: counters whose rows wait until
their series are read, so that what chunks have in common is added once, and like rows of a whole chunk as one group; a calendar that takes a page at a time, and takes
what is due soon without a return to Python (whose every return had fifteen records read again); one heap for all threads (the consumer's thread had inherited another, and
every answer was mapped and zeroed anew); answers read a megabyte at a time (a fifth of the context switches); three copies of rows and requests fewer; chunks of
20,000 records (0.95; with others' turn every 50 ms between their slices, so that a chunk holds nobody up). Before that: reading a record in half the instructions (fields looked
for in the order of the record before, texts sixteen bytes at a time), answers read and requests put together without copies, ids seen lately in one table, 0.92.

A virtual machine takes 13 µs for the first touch of a page that its host has never given it, and 3 µs later (measured here): on one that was just started, the first runs
are dearer by a tenth.

**What a shop's own events cost** is another matter than these two streams show: whatever is unusual about an event is left to Python, at some 50 µs. Of a day of the generated
shop's events by session (`funnelwatch traffic`), with the funnels of `examples/demo` and of the `ecommerce` preset, that was all (times with six decimals); now it is 14 and 9 %
(events without an id, steps back and skips, events that come late), and the engine's part of an event's cost went from 16.4 to 9.4 and from 12.5 to 4.8 µs (in process, in turn, best of three). An event that is a stage of two funnels cost
21.5 µs, and costs 4.1; of ten 73 and 12.

The rest of the machine counts, too: alone on it the same work costs two thirds (the broker runs on the other core and shares the caches).
What was tried and brought nothing: mypyc (17 %), uvloop (nothing), huge pages (0.81 … 1.04 in four pairs of runs: not clear, for more memory), slices other than of 400 records, which halved the cost of what Python does, and of 2,000 for C (5,000 or
10,000: within 3 % either way).

"""
