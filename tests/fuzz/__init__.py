"""Mutated and random input through decoding, the engine, the settings and the web pages. `make fuzz` runs it for long."""
