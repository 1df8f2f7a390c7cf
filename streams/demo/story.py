"""What happens in the demo, told line by line: the bug, the page that somebody gets, the fix, the recovery."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

from streams.traffic import Fault

#: Lines that are shown under the funnel.
SHOWN = 6


class Story:
    """Lines in the order in which they were told, each with the clock's time in UTC, which is the shop's. Any thread may tell."""

    def __init__(self, fault: Fault | None = None) -> None:
        self._fault, self._lock = fault, Lock()
        self._lines: list[str] = []
        self._fetched = 0
        self._told: set[str] = set()
        self._open: set[str] = set()

    def tell(self, text: str) -> None:
        """Adds a line; a break in it begins another one."""
        now = time.strftime("%H:%M:%S UTC", time.gmtime())
        first, *more = text.splitlines()
        with self._lock:
            self._lines += [f"{now}  {first}", *(f"              {line}" for line in more)]

    def reached(self, watermark: int | None) -> None:
        """Event time has come so far (ms): the bug and its fix are told when they are there."""
        fault = self._fault
        if fault is None or watermark is None:
            return
        where = " × ".join(value for _, value in fault.where)
        if watermark >= fault.start_ms:
            self._once(f"a bug goes live: {where} can't get past {fault.stage} ({fault.share_lost:.0%} fail)")
        if watermark >= fault.end_ms:
            self._once("the bug is fixed")

    def alerts(self, message: dict[str, Any]) -> None:
        """Alertmanager's webhook message: a stage and its segments are told once when the first falls, once when all is well."""
        group, alerts = str(message.get("groupKey", "")), message.get("alerts", ())
        firing = [alert for alert in alerts if alert.get("status") == "firing"]
        with self._lock:
            news = bool(alerts) and bool(firing) != (group in self._open)
            if news:
                self._open ^= {group}
        if news:
            self.tell(message_text((firing or alerts)[0]))

    def new(self) -> list[str]:
        """The lines that were not fetched yet."""
        with self._lock:
            found, self._fetched = self._lines[self._fetched :], len(self._lines)
            return found

    def last(self) -> list[str]:
        """The newest lines."""
        with self._lock:
            return self._lines[-SHOWN:]

    def _once(self, text: str) -> None:
        with self._lock:
            if text in self._told:
                return
            self._told.add(text)
        self.tell(text)


def message_text(alert: dict[str, Any]) -> str:
    """One alert of Alertmanager's message in two lines at most."""
    labels, notes = alert.get("labels", {}), alert.get("annotations", {})
    what = notes.get("summary") or labels.get("alertname", "an alert")
    if alert.get("status") == "resolved":
        return f"OVER: {_step(labels) or notes.get('what') or what}"
    text = f"PAGE to team {labels.get('team') or 'shop'}: {what}"
    if notes.get("responsible"):
        text += f"\nresponsible: {notes['responsible']}"
        if notes.get("missing_conversions"):
            missing = [f"about {notes['missing_conversions']} conversions", notes.get("missing_money") or ""]
            text += f"; missing so far: {', '.join(filter(None, missing))}"
    return text


def _step(labels: dict[str, str]) -> str:
    """The step of all alerts of a group: which of its segments was the last to recover says nothing."""
    named = [labels.get(label, "") for label in ("funnel", "funnel_stage", "next_stage")]
    return f"{named[0]}: {named[1]} → {named[2]}" if all(named) else ""
