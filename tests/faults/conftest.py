"""A broker behind proxies, for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.__main__ import NAMES
from tests.faults.broker import ProxiedKafka


@pytest.fixture(scope="package")
def kafka(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedKafka]:
    """A broker of this folder's own: it is stalled, and its clients are cut off."""
    with ProxiedKafka(tmp_path_factory.mktemp("kafka"), NAMES) as running:
        yield running
