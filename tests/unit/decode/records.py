"""Records that several of the decoder's tests use."""

from __future__ import annotations

import json
from typing import Any

NOW = 1_714_567_000_000  # 2024-05-01T12:36:40Z
TS = 1_714_566_896_789  # 2024-05-01T12:34:56.789Z

BASE: dict[str, Any] = {"event_id": "e-1", "event": "add_to_cart", "timestamp": TS, "session_id": "s-1"}


def record(**changes: Any) -> bytes:
    """A valid native record with these fields changed; a value of `...` removes the field."""
    return json.dumps({key: value for key, value in {**BASE, **changes}.items() if value is not ...}).encode()
