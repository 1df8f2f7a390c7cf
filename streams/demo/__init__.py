"""`funnelwatch demo`: broker, ClickHouse, worker and a shop's traffic on this machine, and the live funnel on the terminal."""
