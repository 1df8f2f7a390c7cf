"""Currency codes as settings name them."""

from __future__ import annotations

from schemas.currencies import CURRENCIES
from schemas.errors import ConfigError
from schemas.toml import show


def as_currency(value: object, where: str, *, empty: bool = False) -> str:
    """A code of ISO 4217; "" for none if `empty`. Raises ConfigError."""
    if isinstance(value, str) and (value in CURRENCIES or (empty and not value)):
        return value
    raise ConfigError(
        where, f"{show(value)} is not a currency code", 'write three capital letters of ISO 4217, such as "EUR"'
    )
