"""Asking the venues for what the gate reads, outside of it; and what it reads of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta

from orchestration.execution.decide.gate.findings import MOMENT
from orchestration.execution.decide.gate.venue_states import (
    AccountState,
    MarketState,
    VenueFacts,
    account_from_json,
    account_to_json,
    market_from_json,
    market_to_json,
)
from orchestration.execution.trading_context import TradingContext
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.identity import Venue, market_key
from streams.market.trading import MarketInfo
from streams.storage.database import Connection
from streams.storage.store.gate.readings import VenueReading, forget_readings, load_readings, write_cash, write_reading
from streams.storage.store.gate.reservations import orders_held_back

_ACCOUNT, _MARKET = "account", "market"
_KEPT = timedelta(hours=2)
"""Readings of markets are forgotten after this; none is believed for so long."""


async def refresh_cash(
    connection: Connection, context: TradingContext, venues: Collection[Venue], clock: Callable[[], datetime]
) -> None:
    """Read the cash of those accounts whose last reading is older than half of what the gate believes.

    Raises:
        StreamsError: If an account does not answer; its reading grows old.
    """
    now = clock()
    ages = timedelta(seconds=context.settings.cash_max_age_s / 2)
    known = load_readings(connection, context.mode)
    young = {row.venue for row in known if row.kind == "cash" and _is_young(now, row.read_at, ages)}
    due = [venue for venue in venues if venue.value not in young]
    pots = await asyncio.gather(*(context.gateways[venue].cash_by_shard() for venue in due))
    for venue, cash in zip(due, pots, strict=True):
        write_cash(connection, context.mode, venue.value, cash, now)


async def refresh_states(
    connection: Connection, context: TradingContext, markets: Collection[MarketInfo], clock: Callable[[], datetime]
) -> None:
    """Ask what the venues say of themselves, of our accounts and of these markets, where it is half as old as allowed.

    A venue that does not answer leaves its reading to grow old: the gate refuses it then.
    """
    now, settings = clock(), context.settings
    known = {(row.venue, row.kind, row.subject): row.read_at for row in load_readings(connection, context.mode)}

    def is_due(venue: Venue, kind: str, subject: str, limit_s: float) -> bool:
        read_at = known.get((venue.value, kind, subject))
        return read_at is None or not _is_young(now, read_at, timedelta(seconds=limit_s / 2))

    asked: list[tuple[Venue, str, str]] = []
    calls: list[Awaitable[AccountState | MarketState | StreamsError]] = []
    for venue in dict.fromkeys(market.venue for market in markets):
        if venue in context.gateways and is_due(venue, _ACCOUNT, "", settings.venue_state_max_age_s):
            asked.append((venue, _ACCOUNT, ""))
            calls.append(_account(context, venue))
    for market in markets:
        if market.venue in context.gateways and is_due(
            market.venue, _MARKET, market.market_id, settings.fee_schedule_max_age_s
        ):
            asked.append((market.venue, _MARKET, market.market_id))
            calls.append(_market(context, market))
    forget_readings(connection, context.mode, _MARKET, now - _KEPT)
    for (venue, kind, subject), found in zip(asked, await asyncio.gather(*calls), strict=True):
        if isinstance(found, StreamsError):
            get_logger().warning("a venue was not read", venue=venue.value, kind=kind, of=subject, error=str(found))
            continue
        detail = account_to_json(found) if isinstance(found, AccountState) else market_to_json(found)
        reading = VenueReading(venue.value, kind, subject, None, detail, now)
        write_reading(connection, context.mode, reading)


def venue_facts(connection: Connection, context: TradingContext, besides: int | None = None) -> VenueFacts:
    """Return what the venues said last, and what our side knows of sending to them; `besides` is the hedge's own id."""
    accounts: dict[Venue, tuple[datetime, AccountState]] = {}
    markets: dict[str, tuple[datetime, MarketState]] = {}
    for row in load_readings(connection, context.mode):
        if row.kind == _ACCOUNT:
            accounts[Venue(row.venue)] = (row.read_at, account_from_json(row.detail))
        elif row.kind == _MARKET:
            markets[market_key(row.venue, row.subject)] = (row.read_at, market_from_json(row.detail))
    simulated = frozenset(venue for venue, gateway in context.gateways.items() if gateway.is_simulated)
    sending = {venue: gateway.sending_state() for venue, gateway in context.gateways.items()}
    return VenueFacts(accounts, markets, simulated, sending, orders_held_back(connection, context.mode, besides))


def _is_young(now: datetime, read_at: datetime, limit: timedelta) -> bool:
    """Whether a reading need not be made anew; one that is dated later than now must, as after a clock was set back."""
    return -MOMENT <= now - read_at < limit


async def _account(context: TradingContext, venue: Venue) -> AccountState | StreamsError:
    try:
        return await context.gateways[venue].account_state()
    except StreamsError as error:
        return error


async def _market(context: TradingContext, market: MarketInfo) -> MarketState | StreamsError:
    try:
        return await context.gateways[market.venue].market_state(market)
    except StreamsError as error:
        return error
