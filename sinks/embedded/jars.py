"""Apache Kafka's jars: fetched once from Maven Central, checked against the digests in this package, kept in a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from schemas.errors import SinkError

KAFKA_VERSION = "4.1.1"
#: The broker, and a logger (without one Kafka's log is dropped, and with it the reason why it did not start).
COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"
DIGESTS = Path(__file__).with_name("kafka.sha256")


def cache_directory() -> Path:
    """`EMBEDDED_KAFKA_CACHE`, else `.cache` in the clone, else the user's cache when installed as a package."""
    if named := os.environ.get("EMBEDDED_KAFKA_CACHE"):
        return Path(named)
    clone = Path(__file__).parents[2]
    if (clone / "pyproject.toml").is_file():
        return clone / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "funnelwatch"


def jar_directory() -> Path:
    return cache_directory() / f"kafka-{KAFKA_VERSION}"


def fetched() -> bool:
    return jar_directory().is_dir()


def fetch() -> Path:
    """The folder with the broker's jars (about 45 MB); fetches and checks them when they are not in the cache.

    Raises SinkError when Maven Central can't be reached or a jar is not the one that this version was made with.
    """
    target = jar_directory()
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as scratch:
        fresh = Path(scratch) / "jars"
        fresh.mkdir()
        for jar in _download(Path(scratch)):
            shutil.copy2(jar, fresh / jar.name)
        _check(fresh)
        try:
            fresh.rename(target)  # atomic: another process sees all the jars or none
        except OSError:
            if not target.is_dir():  # somebody else was faster: theirs are checked as well
                raise
    return target


def _download(scratch: Path) -> list[Path]:
    try:
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.env import EnvironmentBuilder, LinkStrategy
        from jgo.maven import MavenContext
    except ImportError as error:
        raise SinkError(f"the embedded Kafka needs {error.name}: pip install 'funnelwatch[embedded]'") from error
    try:
        context = MavenContext(repo_cache=scratch / "m2", remote_repos={"central": MAVEN_CENTRAL_URL}, timeout=60)
        builder = EnvironmentBuilder(context, cache_dir=scratch / "jgo", link_strategy=LinkStrategy.HARD)
        environment = builder.from_endpoint(COORDINATES)
    except Exception as error:  # jgo documents no exception type of its own: network, POM and file errors alike
        raise SinkError(
            f"Kafka {KAFKA_VERSION} can't be fetched from Maven Central: {type(error).__name__}: {error}; "
            "check the network, or use a broker of your own (see `[kafka]` in funnelwatch.toml)"
        ) from error
    return [jar for folder in ("jars", "modules") for jar in sorted((Path(environment.path) / folder).glob("*.jar"))]


def _check(folder: Path) -> None:
    """Every jar must be listed with its digest, and every listed jar be there."""
    expected = {name: digest for digest, name in map(str.split, DIGESTS.read_text().splitlines())}
    actual = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    for name in sorted(expected.keys() | actual.keys()):
        if expected.get(name) != actual.get(name):
            raise SinkError(
                f"{name}: SHA-256 is {actual.get(name, 'missing')}, expected {expected.get(name, 'no such jar')}; "
                "something between here and Maven Central alters downloads"
            )
