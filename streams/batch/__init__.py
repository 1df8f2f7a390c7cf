"""Funnels over files, without Kafka: the same engine, its whole input known.

inputs.py    files (or standard input) as records with their decoder
intake.py    every record once: decoded, counted, handed to each funnel's lane
grouped.py   a lane's events by unit, in bounded memory: beyond it they are spilled to disk
evaluate.py  one unit after the other: duplicates out, sorted, walked, counted
counting.py  a unit's rows counted into the report
run.py       the whole way, in one function
question.py  which funnels are asked for: a file, a preset, or stages on the command line
view.py      what is seen while it runs;  notes.py  what was left out of the figures, and why
"""
