"""Allowing things on the secure broker, by its plain listener."""

from __future__ import annotations

from collections.abc import Iterable

from kafka import KafkaAdminClient
from kafka.admin import ACL, ACLOperation, ACLPermissionType, ACLResourcePatternType, ResourcePattern, ResourceType

from sinks.embedded.kafka import EmbeddedKafka
from streams.rights import Acl

_OPERATIONS = {
    "Read": ACLOperation.READ, "Write": ACLOperation.WRITE, "Describe": ACLOperation.DESCRIBE, "Create": ACLOperation.CREATE,
    "DescribeConfigs": ACLOperation.DESCRIBE_CONFIGS,
}  # fmt: skip
_RESOURCES = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP}


def allow(broker: EmbeddedKafka, principal: str, resource: str, name: str, *operations: str) -> None:
    """Allows operations on one topic or group."""
    allow_all(broker, principal, [Acl(resource, name, operations)])


def allow_all(broker: EmbeddedKafka, principal: str, acls: Iterable[Acl]) -> None:
    """What `streams.rights` lists, as the broker's own ACLs."""
    wanted = [
        ACL(
            principal=principal, host="*", operation=_OPERATIONS[operation], permission_type=ACLPermissionType.ALLOW,
            resource_pattern=ResourcePattern(
                _RESOURCES[acl.resource], acl.name,
                ACLResourcePatternType.PREFIXED if acl.prefixed else ACLResourcePatternType.LITERAL,
            ),
        )
        for acl in acls for operation in acl.operations
    ]  # fmt: skip
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        assert not client.create_acls(wanted)["failed"]
    finally:
        client.close()
