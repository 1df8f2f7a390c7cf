"""The JSON that the shop's pages and server send."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from streams.traffic.catalogue import Step
from streams.traffic.people import Visit


class ShopEvent(msgspec.Struct, omit_defaults=True, kw_only=True, gc=False):
    """One event as it is sent; absent fields are left out. The fields that `spoil` breaks take any type."""

    event: object = None
    event_id: str | None = None
    timestamp: object = None
    site: str | None = None
    session_id: str | None = None
    visitor_id: str | None = None
    user_id: str | None = None
    url: object = None
    landing_page: str | None = None
    referrer: str | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    device: str | None = None
    country: str | None = None
    customer_type: str | None = None
    variant: dict[str, str] | None = None
    revenue: object = None
    currency: str | None = None
    order_id: str | None = None
    consent: bool | None = None
    user_agent: str | None = None
    properties: dict[str, str] | None = None


encode = msgspec.json.Encoder().encode


def shop_event(visit: Visit, step: Step, site: str, event_id: str | None) -> ShopEvent:
    """What is sent for one step. The browser states its time as ISO 8601, the shop's server as epoch milliseconds, and
    the server states revenue as decimal text, the browser as a number."""
    visitor, item, order = visit.visitor, step.item, step.order
    event = ShopEvent(
        event=step.name,
        event_id=event_id,
        timestamp=step.ts if step.server else datetime.fromtimestamp(step.ts / 1000, UTC),
        site=site,
        session_id=visit.session_id,
        visitor_id=visitor.visitor_id,
        user_id=visitor.user_id,
        url=f"https://{site}{step.page}",
        channel=visit.channel.name,
        source=visit.channel.source,
        medium=visit.channel.medium,
        campaign=visit.campaign,
        device=visit.device.name,
        country=visitor.country.code,
        customer_type="returning" if visit.known else "new",
        variant={"checkout": visitor.variant},
        consent=visitor.consent,
        user_agent=visitor.crawler or visit.device.user_agent,
        properties={"sku": item.sku, "category": item.category} if item else None,
    )
    if step.name == "session_start":
        event.landing_page, event.referrer = step.page, visit.channel.referrer or None
    if order:
        event.order_id, event.currency = order.order_id, order.currency
        event.revenue = f"{order.cents / 100:.2f}" if step.server else order.cents / 100
    return event
