"""Live metrics: what the rows of each acknowledged chunk add to Prometheus' counters, and the worker's own health.

The way of the data: rows ─▶ counters.FunnelCounters ─▶ series.Cells ─▶ collector.Exposition ─▶ web.MetricsServer.
Everything here runs on the event loop's thread and takes no lock; only the rendering of a finished snapshot leaves it.
"""
