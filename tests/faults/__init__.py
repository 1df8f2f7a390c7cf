"""Faults while events flow: a real broker behind a proxy that cuts and delays, workers that die at each step, and the comparison with
`batch` afterwards, row for row. `python -m tests.faults` is the long run."""
