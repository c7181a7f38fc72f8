"""Everything one exchange holds, as plain data; the services beside this file read and change it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Any

from streams.market.identity import Venue
from streams.sandbox.core.accounts import Accounts
from streams.sandbox.core.candles import MadeUpPast, PastKey
from streams.sandbox.core.collateral_return import CollateralReturns
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.matching import MatchingEngine
from streams.sandbox.core.model import CancelOrder, ParticipantFill
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.core.records import Changes, ExchangeMode, ListedMarket, Listener, OrderRecord, Payout, Trade
from streams.sandbox.core.venue_rules import RULES, VenueRules

KEPT_PUBLIC_TRADES = 2_500
"""Trades of all markets that the public lists of a venue reach back to."""


@dataclass(slots=True)
class ExchangeState:
    """One venue's markets, books, accounts and orders. Prices in 1/10,000 dollar, sizes and money in 1/1,000,000.

    Attributes:
        profile: How late and how reliably the exchange acts.
        orders: Every order of an external account by id, open or not; `resting` and `delayed` hold the open ones.
        trades: Every trade of an external account; `unsettled` those whose settlement is still under way.
        listeners: Who is told of changes.
        participant_fills: What orders of simulated participants traded since they were last asked for.
        changes: What must reach the journal.
        saved: JSON values that a venue emulator wants to find again after a restart; it sets `changes.saved` when it
            changes them.
        past_keys: What made-up pasts of markets follow, where the truth ties them to others.
        payout_step_e6: What is paid to accounts from outside is rounded down to whole steps of this.
        waiting_cancels: What simulated participants wanted to cancel while the venue took nothing.
        random: Draws ids, and how settlements go.
    """

    venue: Venue
    faults: FaultPlan
    seed: int = 0
    profile: Profile = ZERO
    rules: VenueRules = field(init=False)
    accounts: Accounts = field(init=False)
    collateral: CollateralReturns = field(init=False)
    random: Random = field(init=False)
    engine: MatchingEngine = field(default_factory=MatchingEngine)
    markets: dict[str, ListedMarket] = field(default_factory=dict)
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    resting: dict[str, OrderRecord] = field(default_factory=dict)
    delayed: dict[str, OrderRecord] = field(default_factory=dict)
    trades: dict[str, Trade] = field(default_factory=dict)
    public_trades: deque[Trade] = field(default_factory=deque)
    unsettled: dict[str, Trade] = field(default_factory=dict)
    payouts: list[Payout] = field(default_factory=list)
    listeners: list[Listener] = field(default_factory=list)
    participant_fills: list[ParticipantFill] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    saved: dict[str, Any] = field(default_factory=dict)
    past_keys: dict[str, PastKey] = field(default_factory=dict)
    mode: ExchangeMode = "open"
    mode_until_ms: int | None = None
    mode_then: ExchangeMode = "open"
    payout_step_e6: int = 1
    listed_count: int = 0
    order_count: int = 0
    trade_count: int = 0
    payout_count: int = 0
    refused_participant_orders: int = 0
    waiting_cancels: list[CancelOrder] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rules = RULES[self.venue]
        self.accounts = Accounts(self.rules)
        self.collateral = CollateralReturns(self.accounts)
        self.random = Random(f"{self.venue}:{self.seed}")

    def reseed(self, now_ms: int) -> None:
        """Draw anew after a restart, so that no id is given twice."""
        self.random = Random(f"{self.venue}:{self.seed}:{now_ms}")

    def resting_orders(self, account_id: str) -> list[OrderRecord]:
        """The account's resting orders, oldest first."""
        return [record for record in self.resting.values() if record.request.account_id == account_id]

    def open_orders(self, account_id: str, replaced: OrderRecord | None = None) -> list[OrderRecord]:
        """The account's orders that rest or are held, but for the one that is being replaced."""
        return [
            record
            for records in (self.resting, self.delayed)
            for record in records.values()
            if record.request.account_id == account_id and record is not replaced
        ]

    def made_up_past(self, listed: ListedMarket) -> MadeUpPast:
        """Return what a market's prices before its listing follow: the key the truth gives it, else its own id."""
        market_id = listed.market_id
        key = self.past_keys.get(market_id) or PastKey(market_id)
        return MadeUpPast(key, market_id, listed.market.start_price_e4, listed.listed_ms)

    def print_trade(self, listed: ListedMarket, trade: Trade) -> None:
        """Put a trade on the public lists, of the venue and of its market, and take one that is too old off both."""
        listed.trades.append(trade)
        self.public_trades.append(trade)
        if len(self.public_trades) > KEPT_PUBLIC_TRADES:
            old = self.public_trades.popleft()
            of_market = self.markets.get(old.market_id)
            if of_market is not None and of_market.trades and of_market.trades[0] is old:
                of_market.trades.popleft()

    def drain_participant_fills(self) -> list[ParticipantFill]:
        """Return what orders of simulated participants traded since the last call."""
        fills, self.participant_fills = self.participant_fills, []
        return fills

    def transaction_id(self) -> str:
        """A transaction hash: 0x and 64 hex digits."""
        return f"0x{self.random.getrandbits(256):064x}"
