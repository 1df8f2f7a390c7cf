"""The Faust app: its settings, and why each is not the default."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import faust
from faust.auth import OAuthCredentials

from schemas.settings import Kafka, SaslMechanism, SecurityProtocol
from sinks.kafka import client_options
from streams.stream.chunks import ChunkScheduler
from streams.stream.faust_fixes import SafeTableManager, make_safe

Hook = Callable[[], Awaitable[None]]


class StreamApp(faust.App):
    """A Faust app that starts what its agents need before them, and stops it after them."""

    before_start: Sequence[Hook] = ()
    after_stop: Sequence[Hook] = ()
    #: Longest that a fetch waits for more records, in ms.
    fetch_wait = 250

    async def on_first_start(self) -> None:
        """Without Faust's own: it would make a data directory in the working directory, for stores that are not used."""
        for hook in self.before_start:
            await hook()

    async def on_shutdown(self) -> None:
        await super().on_shutdown()
        for hook in self.after_stop:
            await hook()


def credentials(kafka: Kafka) -> Any:
    """Faust's credentials for these settings; None for plain connections."""
    options = client_options(kafka)
    context = options.get("ssl_context")
    if kafka.security_protocol is SecurityProtocol.SSL:
        return faust.SSLCredentials(context=context)
    if "sasl_mechanism" not in options:
        return None
    if kafka.sasl_mechanism is SaslMechanism.OAUTHBEARER:
        return OAuthCredentials(oauth_cb=options["sasl_oauth_token_provider"], ssl_context=context)
    return faust.SASLCredentials(
        username=kafka.user, password=kafka.password.reveal(), ssl_context=context, mechanism=kafka.sasl_mechanism.value
    )


def create_app(name: str, kafka: Kafka, instance: str) -> StreamApp:
    """The app of consumer group `{group_prefix}{name}`; `instance`: this worker's own name for static membership."""
    brokers = ";".join(f"kafka://{server}" for server in kafka.servers)
    app = StreamApp(
        f"{kafka.group_prefix}{name}",
        broker=brokers,
        broker_credentials=credentials(kafka),
        # A prefix of its own: WEB_PORT=tcp://… of a Kubernetes service would otherwise win over the code.
        env_prefix="FWFAUST_",
        ConsumerScheduler=ChunkScheduler,
        TableManager=SafeTableManager,
        # What is done once a chunk costs little by the record at 10,000; at Faust's 500 a worker is 40 % slower.
        broker_max_poll_records=kafka.chunk_records,
        consumer_max_fetch_size=kafka.fetch_bytes,
        # Counts chunks; each holds thousands of records.
        stream_buffer_maxsize=2,
        stream_wait_empty=True,
        agent_supervisor="mode.CrashingSupervisor",
        broker_commit_interval=1.0,
        broker_request_timeout=max(kafka.request_timeout, kafka.session_timeout) / 1000,
        broker_session_timeout=kafka.session_timeout / 1000,
        broker_heartbeat_interval=min(3.0, kafka.session_timeout / 3000),
        broker_rebalance_timeout=kafka.rebalance_timeout / 1000,
        # Offsets that are gone begin at the oldest record; `latest` would skip a changelog whose start was compacted away.
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance or None,
        stream_recovery_delay=0.0,
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        store="memory://",
    )
    app.fetch_wait = kafka.fetch_wait
    return make_safe(app)
