"""Texts of annotations: templates of Prometheus for people who market, not operate.

`since` and the like are times on the site's wall clock, computed by rules: Alertmanager's templates can't convert zones.
A query inside a template reads what the rules before it have recorded.
"""

from __future__ import annotations

from schemas.metrics import ALL, ANNOTATION, DIMENSION, FUNNEL, SITE, STAGE, VALUE
from schemas.rules import names as n
from schemas.rules.model import HOUR, MINUTE, Links, Scale
from schemas.rules.promql import quote

#: Go's layout of a moment: "Sun 22 Nov, 14:05".
_LAYOUT = "Mon 2 Jan, 15:04"

#: What was announced so long before the beginning (or, since that is an estimate, after it) is named beside it.
_BEFORE, _AFTER = 2 * HOUR, 30 * MINUTE

#: Labels that are variables of the dashboard as well.
_VARIABLES = {STAGE: "stage", DIMENSION: "dimension", VALUE: "value"}

_STEP = "{{ $labels.funnel }}: {{ $labels.funnel_stage }} → {{ $labels.next_stage }}"


def literal(text: str) -> str:
    """`text` as a template that yields it, whatever stands in it."""
    return "{{ " + quote(text) + " }}" if "{{" in text or "}}" in text else text


def asked(expression: str, shown: str, *labels: str, otherwise: str = "") -> str:
    """The first result of `expression`, whose `%q` are the alert's `labels` in order, shown by the pipeline `shown`."""
    arguments = " ".join(f"$labels.{label}" for label in labels)
    missing = f"{{{{ else }}}}{otherwise}" if otherwise else ""
    return f"{{{{ with printf `{expression}` {arguments} | query }}}}{shown}{missing}{{{{ end }}}}"


def number(layout: str) -> str:
    return f'{{{{ . | first | value | printf "{layout}" }}}}'


class Texts:
    """The annotations of one site's alerts."""

    def __init__(self, zone: str, currency: str, links: Links, scale: Scale) -> None:
        self._zone, self._currency, self._links, self._scale = zone, currency, links, scale

    def drop(self, alert: str, *, segment: bool) -> dict[str, str]:
        """Of a fall since a moment that the rules know. `segment`: the alert's own labels name the segment."""
        where, labels = _segment_selector(segment=segment)
        fell = asked(f"100 * (1 - {n.RATIO}{where})", number("%.0f") + " %", *labels)
        before = asked(f"100 * {n.RATE_EXPECTED}{where}", number("%.3g") + " %", *labels)
        after = asked(f"100 * {n.RATE_OBSERVED}{where}", number("%.3g") + " %", *labels, otherwise="0 %")
        since = self._moment(f"{n.LOCAL_START}{where}", *labels)
        step = _STEP + (" ({{ $labels.dimension }} {{ $labels.value }})" if segment else "")
        conversions = asked(f"{n.MISSING}{where}", number("%.0f"), *labels)
        money = asked(f"{n.MISSING_VALUE}{where} > 0", self._amount(), *labels, otherwise="unknown")
        return {
            "summary": f"{step} fell {fell} ({before} → {after}) since {since}",
            "what": step,
            "fell": fell,
            "rate_before": before,
            "rate_now": after,
            "since": f"{since} ({self._zone})",
            "change": self._change(f"{n.START}{where}", *labels),
            "responsible": _responsible(),
            "missing_conversions": conversions,
            "missing_money": money if self._currency else "unknown",
            "first_checks": _checks(
                "Walk from {{ $labels.funnel_stage }} to {{ $labels.next_stage }} yourself, as the responsible segment does.",
                "Was anything released, re-priced or sold out since then? Did a campaign start or end?",
                "Look at the dashboard: do other stages or segments fall as well?",
            ),
            **self._links_of(alert, from_start=(where, labels)),
        }

    def plain(self, alert: str, summary: str, *checks: str, funnel: bool) -> dict[str, str]:
        """Of what has a name of its own. `since`: when the alert became pending. `funnel`: it names one."""
        labels = ("funnel",) if funnel else ()
        matched = f'{{alertname="{alert}",{SITE}=%q' + (f",{FUNNEL}=%q" if funnel else "") + "}"
        local = f"max(ALERTS_FOR_STATE{matched}) + max({n.UTC_OFFSET}{{{SITE}=%q}})"
        arguments = (SITE, *labels, SITE)
        since = self._moment(local, *arguments, otherwise="just now")
        return {
            "summary": summary,
            "what": summary,
            "since": f"{since} ({self._zone})",
            "change": self._change(f"ALERTS_FOR_STATE{matched}", SITE, *labels),
            "first_checks": _checks(*checks),
            **self._links_of(alert, from_start=None, funnel=funnel),
        }

    def runbook(self, alert: str) -> str:
        """The section of the runbook."""
        return f"{literal(self._links.runbooks)}#{alert.lower()}"

    def _moment(self, expression: str, *labels: str, otherwise: str = "") -> str:
        shown = f'{{{{ (. | first | value | toTime).Format "{_LAYOUT}" }}}}'
        return asked(expression, shown, *labels, otherwise=otherwise)

    def _change(self, beginning: str, *labels: str) -> str:
        """What was announced nearest before `beginning` (a selector of `labels`): `began 4 min after release 42`; or nothing."""
        minute, before, after = (self._scale.seconds(span) for span in (MINUTE, _BEFORE, _AFTER))
        announced = f"max by (name) ({ANNOTATION.name}{{{SITE}=%q}})"
        passed = f"(max({beginning}) - on () group_right () {announced}) > -{after} < {before}"
        nearest = f"bottomk(1, clamp_min({passed}, 0) / {minute})"
        shown = (
            "began {{ if lt (. | first | value) 1.0 }}at about the time of"
            '{{ else }}{{ . | first | value | printf "%.0f" }} min after{{ end }} {{ . | first | label "name" }}'
        )
        return asked(nearest, shown, *labels, SITE)

    def _amount(self) -> str:
        """A rounded amount with thousands set apart, and the currency."""
        separated = r'reReplaceAll "^(-?\\d+)(\\d{3})$" "$1,$2" | reReplaceAll "^(-?\\d+)(\\d{3})," "$1,$2,"'
        return f'{{{{ . | first | value | printf "%.0f" | {separated} }}}} {self._currency}'

    def _links_of(
        self, alert: str, from_start: tuple[str, tuple[str, ...]] | None, *, funnel: bool = True
    ) -> dict[str, str]:
        hour = self._scale.seconds(HOUR)
        board = "funnel" if funnel else "pipeline"
        link = f"{literal(self._links.dashboards)}/d/funnelwatch-{board}?{_variable('site', SITE)}"
        if funnel:
            link += f"&{_variable('funnel', FUNNEL)}"
        beginning = asked(f"1000 * (time() - {hour})", number("%.0f"))
        if from_start is not None:
            where, labels = from_start
            link += "".join(f"&{_variable(_VARIABLES[label], label)}" for label in labels if label in _VARIABLES)
            beginning = asked(f"1000 * ({n.START}{where} - {hour})", number("%.0f"), *labels)
        now = asked("1000 * time()", number("%.0f"))
        return {
            "dashboard_url": f"{link}&from={beginning}&to={now}",
            "runbook_url": self.runbook(alert),
        }


def _variable(name: str, label: str) -> str:
    """A dashboard's variable, set to the alert's label."""
    return f"var-{name}={{{{ $labels.{label} | urlquery }}}}"


def _segment_selector(*, segment: bool) -> tuple[str, tuple[str, ...]]:
    of_stage = f"{SITE}=%q,{FUNNEL}=%q,{STAGE}=%q"
    if segment:
        return f"{{{of_stage},{DIMENSION}=%q,{VALUE}=%q}}", (SITE, FUNNEL, STAGE, DIMENSION, VALUE)
    return f'{{{of_stage},{DIMENSION}="{ALL}"}}', (SITE, FUNNEL, STAGE)


def _responsible() -> str:
    """The best segment and its posterior: `channel instagram (p = 0.96)`, `most likely …` below 0.9."""
    named = (
        f'{{{{ if eq (label "{DIMENSION}" $best) "{ALL}" }}}}all traffic alike'
        f'{{{{ else }}}}{{{{ label "{DIMENSION}" $best }}}} {{{{ label "{VALUE}" $best }}}}{{{{ end }}}}'
    )
    shown = (
        "{{ $best := first . }}{{ if lt (value $best) 0.9 }}most likely {{ end }}" + named +
        ' (p = {{ value $best | printf "%.2f" }})'
    )  # fmt: skip
    best = f"clamp_max(topk(1, {n.POSTERIOR}{{{SITE}=%q,{FUNNEL}=%q,{STAGE}=%q}}), 0.99)"
    return asked(best, shown, SITE, FUNNEL, STAGE, otherwise="not known yet")


def _checks(*checks: str) -> str:
    return "\n".join(f"{number}. {check}" for number, check in enumerate(checks, 1))
