"""Alerts on what feeds the others: events that stand still, metrics that are gone, refused records, the sink, and a
watchdog that proves that the chain of alerts is whole."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.funnel import Funnel
from schemas.metrics import (
    ALL,
    ATTEMPTS_STARTED,
    BUILD_INFO,
    CHUNK_RECORDS,
    CONSUMER_LAG,
    COUNTING_LATENCY,
    DEAD_LETTERS,
    DIMENSION,
    EVENTS,
    EXPECTATION_READY,
    FUNNEL,
    SINK_ERRORS,
    SINK_QUEUE_AGE,
    SINK_ROWS,
    SITE,
    STAGE_EXPECTED_CONVERSIONS,
    WATERMARK,
)
from schemas.rules import names as n
from schemas.rules.drop_alerts import KEEP, PAGE, TICKET, WAIT
from schemas.rules.model import DAY, HOUR, MINUTE, Alert, Links, Scale
from schemas.rules.promql import lines, select
from schemas.rules.texts import Texts, literal

STALL = 10 * MINUTE
EXPECTED_RECORDS = 20  # in STALL, by the hour before: with fewer, silence proves nothing
ABSENT = 5 * MINUTE
DEAD_LETTER_SPAN = 15 * MINUTE
DEAD_LETTERS_AT_LEAST, DEAD_LETTER_JUMP, DEAD_LETTER_SHARE = 20, 5, 0.01
SINK_SPAN, SINK_AGE = 10 * MINUTE, 15 * MINUTE


class Pipeline:
    """The alerts of one site's pipeline."""

    def __init__(self, site: str, texts: Texts, links: Links, scale: Scale) -> None:
        self._site, self._of_site, self._texts, self._scale = site, {SITE: site}, texts, scale
        self._operators = literal(links.operators)

    def alerts(self, funnels: Sequence[Funnel]) -> list[Alert]:
        """All of them."""
        return [
            self._stalled(), self._absent(funnels), self._expectation_absent(), self._dead_letters(), self._sink(),
            self._watchdog(),
        ]  # fmt: skip

    def _stalled(self) -> Alert:
        """Records wait and are not worked on, are worked on far too late, or none come in where many came before.

        A partition's watermark alone proves nothing: at night it may be old because nobody is there.
        """
        stall = self._scale.duration(STALL)
        lag, watermark = select(CONSUMER_LAG, **self._of_site), select(WATERMARK, **self._of_site)
        chunks = f"increase({select(CHUNK_RECORDS.name + '_count', **self._of_site)}[{stall}])"
        latency = f"increase({select(COUNTING_LATENCY.name + '_bucket', **self._of_site)}[{stall}])"
        records, before = (
            f"max by ({SITE}) (sum by ({SITE}, {FUNNEL}) (increase({select(EVENTS, **self._of_site)}{over})))"
            for over in (f"[{stall}]", f"[{self._scale.duration(HOUR)}] offset {stall}")
        )
        least = EXPECTED_RECORDS * (HOUR // STALL)
        waiting = f'label_replace(min_over_time({lag}[{stall}]) > 0, "log", "$1", "topic", "(.+)")'
        old = f"time() - {watermark} > {self._scale.seconds(STALL)}"
        expression = lines(
            f"count by ({SITE}) (({old}) and on ({SITE}, log, partition) {waiting}) > 0",
            f"or (sum by ({SITE}) ({chunks}) == 0 and sum by ({SITE}) (min_over_time({lag}[{stall}])) > 0)",
            f"or histogram_quantile(0.5, sum by ({SITE}, le) ({latency})) > {self._scale.seconds(STALL)}",
            f"or ({records} == 0 and {before} >= {least})",
        )
        checks = (
            "Figures and alerts of conversion stand still until this is over: nothing is lost, Kafka keeps the events.",
            "`funnelwatch lag` shows where records wait; the worker's log says why.",
            "Nothing waits and nothing comes? Then the collector in front of Kafka, or the site itself, is down.",
        )
        return self._alert(n.INGEST_STALLED, expression, PAGE, "Events stand still: no figures are up to date", *checks)

    def _absent(self, funnels: Sequence[Funnel]) -> Alert:
        span = self._scale.duration(ABSENT)
        info = f"absent_over_time({select(BUILD_INFO, **self._of_site)}[{span}])"
        each = [
            f"absent_over_time({select(ATTEMPTS_STARTED, **self._of_site, **{FUNNEL: funnel.name, DIMENSION: ALL})}[{span}])"
            for funnel in funnels
        ]
        checks = (
            "Nobody is warned of a fall while this lasts.",
            "Does the worker run, and does Prometheus reach its /metrics? (Prometheus, Status, Targets)",
            "A funnel alone is missing: the worker runs with other definitions than those of these rules.",
        )
        summary = "Metrics are gone: {{ with $labels.funnel }}funnel {{ . }}{{ else }}the whole worker{{ end }}"
        expression = "\nor ".join(f"min by ({SITE}, {FUNNEL}) ({part})" for part in [info, *each])
        return self._alert(n.METRICS_ABSENT, expression, PAGE, summary, *checks)

    def _expectation_absent(self) -> Alert:
        """Nothing is expected of a funnel, and its history is not growing towards it either."""
        expected = select(STAGE_EXPECTED_CONVERSIONS, **self._of_site, **{DIMENSION: ALL})
        expression = lines(
            f"count by ({SITE}, {FUNNEL}) ({select(n.THRESHOLD, **self._of_site)})",
            f"unless on ({SITE}, {FUNNEL}) count by ({SITE}, {FUNNEL}) ({expected})",
            f"unless on ({SITE}, {FUNNEL}) count by ({SITE}, {FUNNEL}) "
            f"({select(EXPECTATION_READY, **self._of_site)} > time())",
        )
        checks = (
            "Does the sink run, and does it reach ClickHouse? It learns from the history there; its log says what is wrong.",
            "Years of history elsewhere? `funnelwatch seed` learns from files, and need not be waited for.",
        )
        summary = "{{ $labels.funnel }}: no expected conversions, so no fall of its rates can be told"
        return self._alert(n.EXPECTATION_ABSENT, expression, TICKET, summary, *checks, wait=HOUR)

    def _dead_letters(self) -> Alert:
        span, day = self._scale.duration(DEAD_LETTER_SPAN), self._scale.duration(DAY)
        letters = select(DEAD_LETTERS, **self._of_site)
        now = f"sum by ({SITE}, source) (increase({letters}[{span}]))"
        usual = f"sum by ({SITE}, source) (increase({letters}[{day}] offset {span})) / {DAY // DEAD_LETTER_SPAN}"
        records = f"max by ({SITE}) (sum by ({SITE}, {FUNNEL}) (increase({select(EVENTS, **self._of_site)}[{span}])))"
        expression = lines(
            f"{now} >= {DEAD_LETTERS_AT_LEAST}",
            f"unless {now} <= {DEAD_LETTER_JUMP} * {usual}",
            f"unless on ({SITE}) {now} <= on ({SITE}) group_left () {DEAD_LETTER_SHARE} * {records}",
        )
        reason = (
            f"{{{{ with printf `topk(1, sum by (reason) (increase({DEAD_LETTERS.name}{{{SITE}=%q,source=%q}}[{span}])))` "
            f'$labels.{SITE} $labels.source | query }}}}{{{{ . | first | label "reason" }}}}{{{{ end }}}}'
        )
        summary = f'{{{{ $value | printf "%.0f" }}}} records of {{{{ $labels.source }}}} were refused lately, most as {reason}'
        checks = (
            "Refused records are in no figure, so rates may look lower than they are.",
            "`funnelwatch dead-letters list` shows them; what was released on the sending side?",
        )
        return self._alert(n.DEAD_LETTERS_RISING, expression, PAGE, summary, *checks)

    def _sink(self) -> Alert:
        span = self._scale.duration(SINK_SPAN)
        errors = f"sum by ({SITE}) (increase({select(SINK_ERRORS, **self._of_site)}[{span}]))"
        rows = f"sum by ({SITE}) (increase({select(SINK_ROWS, **self._of_site)}[{span}]))"
        age = f"max by ({SITE}) ({select(SINK_QUEUE_AGE, **self._of_site)})"
        expression = f"({errors} > 0 and {rows} == 0)\nor {age} > {self._scale.seconds(SINK_AGE)}"
        checks = (
            "Reports and tables stand still; live figures and alerts do not, and nothing is lost.",
            "Does ClickHouse answer, and has its disk room? The sink's log repeats its error.",
        )
        return self._alert(n.SINK_FAILING, expression, TICKET, "Nothing reaches ClickHouse", *checks)

    def _watchdog(self) -> Alert:
        """Always fires: whoever stops receiving it knows that the chain is broken."""
        summary = "Alerting works: this one always fires"
        annotations = {"summary": summary, "runbook_url": self._texts.runbook(n.WATCHDOG)}
        labels = {"severity": "none", SITE: literal(self._site), n.TEAM: self._operators}
        return Alert(n.WATCHDOG, "vector(1)", labels, annotations)

    def _alert(self, name: str, expression: str, severity: str, summary: str, *checks: str, wait: int = WAIT) -> Alert:
        labels = {"severity": severity, SITE: literal(self._site), n.TEAM: self._operators}
        annotations = self._texts.plain(name, summary, *checks, funnel=False)
        return Alert(name, expression, labels, annotations, self._scale.duration(wait), self._scale.duration(KEEP))
