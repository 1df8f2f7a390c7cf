"""What is said when the demo can't run here."""

import pytest

from schemas.errors import SinkError
from sinks.embedded import jars
from streams.demo import servers


def test_a_missing_extra_is_one_line_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "find_spec", lambda name: None if name in ("chdb", "jgo") else name)
    monkeypatch.setattr(jars, "fetched", lambda: False)
    with pytest.raises(SinkError) as told:
        servers.check_extra()
    assert str(told.value) == "the demo needs chdb, jgo: pip install 'funnelwatch[embedded]'"


def test_jgo_is_not_needed_once_the_jars_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "find_spec", lambda name: None if name == "jgo" else name)
    monkeypatch.setattr(jars, "fetched", lambda: True)
    servers.check_extra()
