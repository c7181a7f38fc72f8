"""What is sent on Polymarket's sockets, as documents. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from streams.venues.credentials.keys import PolymarketCredentials

Operation = Literal["subscribe", "unsubscribe"]


def market_hello(tokens: Sequence[str]) -> dict[str, Any]:
    """Return the first frame of a market socket: whole books first, two-sided levels, and every kind of event."""
    return {
        "assets_ids": list(tokens),
        "type": "market",
        "initial_dump": True,
        "level": 2,
        "custom_feature_enabled": True,
    }


def market_operation(operation: Operation, tokens: Sequence[str]) -> dict[str, Any]:
    """Return a later frame of a market socket. A token that is already active is refused as a duplicate."""
    document: dict[str, Any] = {"operation": operation, "assets_ids": list(tokens)}
    if operation == "subscribe":
        document["custom_feature_enabled"] = True
    return document


def user_hello(credentials: PolymarketCredentials, market_ids: Sequence[str] = ()) -> dict[str, Any]:
    """Return the first frame of a user socket, with the secret itself: never log it.

    No markets: all. The key is then left out, as documented; what an empty list would mean is not.
    """
    auth = {
        "apiKey": credentials.api_key,
        "secret": credentials.secret.get_secret_value(),
        "passphrase": credentials.passphrase.get_secret_value(),
    }
    hello: dict[str, Any] = {"auth": auth, "type": "user"}
    return hello | ({"markets": list(market_ids)} if market_ids else {})


def user_operation(operation: Operation, market_ids: Sequence[str]) -> dict[str, Any]:
    """Return a later frame of a user socket."""
    return {"operation": operation, "markets": list(market_ids)}
