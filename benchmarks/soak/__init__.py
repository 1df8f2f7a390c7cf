"""Long runs: an hour of steady load with rebalances (`make soak`), and five minutes of ten times too much (`make overload`)."""
