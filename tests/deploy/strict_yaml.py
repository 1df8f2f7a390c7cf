"""YAML as Docker Compose, Kubernetes and Prometheus read it: a key that stands twice in one mapping is refused. PyYAML takes the last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

import yaml


class StrictLoader(yaml.SafeLoader):
    """Raises yaml.constructor.ConstructorError for a key that stands twice; one that is merged in (`<<`) may be given again."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        own = Counter(key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge")
        if twice := [key for key, times in own.items() if times > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def load(text: str) -> Any:
    """The one document of `text`."""
    return yaml.load(text, StrictLoader)  # noqa: S506 - a safe loader


def load_all(text: str) -> list[Any]:
    return list(yaml.load_all(text, StrictLoader))
