"""Ids that Kalshi's wire needs and the exchange does not keep: derived, so that they never change."""

from __future__ import annotations

import uuid


def market_uuid(ticker: str) -> str:
    """A market's UUID as the socket names it."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ticker))


def user_id(account_id: str) -> str:
    """The member's UUID of an account."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, account_id))
