"""The alerts of this site, as Alertmanager has them: asked every ten seconds, while somebody looks."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime

import aiohttp
import msgspec

from schemas.metrics import CROSS, DIMENSION, FUNNEL, SITE, STAGE, VALUE
from sinks.prometheus.labels import clean
from streams.live.picture import Alert, Alerts

#: Seconds between two questions, longest wait for an answer, and bytes of it that are read.
EVERY, PATIENCE, LARGEST = 10.0, 5.0, 4 * 1024 * 1024
#: Alerts that are shown at most, and characters of each text.
MOST, LONGEST = 50, 400
#: What a severity is worth when alerts are put in order; `none` (the watchdog) is left out.
ORDER = {"page": 0, "critical": 0, "ticket": 1, "warning": 1}


class _Firing(msgspec.Struct):
    """What is used of Alertmanager's `gettableAlert` (API v2)."""

    labels: dict[str, str]
    annotations: dict[str, str]
    startsAt: datetime  # noqa: N815 - Alertmanager's name


_decode = msgspec.json.Decoder(list[_Firing]).decode


class AlertReader:
    """Asks `url` (Alertmanager's; "" for none) for the alerts of `site`. `now`: what it last said."""

    def __init__(self, url: str, site: str) -> None:
        self._url, self._site = url, site
        self.now = Alerts("asking" if url else "off")

    async def keep_asking(self) -> None:
        """Until it is cancelled."""
        if not self._url:
            return
        timeout = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=True) as session:
            while True:
                self.now = await self._ask(session)
                await asyncio.sleep(EVERY)

    async def _ask(self, session: aiohttp.ClientSession) -> Alerts:
        asked = {"active": "true", "silenced": "false", "inhibited": "false", "filter": matcher(SITE, self._site)}
        try:
            async with session.get(f"{self._url}/api/v2/alerts", params=asked, allow_redirects=False) as answer:
                if answer.status != 200:
                    return Alerts("failed", f"Alertmanager answers {answer.status}")
                body = await read_at_most(answer.content, LARGEST)
            return Alerts("known", items=sorted_alerts(_decode(body)))
        except TimeoutError:
            return Alerts("failed", f"Alertmanager does not answer within {PATIENCE:.0f} s")
        except (aiohttp.ClientError, OSError) as error:
            return Alerts("failed", clean(f"Alertmanager can't be reached: {error or type(error).__name__}"))
        except (msgspec.DecodeError, ValueError):
            return Alerts("failed", "what answers at [web] alertmanager is no Alertmanager")


async def read_at_most(content: aiohttp.StreamReader, largest: int) -> bytes:
    """The whole body. Raises ValueError for more than `largest` bytes."""
    body = bytearray()
    async for part in content.iter_chunked(65_536):
        body += part
        if len(body) > largest:
            raise ValueError("too long")
    return bytes(body)


def matcher(label: str, value: str) -> str:
    """Alertmanager's matcher for one value of a label."""
    return f"{label}={json.dumps(value, ensure_ascii=False)}"


def sorted_alerts(firing: list[_Firing]) -> tuple[Alert, ...]:
    """The most urgent first, of those the newest."""
    found = [shown(alert) for alert in firing if alert.labels.get("severity") != "none"]
    found.sort(key=lambda alert: (ORDER.get(alert.severity, 2), -alert.since, alert.name, alert.where))
    return tuple(found[:MOST])


def shown(alert: _Firing) -> Alert:
    labels = alert.labels
    stage = labels.get(STAGE, "")
    if stage and labels.get("next_stage"):
        stage += f" → {labels['next_stage']}"
    value = labels.get(VALUE, "")
    segment = f"{labels.get(DIMENSION, '')} {value.replace(CROSS, f' {CROSS} ')}" if value and value != "all" else ""
    summary = alert.annotations.get("summary") or alert.annotations.get("description") or labels.get("alertname", "")
    return Alert(
        clean(labels.get("alertname", "")), clean(labels.get("severity", "")),
        clean(labels[FUNNEL]) if FUNNEL in labels else "",
        ", ".join(clean(part) for part in (stage, segment.strip()) if part), clean_text(summary),
        int(alert.startsAt.timestamp() * 1000),
    )  # fmt: skip


def clean_text(text: str) -> str:
    """A sentence from outside: printable, on one line, bounded."""
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
