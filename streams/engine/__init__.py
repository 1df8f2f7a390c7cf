"""The funnel engine: pure functions over events, states and rows. No Faust, no clock, no I/O.

match.py      which stages an event fits: an index from event name to funnels
state.py      what is kept: Hit, Attempt, Walk, FunnelState, UnitState
walk.py       one event (or a deadline) moves one walk, in ordered and strict mode: the semantics
unordered.py  the same in unordered mode
unit.py       one unit in one funnel: arrival out of order, duplicates, corrections
usual.py      the usual event, done in C (_usual.c) where that was compiled
units.py      all units of one log partition: their states; wakes.py: when each is due
clock.py      its watermark, tally.py what became of its records
partition.py  one record moves the clock, its unit, and the units whose time has passed
batch.py      the same walks over a known, sorted input
"""
