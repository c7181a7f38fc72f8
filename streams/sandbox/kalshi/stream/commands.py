"""What commands of Kalshi's socket may ask for, and the codes of what they may not."""

from __future__ import annotations

from typing import Any

from streams.sandbox.kalshi.stream.subscriptions import Subscription

ERRORS = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    9: "Authentication required",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    18: "Command timeout",
    19: "shard_factor must be > 0",
    20: "shard_factor is required when shard_key is set",
    21: "shard_key must be >= 0 and < shard_factor",
    22: "shard_factor must be <= 100",
    25: "Subscription buffer overflow",
    26: "Subscription market limit exceeded",
    27: "Too many requests",
    28: "Underlying tickers required",
}
_MAX_SHARD_FACTOR = 100


class BadCommand(Exception):
    """A command gets an error frame in response; of a subscription where one is named."""

    def __init__(self, code: int, subscription: Subscription | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.subscription = subscription


def named_markets(params: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The tickers and the UUIDs a command names; it may use one form only.

    Raises:
        BadCommand: 11 for anything else.
    """
    several, one = params.get("market_tickers") or [], params.get("market_ticker")
    many_ids, one_id = params.get("market_ids") or [], params.get("market_id")
    forms = [bool(form) for form in (several, one, many_ids, one_id)]
    if sum(forms) > 1 or not isinstance(several, list) or not isinstance(many_ids, list):
        raise BadCommand(11)
    named, ids = [*several, *([one] if one else [])], [*many_ids, *([one_id] if one_id else [])]
    if not all(isinstance(name, str) for name in [*named, *ids]):
        raise BadCommand(11)
    return named, ids


def check_shards(params: dict[str, Any]) -> None:
    """Refuse shards of the communications channel that make no sense.

    Raises:
        BadCommand: 19 to 22.
    """
    factor, key = params.get("shard_factor"), params.get("shard_key")
    if factor is None and key is None:
        return
    if factor is None:
        raise BadCommand(20)
    if not isinstance(factor, int) or factor <= 0:
        raise BadCommand(19)
    if factor > _MAX_SHARD_FACTOR:
        raise BadCommand(22)
    if key is not None and (not isinstance(key, int) or not 0 <= key < factor):
        raise BadCommand(21)


def check_underlyings(action: Any, params: dict[str, Any], subscription: Subscription) -> None:
    """Refuse what the channel of underlyings cannot do. It takes the rest, and stays silent.

    Raises:
        BadCommand: 13 or 28.
    """
    if action not in ("subscribe_underlyings", "unsubscribe_underlyings", "underlying_list"):
        raise BadCommand(13, subscription)
    if action != "underlying_list" and not params.get("underlying_tickers"):
        raise BadCommand(28, subscription)
