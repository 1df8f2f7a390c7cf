"""Throughput of the worker, measured beside idiomatic Faust: `python -m benchmarks` (`make bench`).

workloads.py      the fixed, seeded events, and what a plain count says that they must come to
definitions.py    the funnels of both workloads
child.py          a measured process: CPU time, memory
broker.py         topics, backlogs, offsets, sizes
product.py        one run of the worker as a process of its own, its counts checked
idiomatic.py      one run of idiomatic Faust on the same events, its counts checked
idiomatic_app.py  that Faust app
figures.py        medians over the rounds, by name and unit
report.py         the table, the document, the JSON line
engine.py         the parts of the engine one by one, without Kafka: `python -m benchmarks.engine`
"""
