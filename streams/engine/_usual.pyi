# usual.py says what goes in and what comes out.
class Plan:
    def __init__(
        self, level: int, converts: bool, fmt: int, tag: int, window: int, lateness: int, most: int, /, *parts: bytes
    ) -> None: ...
    def move(
        self, state: bytes | None, opens: bytes | None, offset: int, ts: int, event_id: str, unit_id: str, dims: bytes,
        money: bytes, consent: bool | None, horizon: int, /,
    ) -> tuple[bytes, bytes, bytes | None, int, int, bytes, int] | None: ...  # fmt: skip
