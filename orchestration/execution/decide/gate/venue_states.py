"""What a venue says of itself, of our account and of a market, as far as it decides whether anything may open. PURE.

It is read outside of the gate, kept as rows with their age, and judged inside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Literal

from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.market.listing import MarketStatus

_MOST_E6 = 2**62
"""An allowance without a bound is kept as this."""


AccountKind = Literal["direct", "fcm", "not_stated"]
"""How an account's cash is kept: to parts of a cent (direct), to cents through a broker (fcm)."""
_CENT_E6 = 10_000


@dataclass(frozen=True, slots=True)
class KeyState:
    """What an account's key may do, and when it ends; None: no end is stated."""

    may_trade: bool
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AccountState:
    """What holds of one account now; None: it is not known.

    Attributes:
        trading_shards: Whether an exchange shard takes orders, by its number; under "" what holds for all others.
        maintenance: Announced windows in which nothing is taken (start, end).
        allowance_e6: What the venue may take of our cash; the least of its exchanges.
        is_blocked: The venue does not serve the place this machine is in.
        is_closing_only: The account may only close positions.
        clock_ahead_ms: How far our clock is at least ahead of the venue's (negative: behind).
        key: Ours.
        kind: As its cash and its key show it.
    """

    trading_shards: Mapping[str, bool] | None = None
    maintenance: tuple[tuple[datetime, datetime], ...] | None = None
    allowance_e6: int | None = None
    is_blocked: bool | None = None
    is_closing_only: bool | None = None
    clock_ahead_ms: int | None = None
    key: KeyState | None = None
    kind: AccountKind | None = None


@dataclass(frozen=True, slots=True)
class MarketState:
    """What holds of one market now.

    Attributes:
        status: In our words.
        fee_schedule: Its JSON form as the venue states it.
        tick_e4: The step of its prices, None where it has several.
        closes_at: When it closes as the venue expects it now: it may do so early.
        game_starts_at: When the game starts on which it is about; None where there is none.
        delay_ms: How long an order that takes is held back.
    """

    status: MarketStatus
    fee_schedule: JsonDocument
    tick_e4: int | None = None
    closes_at: datetime | None = None
    game_starts_at: datetime | None = None
    delay_ms: int = 0


@dataclass(frozen=True, slots=True)
class SendingState:
    """What our own side knows of sending orders to a venue now.

    Attributes:
        orders_left: Orders that the request budget lets leave at once; None: it could not be read.
        closed_until: Until when the venue takes no order that takes, as it has answered to one; None: it takes them as
            far as is known.
    """

    orders_left: int | None
    closed_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """What the venues said last, each with the time at which they were asked.

    Attributes:
        accounts: By venue; one that was never read is missing.
        markets: By "venue:market_id", likewise.
        simulated: Venues of accounts on paper: nobody's allowance or access counts there.
        sending: What we know of sending, by venue.
        orders_held: Orders of the request budget that open hedges hold back, by venue; None: they could not be read.
    """

    accounts: Mapping[Venue, tuple[datetime, AccountState]] = field(default_factory=dict)
    markets: Mapping[str, tuple[datetime, MarketState]] = field(default_factory=dict)
    simulated: frozenset[Venue] = frozenset()
    sending: Mapping[Venue, SendingState] = field(default_factory=dict)
    orders_held: Mapping[Venue, int] | None = None


def account_kind(cash_e6: int, *, is_of_a_broker: bool) -> AccountKind:
    """Return what a Kalshi account's cash over all exchange shards and its key show of its kind.

    A broker's account has whole cents always; that cash is whole cents proves nothing.
    """
    if is_of_a_broker:
        return "fcm"
    return "direct" if cash_e6 % _CENT_E6 else "not_stated"


def clock_ahead_ms(asked_at: datetime, dated_at: datetime | None, answered_at: datetime) -> int | None:
    """Return how far our clock is at least ahead of a venue's that dated its answer to the second; None without a date.

    The venue wrote its date within the second that begins with it, and while we waited: what lies between is no
    difference.
    """
    if dated_at is None:
        return None
    most = (answered_at - dated_at).total_seconds()
    least = (asked_at - dated_at).total_seconds() - 1.0
    ahead = least if least > 0 else most if most < 0 else 0.0
    return int(ahead * 1000)


def account_to_json(state: AccountState) -> JsonDocument:
    """Return the state as it is kept in `trading.venue_readings.detail`."""
    windows = state.maintenance
    return {
        "trading_shards": None if state.trading_shards is None else dict(state.trading_shards),
        "maintenance": None if windows is None else [[start.isoformat(), end.isoformat()] for start, end in windows],
        "allowance_e6": None if state.allowance_e6 is None else min(state.allowance_e6, _MOST_E6),
        "is_blocked": state.is_blocked,
        "is_closing_only": state.is_closing_only,
        "clock_ahead_ms": state.clock_ahead_ms,
        "key": None if state.key is None else {"may_trade": state.key.may_trade, "ends_at": _text(state.key.ends_at)},
        "kind": state.kind,
    }


def account_from_json(stored: JsonDocument) -> AccountState:
    """Return the state that was kept.

    Raises:
        KeyError, TypeError, ValueError: If it is damaged.
    """
    windows = stored["maintenance"]
    maintenance = (
        None
        if windows is None
        else tuple((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in windows)
    )
    key = stored.get("key")
    known = None if key is None else KeyState(key["may_trade"], _time(key["ends_at"]))
    return AccountState(**{**stored, "maintenance": maintenance, "key": known})


def market_to_json(state: MarketState) -> JsonDocument:
    """Return the state as it is kept in `trading.venue_readings.detail`."""
    return {
        **asdict(state),
        "fee_schedule": dict(state.fee_schedule),
        "closes_at": _text(state.closes_at),
        "game_starts_at": _text(state.game_starts_at),
    }


def market_from_json(stored: JsonDocument) -> MarketState:
    """Return the state that was kept.

    Raises:
        KeyError, TypeError, ValueError: If it is damaged.
    """
    times = {name: _time(stored[name]) for name in ("closes_at", "game_starts_at")}
    return MarketState(**{**stored, **times})


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
