"""What the shipped rules would have said about the past: the drop rules evaluated over whole months of counters at once."""
