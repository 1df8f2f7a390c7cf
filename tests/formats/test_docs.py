"""The mappings of docs/formats.md make of their records what the page says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from schemas.decode import DecodeOptions, Format, decoder, load_mapping, mapping_for, read_records
from schemas.decode.options import Format as Formats
from tests.docs.pages import ROOT, tokens
from tests.unit.decode.records import NOW

PAGE = ROOT / "docs" / "formats.md"
LATER = 2 * 365 * 86_400_000
#: Record, mapping and event: three blocks in a row.
BLOCKS = [(token.info, token.content) for token in tokens(PAGE) if token.type == "fence"]
EXAMPLES = [
    (record, toml, event)
    for (kind, record), (middle, toml), (last, event) in zip(BLOCKS, BLOCKS[1:], BLOCKS[2:], strict=False)
    if (kind, middle, last) in (("json", "toml", "json"), ("csv", "toml", "json"))
]


def test_the_page_has_its_examples() -> None:
    assert len(EXAMPLES) == 2
    text = PAGE.read_text()
    assert [form for form in Formats if f"`{form.value}`" not in text] == []


@pytest.mark.parametrize("record, toml, event", EXAMPLES)
def test_an_example_gives_its_event(record: str, toml: str, event: str, tmp_path: Path) -> None:
    file, path = tmp_path / "records", tmp_path / "mapping.toml"
    file.write_text(record if "csv" in toml else json.dumps(json.loads(record)))
    path.write_text(toml)
    mapping = mapping_for(file, Format.MAPPING, load_mapping(path))
    (raw,) = read_records(file, Format.MAPPING, mapping)
    found = decoder(DecodeOptions(format=Format.MAPPING, mapping=mapping))(raw.data, NOW + LATER)
    wanted = decoder(DecodeOptions())(
        json.dumps({**json.loads(event), "event_id": found.event_id}).encode(), NOW + LATER
    )
    assert found == wanted
