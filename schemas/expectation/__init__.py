"""What is to be expected of a stage: how many conversions by now, learned from history and adjusted by a calendar."""
