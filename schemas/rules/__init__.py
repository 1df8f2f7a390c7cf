"""Prometheus rules from definitions and settings: recording rules, and the alerts that read them. Pure.

The way of the data: model (values, durations) ◀─ definition, windows, drop, responsible, figures, floor, traffic,
pipeline (one kind of rule each) ◀─ files.rule_file ─▶ yaml.render.
"""

from schemas.rules.files import rule_file
from schemas.rules.model import Alert, Group, Links, Record, RuleFile, Scale
from schemas.rules.yaml import render

__all__ = ["Alert", "Group", "Links", "Record", "RuleFile", "Scale", "render", "rule_file"]
