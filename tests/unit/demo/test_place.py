"""The demo's folder: never anybody else's files, never two demos in one."""

from pathlib import Path

import pytest
from msgspec import structs

from schemas.definitions import load_funnels
from schemas.errors import ConfigError
from schemas.funnel import Unit
from schemas.settings import load_settings
from streams.demo.place import MARK, Addresses, claim, free_addresses, write_files

AT = Addresses("127.0.0.1:19092", "http://127.0.0.1:18123", "127.0.0.1:16066", "127.0.0.1:16067")


def test_its_own_folder_is_emptied_unless_it_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "demo-data"
    claim(folder, keep=False).close()
    (folder / "kafka").mkdir()
    (folder / "kafka" / "log").write_text("x")
    (folder / "run.log").write_text("x")
    claim(folder, keep=True).close()
    assert sorted(path.name for path in folder.iterdir()) == [MARK, "kafka", "run.log"]
    claim(folder, keep=False).close()
    assert [path.name for path in folder.iterdir()] == [MARK]


def test_what_a_link_leads_to_is_left_alone(tmp_path: Path) -> None:
    folder, outside = tmp_path / "demo-data", tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    claim(folder, keep=False).close()
    (folder / "link").symlink_to(outside)
    claim(folder, keep=False).close()
    assert (outside / "precious").read_text() == "x"
    assert not (folder / "link").exists()


@pytest.mark.parametrize("keep", [True, False])
def test_a_folder_with_other_files_is_refused(tmp_path: Path, keep: bool) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(ConfigError) as refused:
        claim(tmp_path, keep=keep)
    assert str(refused.value) == f"{tmp_path}: holds files that are no demo's; name another --directory"
    assert (tmp_path / "thesis.tex").read_text() == "x"


def test_a_second_demo_is_refused(tmp_path: Path) -> None:
    with claim(tmp_path, keep=False):
        (tmp_path / "run.log").write_text("x")
        with pytest.raises(ConfigError, match="another demo runs in it"):
            claim(tmp_path, keep=False)
        assert (tmp_path / "run.log").exists()
    claim(tmp_path, keep=False).close()


def test_the_files_are_good_settings(tmp_path: Path) -> None:
    settings = load_settings(write_files(tmp_path, AT), {}, {})
    assert settings.kafka.servers == ("127.0.0.1:19092",)
    assert settings.clickhouse.url == "http://127.0.0.1:18123"
    assert (settings.web.listen, settings.web.sink_listen) == ("127.0.0.1:16066", "127.0.0.1:16067")
    assert settings.web.alertmanager == ""
    alarmed = load_settings(write_files(tmp_path, structs.replace(AT, alertmanager="127.0.0.1:19093")), {}, {})
    assert alarmed.web.alertmanager == "http://127.0.0.1:19093"
    assert [(source.topic, source.keyed_by) for source in settings.sources] == [("clickstream", Unit.SESSION)]
    funnels = load_funnels(settings.funnels)
    assert [funnel.name for funnel in funnels] == ["purchase", "newsletter", "lead-form"]
    # The demo breaks its figures down by both, and its fault must show within minutes.
    assert all({"device", "channel"} <= set(funnel.dimensions) for funnel in funnels)
    assert {funnel.window for funnel in funnels} == {30 * 60_000}


def test_addresses_are_distinct() -> None:
    assert len(set(free_addresses(5))) == 5
