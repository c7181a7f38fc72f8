"""How long a settled market stays in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.sandbox.core.records import ListedMarket

if TYPE_CHECKING:
    from streams.sandbox.exchange.settlement import Settling

SHORT_LIFE_MS = 24 * 3_600_000
KEPT_UNTRADED_MS = 3_600_000
KEPT_TRADED_MS = 7 * 24 * 3_600_000


def forgettable(exchange: Settling, now_ms: int) -> list[str]:
    """Return the markets nobody misses: short-lived, settled long ago, and no account holds any of them.

    A market in which no external account had an order goes after an hour, any other after seven days: then its orders,
    trades and payouts go with it, as at the venues, whose old records move to another tier. One whose event nets
    collateral stays until the whole event has settled.
    """
    due = [market for market in exchange.markets.values() if _is_due(market, now_ms, KEPT_UNTRADED_MS)]
    if not due:
        return []
    traded = {ticket.request.market_id for ticket in exchange.tickets.values()}
    held = {
        market_id
        for account in exchange.accounts.accounts.values()
        for market_id, position in account.positions.items()
        if position.yes_e6 or position.no_e6
    }
    return [
        market.market_id
        for market in due
        if market.market_id not in held
        and not exchange.netting.is_needed(market.market_id)
        and (market.market_id not in traded or _is_due(market, now_ms, KEPT_TRADED_MS))
    ]


def _is_due(listed: ListedMarket, now_ms: int, kept_ms: int) -> bool:
    if listed.settled_ms is None or now_ms - listed.settled_ms < kept_ms:
        return False
    return listed.close_ms - round(listed.market.open_time.timestamp() * 1000) <= SHORT_LIFE_MS
