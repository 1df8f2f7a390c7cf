"""The alert benchmark: the shipped drop rules judged on months of simulated traffic, beside what is usual today.

traffic (rates) ─▶ cohorts (entries, conversions, expectation) ─▶ streams.backtest.drops (the rules) ─▶ judge (figures)
"""
