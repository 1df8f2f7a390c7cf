"""`funnelwatch inspect TOPIC or FILE`: what is in there, and how funnelwatch would read it. Changes nothing anywhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console

from schemas.errors import ConfigError
from schemas.settings import Settings
from schemas.toml import toml_value
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.inspect.finding import Finding, find
from streams.inspect.sample import of_file, of_topic
from streams.inspect.texts import MAPPING_FILE, funnels_text, mapping_text, source_text
from streams.inspect.view import show

EPILOG = """\b
Examples:
  funnelwatch inspect clickstream --set kafka.servers=broker:9092
  funnelwatch inspect events.csv.gz --write .
  funnelwatch inspect orders --set registry.url=http://registry:8081 --json
"""


@click.command("inspect", epilog=EPILOG)
@click.argument("name", metavar="TOPIC|FILE")
@settings_options
@click.option(
    "--records", type=click.IntRange(1, 1_000_000), default=5_000, show_default=True, help="Most that are looked at."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, ASCII only.")
@click.option(
    "--write", "folder", metavar="FOLDER", type=click.Path(path_type=Path, file_okay=False),
    help="Write what is proposed there: settings, mapping and a draft of funnels. Nothing is overwritten.",
)  # fmt: skip
def inspect(
    *, name: str, config: Path | None, pairs: tuple[str, ...], records: int, as_json: bool, folder: Path | None
) -> None:
    """Look at a topic or a FILE before anything is set up.

    Recognises the encoding, proposes the source's settings and a mapping, and says what share of the records would be dead
    letters, and why. Of a topic it reads the newest records: no consumer group, no commit, nothing is created.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        topic = not Path(name).exists()
        if topic and ("/" in name or Path(name).suffix in (".gz", ".csv", ".json", ".jsonl", ".log", ".tsv", ".txt")):
            raise ConfigError(name, "no such file", "check the path; without a path, a topic's name is meant")
        sample = of_topic(settings.kafka, name, records) if topic else of_file(Path(name), records)
        finding = find(sample, settings)
        written = write(finding, folder, settings, topic=topic) if folder is not None else []
    if as_json:
        click.echo(json.dumps(document(finding, topic=topic), default=str))
    else:
        show(finding, Console(file=sys.stdout, highlight=False), topic=topic)
    for path in written:
        click.echo(f"wrote {path}", err=True)


def document(finding: Finding, *, topic: bool) -> dict[str, object]:
    """The finding as JSON, with the texts that it proposes."""
    found: dict[str, object] = msgspec.to_builtins(finding)
    found["mapping"] = mapping_text(finding.mapping) if finding.mapping is not None else None
    found["sources"] = source_text(finding) if topic and finding.format is not None else None
    found["funnels"] = funnels_text(finding) or None
    return found


def write(finding: Finding, folder: Path, settings: Settings, *, topic: bool) -> list[Path]:
    """Writes the proposed files. Raises ConfigError if one is there already, or can't be written."""
    if finding.format is None:
        raise ConfigError(finding.name, "its encoding is not known, so there is nothing to write", "see what it holds")
    texts = {}
    if topic:
        texts["funnelwatch.toml"] = f"[kafka]\nservers = {toml_value(settings.kafka.servers)}\n\n{source_text(finding)}"
        if settings.registry.url:
            texts["funnelwatch.toml"] += f"\n[registry]\nurl = {toml_value(settings.registry.url)}\n"
    if finding.mapping is not None:
        texts[MAPPING_FILE] = mapping_text(finding.mapping)
    texts["funnels.toml"] = funnels_text(finding)
    wanted = {folder / name: text for name, text in texts.items() if text}
    there = next((path for path in wanted if path.exists()), None)
    if there is not None:
        raise ConfigError(str(there), "is there already", "nothing was written; name another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(folder), f"can't be written: {error.strerror}", "name another folder") from None
    return list(wanted)
