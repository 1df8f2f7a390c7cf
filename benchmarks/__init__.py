"""Throughput of the worker, measured beside other frameworks: `python -m benchmarks` (`make bench`).

workloads.py      the fixed, seeded streams
records.py        their events as records
oracle.py         what a plain count says that they come to
definitions.py    the funnels of the workloads
child.py          a measured process: CPU time, memory
broker.py         topics, backlogs, offsets, sizes
product.py        one run of the worker as a process of its own, its rows checked
full.py           one run of worker, sink and ClickHouse, what ClickHouse answers checked
contestants.py    one run of another framework on the dense stream, its counts checked
faust_app.py, quix_app.py, bytewax_app.py   their apps, each told its job by job.py
rounds.py         all of them in turn
figures.py        medians over the rounds, by name and unit
report.py         the tables, the document, the JSON line; preface.py: what the document says first
engine.py         the parts of the engine one by one, without Kafka: `python -m benchmarks.engine`
"""
