"""Every setting, said once: name, kind, default and meaning. The reference in `docs/settings.md` is made from this.

`K(kind, meaning)` beside a field's type is what the loader reads with and what the reference prints.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from schemas.decode.options import Format
from schemas.expectation.calendar import Calendar
from schemas.funnel import Unit
from schemas.settings import kinds as k
from schemas.settings.rates import Rates
from schemas.settings.secret import Secret


class K(msgspec.Struct, frozen=True):
    """What stands beside a field: how it is read, and what it means (Markdown, one line)."""

    kind: k.Kind
    meaning: str


class SecurityProtocol(StrEnum):
    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"


class SaslMechanism(StrEnum):
    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"
    OAUTHBEARER = "OAUTHBEARER"


class Compression(StrEnum):
    NONE = "none"
    GZIP = "gzip"
    LZ4 = "lz4"
    SNAPPY = "snappy"
    ZSTD = "zstd"


class Start(StrEnum):
    EARLIEST = "earliest"
    LATEST = "latest"


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Kafka(msgspec.Struct, frozen=True, kw_only=True):
    """The brokers, how to log in there, and what funnelwatch creates there."""

    servers: Annotated[tuple[str, ...], K(k.SERVERS, "Bootstrap servers.")] = ("localhost:9092",)
    topic_prefix: Annotated[str, K(k.TOPIC_PREFIX, "Begins the name of each topic that funnelwatch creates.")] = (
        "funnelwatch."
    )
    group_prefix: Annotated[str, K(k.TOPIC_PREFIX, "Begins the name of each consumer group.")] = "funnelwatch."
    instance_id: Annotated[
        str,
        K(
            k.TEXT,
            "Static membership: this worker's own name in its group, the same after a restart. Empty: host name and port.",
        ),
    ] = ""
    replication_factor: Annotated[
        int, K(k.integer(1, 32767), "Copies of each topic that is created. A single broker needs 1.")
    ] = 3
    partitions: Annotated[
        int,
        K(k.integer(1, 10_000), "Partitions of each internal topic. Fixed once created: state is kept by partition."),
    ] = 8
    security_protocol: Annotated[SecurityProtocol, K(k.choice(SecurityProtocol), "Encryption and log-in.")] = (
        SecurityProtocol.PLAINTEXT
    )
    sasl_mechanism: Annotated[
        SaslMechanism, K(k.choice(SaslMechanism), "How to log in; used with the two SASL protocols.")
    ] = SaslMechanism.SCRAM_SHA_512
    user: Annotated[str, K(k.TEXT, "SASL user; with `oauth_url` the client's id.")] = ""
    password: Annotated[Secret, K(k.SECRET, "SASL password; with `oauth_url` the client's secret.")] = Secret()
    oauth_token_file: Annotated[
        Path | None, K(k.PATH, "OAUTHBEARER: file with the token, read anew at each log-in. Or else `oauth_url`.")
    ] = None
    oauth_url: Annotated[
        str,
        K(
            k.URL,
            "OAUTHBEARER: where tokens are got with client credentials (RFC 6749, 4.4). https, but on this machine.",
        ),
    ] = ""
    oauth_scope: Annotated[
        str, K(k.TEXT, "Scope of the tokens that `oauth_url` is asked for. Empty: none is named.")
    ] = ""
    ca: Annotated[Path | None, K(k.PATH, "PEM file of the authority that signed the brokers' certificates.")] = None
    cert: Annotated[Path | None, K(k.PATH, "PEM file of this client's certificate (mutual TLS).")] = None
    key: Annotated[Path | None, K(k.PATH, "PEM file of this client's private key.")] = None
    key_password: Annotated[Secret, K(k.SECRET, "Password of the private key.")] = Secret()
    check_hostname: Annotated[bool, K(k.FLAG, "Whether the broker's certificate must name its host.")] = True
    chunk_records: Annotated[
        int,
        K(
            k.integer(1, 1_000_000),
            "Most records that are worked on together: more cost less each, but take more memory, and show later.",
        ),
    ] = 20_000
    fetch_wait: Annotated[
        int,
        K(
            k.DURATION,
            "Longest that a fetch waits for more records: longer means fewer, larger chunks, and later counts.",
        ),
    ] = 250
    fetch_bytes: Annotated[int, K(k.integer(1024, 2**31 - 1), "Most bytes of one partition in one fetch.")] = 4_194_304
    batch_bytes: Annotated[
        int,
        K(k.integer(1024, 2**31 - 1), "Most bytes of a record batch written. At most the broker's message.max.bytes."),
    ] = 524_288
    compression: Annotated[Compression, K(k.choice(Compression), "Of the batches that funnelwatch writes.")] = (
        Compression.NONE
    )
    request_timeout: Annotated[int, K(k.DURATION, "Longest wait for a broker's answer.")] = 30_000
    session_timeout: Annotated[
        int, K(k.DURATION, "After this silence a worker counts as gone and others take over its partitions.")
    ] = 45_000
    rebalance_timeout: Annotated[
        int, K(k.DURATION, "Longest time that workers get to agree on partitions. Longer than any call to ClickHouse.")
    ] = 90_000


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A topic with events."""

    topic: Annotated[str, K(k.TOPIC, "Name of the topic. Needed.")]
    format: Annotated[
        Format,
        K(
            k.choice(Format),
            "How its records are encoded. `auto`: native JSON, CloudEvents or Segment, told apart. `confluent`: Avro, Protobuf "
            "or JSON Schema, told apart by the schema registry.",
        ),
    ] = Format.AUTO
    mapping: Annotated[
        Path | None,
        K(k.PATH, "Mapping file: from the records' own fields to those of events. Empty: they fit as they are."),
    ] = None
    keyed_by: Annotated[
        Unit | None,
        K(
            k.choice(Unit, empty=True),
            "The unit whose id is each record's key: a single source so declared needs no internal topic. Empty: any.",
        ),
    ] = None
    idle_after: Annotated[
        int, K(k.DURATION, "After this silence a partition no longer holds back the watermark of the others.")
    ] = 60_000
    start: Annotated[
        Start, K(k.choice(Start), "Where a new consumer group begins: with all that Kafka keeps, or with what comes.")
    ] = Start.EARLIEST


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """The schema registry of Avro, Protobuf and JSON Schema records (`format = "confluent"`). While it can't be reached, they wait."""

    url: Annotated[str, K(k.URL, "Its REST API. Needed with `confluent` sources.")] = ""
    user: Annotated[str, K(k.TEXT, "User name, or API key.")] = ""
    password: Annotated[Secret, K(k.SECRET, "Password, or the key's secret.")] = Secret()
    ca: Annotated[Path | None, K(k.PATH, "PEM file of the authority that signed its certificate.")] = None
    timeout: Annotated[int, K(k.DURATION, "Longest wait for an answer, before it is asked again.")] = 10_000


class ClickHouse(msgspec.Struct, frozen=True, kw_only=True):
    """The database of transitions and reports."""

    url: Annotated[str, K(k.URL, "HTTP interface.")] = "http://localhost:8123"
    user: Annotated[str, K(k.TEXT, "User name.")] = "default"
    password: Annotated[Secret, K(k.SECRET, "Password.")] = Secret()
    database: Annotated[str, K(k.DATABASE, "Database of all tables.")] = "funnelwatch"
    ca: Annotated[Path | None, K(k.PATH, "PEM file of the authority that signed its certificate.")] = None
    cluster: Annotated[
        str, K(k.CLUSTER, "Cluster for `ON CLUSTER` and replicated engines. Empty: a single server.")
    ] = ""
    timeout: Annotated[int, K(k.DURATION, "Longest wait for an answer.")] = 30_000
    flush_rows: Annotated[
        int,
        K(
            k.integer(1, 1_000_000),
            "Rows that an insert waits for, unless `flush_after` comes first. Up to a chunk of each topic more may come with them.",
        ),
    ] = 10_000
    flush_after: Annotated[int, K(k.DURATION, "Longest time that a row waits for others.")] = 1_000
    events: Annotated[
        bool, K(k.FLAG, "Whether events themselves are stored. `forget` finds a visitor's sessions in them.")
    ] = True
    events_ttl_days: Annotated[int, K(k.integer(0, 36_500), "Days that `events` keeps rows; 0 = for ever.")] = 90
    transitions_ttl_days: Annotated[
        int, K(k.integer(0, 36_500), "Days that `transitions` keeps rows; 0 = for ever.")
    ] = 400
    attempts_ttl_days: Annotated[int, K(k.integer(0, 36_500), "Days that `attempts` keeps rows; 0 = for ever.")] = 400
    dead_letters_ttl_days: Annotated[
        int, K(k.integer(0, 36_500), "Days that `dead_letters` keeps rows; 0 = for ever.")
    ] = 30


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """The worker's own pages: metrics, health, the live funnel."""

    listen: Annotated[str, K(k.ADDRESS, "Where it listens. All addresses: `0.0.0.0:6066`.")] = "127.0.0.1:6066"
    sink_listen: Annotated[
        str, K(k.ADDRESS, "Where the sink, a process of its own, serves its metrics and health.")
    ] = "127.0.0.1:6067"
    external_url: Annotated[str, K(k.URL, "How people reach it: begins the links in alerts. Empty: from `listen`.")] = (
        ""
    )
    token: Annotated[Secret, K(k.SECRET, "Bearer token that every page but health asks for. Empty: none.")] = Secret()
    alertmanager: Annotated[
        str,
        K(
            k.URL,
            "Alertmanager: its alerts are shown on the live page, and `funnelwatch alerts test` goes there. Empty: none.",
        ),
    ] = ""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The site that is watched."""

    name: Annotated[str, K(k.NAME, "Its name: the label `funnel_site`, and the site of events that name none.")] = (
        "site"
    )
    timezone: Annotated[str, K(k.ZONE, "Its time zone: days, weeks and times in alerts.")] = "UTC"
    currency: Annotated[str, K(k.CURRENCY, "Reporting currency. Empty: amounts stay in their own.")] = ""
    rates: Rates = Rates()


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """Which events are taken."""

    earliest: Annotated[int, K(k.DATE, "Events before this date (UTC) are dead letters.")] = 946_684_800_000
    max_ahead: Annotated[
        int, K(k.DURATION_OR_ZERO, "Events further ahead of the time at which Kafka got them are dead letters.")
    ] = 3_600_000
    max_bytes: Annotated[int, K(k.integer(256, 100_000_000), "Larger records are dead letters.")] = 1_000_000
    visitor_hash_key: Annotated[
        Secret, K(k.SECRET, "Key of the hash that stands for a visitor where only address and browser are known.")
    ] = Secret()
    default_currency: Annotated[str, K(k.CURRENCY, "Currency of amounts without one. Empty: they stay without.")] = ""
    internal_addresses: Annotated[
        tuple[str, ...],
        K(k.NETWORKS, "IP addresses or networks (`10.0.0.0/8`) of your own people: their events count as bots."),
    ] = ()
    internal_user_agents: Annotated[
        tuple[str, ...], K(k.TEXTS, "User agents (globs, any case) of monitors and tests: their events count as bots.")
    ] = ()
    internal_hosts: Annotated[
        tuple[str, ...], K(k.TEXTS, "Hosts (globs, any case) in `url` that are no production site: `staging.*`.")
    ] = ()
    internal_marks: Annotated[
        tuple[str, ...], K(k.TEXTS, "Properties that mark an event as a test when they are true.")
    ] = ("test",)


class Privacy(msgspec.Struct, frozen=True, kw_only=True):
    """What is done to events and refused records before anything is stored."""

    id_key: Annotated[
        Secret,
        K(
            k.SECRET,
            "Key of the hash that replaces session, visitor, user and account ids. Another key makes everybody a stranger. Empty: ids "
            "are stored as they are.",
        ),
    ] = Secret()
    mask_addresses: Annotated[
        bool, K(k.FLAG, "Whether e-mail and IP addresses within the texts of events are masked: `(email)`, `(ip)`.")
    ] = True
    dropped_fields: Annotated[
        tuple[str, ...], K(k.OPTIONAL_FIELDS, "Fields of events that are left out: `url`, `properties.phone`.")
    ] = ()
    masked_fields: Annotated[
        tuple[str, ...], K(k.OPTIONAL_FIELDS, "Fields of events whose values are replaced by `(masked)`.")
    ] = ()
    dead_letter_key: Annotated[
        Secret,
        K(
            k.SECRET,
            "Key that refused records are encrypted with: 32 bytes in base64 (`openssl rand -base64 32`). Empty: their letters and "
            "digits are masked.",
        ),
    ] = Secret()


class AllowedValues(msgspec.Struct, frozen=True):
    dimension: str
    values: tuple[str, ...]


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """Which values of dimensions become label values of metrics; all others are `other`. Rows keep every value."""

    max_values: Annotated[
        int, K(k.integer(0, 1000), "Values of a dimension without a list: the first that come, at most this many.")
    ] = 20
    crosses: Annotated[
        tuple[tuple[str, str], ...],
        K(
            k.CROSSES,
            "Pairs of dimensions that are counted together, in funnels that have both (`*` may stand for the cross).",
        ),
    ] = (("channel", "device"),)
    max_cells: Annotated[int, K(k.integer(0, 1000), "Values of each cross, at most.")] = 100
    values: tuple[AllowedValues, ...] = ()

    def allowed(self, dimension: str) -> tuple[str, ...] | None:
        """The explicit list of a dimension; None if it has none (then the first `max_values` that come count)."""
        return next((listed.values for listed in self.values if listed.dimension == dimension), None)


class Expectation(msgspec.Struct, frozen=True, kw_only=True):
    """What conversions are expected, and so when a rate has fallen (docs/alerts.md)."""

    refresh: Annotated[
        int, K(k.DURATION, "How often the sink learns anew from ClickHouse; workers take it over at once.")
    ] = 3_600_000
    minimum_history: Annotated[
        int, K(k.DURATION, "Until a stage has this much history, nothing is expected of it: it is learning.")
    ] = 7 * 86_400_000
    minimum_conversions: Annotated[
        int, K(k.integer(1, 1_000_000), "The same until it has so many conversions in four weeks.")
    ] = 100
    step: Annotated[
        int,
        K(
            k.DURATION,
            "In what steps of event time conversions are expected; changed for live tests only: it is learned anew.",
        ),
    ] = 60_000


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What the worker writes to standard error."""

    format: Annotated[LogFormat, K(k.choice(LogFormat), "For people or for machines.")] = LogFormat.TEXT
    level: Annotated[LogLevel, K(k.choice(LogLevel), "The least that is written.")] = LogLevel.INFO


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. The first two stand at the top of the file, above all sections."""

    create: Annotated[
        bool,
        K(
            k.FLAG,
            "Whether topics and tables are created. `false`: they must be there (`topics` and `migrate` print them).",
        ),
    ] = True
    funnels: Annotated[Path, K(k.PATH, "The funnel definitions.")] = Path("funnels.toml")
    kafka: Kafka = Kafka()
    sources: tuple[Source, ...] = ()
    registry: Registry = Registry()
    clickhouse: ClickHouse = ClickHouse()
    web: Web = Web()
    site: Site = Site()
    events: Events = Events()
    privacy: Privacy = Privacy()
    labels: Labels = Labels()
    expectation: Expectation = Expectation()
    log: Log = Log()
    calendar: Calendar = Calendar()
