"""A rule file as YAML, deterministic: texts as JSON strings (which are YAML), expressions as blocks that people read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from schemas.rules.model import Alert, Group, Record, RuleFile


def render(rules: RuleFile) -> str:
    """The file's text, ending with a line break."""
    return "\n".join([*(f"# {line}" for line in rules.heading), "groups:", *_each(rules.groups), ""])


def _each(groups: tuple[Group, ...]) -> Iterator[str]:
    for group in groups:
        yield f"  - name: {_text(group.name)}"
        yield f"    interval: {group.interval}"
        yield "    rules:"
        for rule in group.rules:
            yield from _record(rule) if isinstance(rule, Record) else _alert(rule)


def _record(rule: Record) -> Iterator[str]:
    yield f"      - record: {rule.name}"
    yield from _expression(rule.expression)
    yield from _mapping("labels", rule.labels)


def _alert(rule: Alert) -> Iterator[str]:
    yield f"      - alert: {rule.name}"
    yield from _expression(rule.expression)
    if rule.wait:
        yield f"        for: {rule.wait}"
    if rule.keep:
        yield f"        keep_firing_for: {rule.keep}"
    yield from _mapping("labels", rule.labels)
    yield from _mapping("annotations", rule.annotations)


def _expression(expression: str) -> Iterator[str]:
    """A block scalar keeps what stands in it, but for characters that YAML takes for line breaks or refuses."""
    if not all(line.isprintable() for line in expression.splitlines()):
        yield f"        expr: {_text(expression)}"
        return
    yield "        expr: |-"
    for line in expression.split("\n"):
        yield f"          {line}"


def _mapping(key: str, values: Mapping[str, str]) -> Iterator[str]:
    if values:
        yield f"        {key}:"
        yield from (f"          {name}: {_text(value)}" for name, value in values.items())


def _text(text: str) -> str:
    """A JSON string; what YAML would not take raw inside quotes (C1 controls, line separators) is escaped."""
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in json.dumps(text, ensure_ascii=False))
