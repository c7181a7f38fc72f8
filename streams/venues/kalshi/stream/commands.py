"""The commands of Kalshi's socket as the documents that are sent. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

UpdateAction = Literal["add_markets", "delete_markets", "get_snapshot"]


def subscribe(
    command_id: int,
    channels: Sequence[str],
    market_ids: Sequence[str] = (),
    *,
    with_first_ticker: bool = False,
    without_market_lists: bool = False,
) -> dict[str, Any]:
    """Return the command that opens one subscription per channel.

    Books are always asked for in YES prices: the venue has announced to change the default.

    Args:
        command_id: Ours, unique on the connection, above zero.
        channels: Names of channels.
        market_ids: Tickers; none: all markets, where the channel allows it.
        with_first_ticker: Have the channel `ticker` begin with the state of each market.
        without_market_lists: Leave the growing list of tickers out of the acknowledgements.
    """
    parameters: dict[str, Any] = {"channels": list(channels)}
    if market_ids:
        parameters["market_tickers"] = list(market_ids)
    if "orderbook_delta" in channels:
        parameters["use_yes_price"] = True
    if with_first_ticker:
        parameters["send_initial_snapshot"] = True
    if without_market_lists:
        parameters["skip_ticker_ack"] = True
    return {"id": command_id, "cmd": "subscribe", "params": parameters}


def unsubscribe(command_id: int, subscription_ids: Sequence[int]) -> dict[str, Any]:
    """Return the command that ends subscriptions."""
    return {"id": command_id, "cmd": "unsubscribe", "params": {"sids": list(subscription_ids)}}


def update(command_id: int, subscription_id: int, market_ids: Sequence[str], action: UpdateAction) -> dict[str, Any]:
    """Return the command that changes a subscription in place, or asks for whole books in sequence."""
    parameters = {"sids": [subscription_id], "market_tickers": list(market_ids), "action": action}
    return {"id": command_id, "cmd": "update_subscription", "params": parameters}


def list_subscriptions(command_id: int) -> dict[str, Any]:
    """Return the command that asks what is subscribed on this connection."""
    return {"id": command_id, "cmd": "list_subscriptions"}
