"""What is to be expected of a stage: how many conversions by now, learned from history and adjusted by a calendar. Pure maths.

`learned` holds what was learned of a step, `rates` makes the baseline of it, `curve` the hazards, `at_risk` the expectation.
"""
