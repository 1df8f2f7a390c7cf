"""The dashboards' addresses: `/d/UID`. Alerts and bookmarks point at them, so they never change."""

OVERVIEW_UID = "funnelwatch-overview"
FUNNEL_UID = "funnelwatch-funnel"
JOURNEYS_UID = "funnelwatch-journeys"
SEGMENTS_UID = "funnelwatch-segments"
REVENUE_UID = "funnelwatch-revenue"
PIPELINE_UID = "funnelwatch-pipeline"
