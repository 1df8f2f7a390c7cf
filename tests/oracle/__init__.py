"""The independent judge of the engine: a brute-force reference, random cases, and ClickHouse's `windowFunnel`."""
