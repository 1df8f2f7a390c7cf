"""What throughput alone does not show: `python -m benchmarks.experiments` writes docs/benchmarks-experiments.md.

outcome.py     figures with their bars, tables, charts
svg.py         line charts as plain SVG
document.py    the terminal, the document (a section for each experiment), the JSON line
plan.py        how much is run, in full and with --quick
place.py       the broker, topics and settings of an experiment
processes.py   the product's processes: started, watched, killed by their own pid
pages.py       metrics pages, histograms
records.py     the events: entries that stay open, and walks
sender.py      a paced load from a process of its own, with markers
topics.py      what a topic held, and when

memory.py, recovery.py, latency.py, small.py, rebalance.py, scale.py (with costs.py), sink.py (with outage.py): the experiments
"""
