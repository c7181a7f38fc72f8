"""From what the engine reports to accounts, records, the journal's list of changes, and the faces."""

from __future__ import annotations

import random
import uuid
from collections import deque

from streams.market.identity import MarketRef, Venue
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Account, Accounts, Fill, Intent, buying, split_cash
from streams.sandbox.core.book import EndReason, EngineEvent, LevelChanged, Order, OrderEnded, Traded
from streams.sandbox.core.candles import PastKey
from streams.sandbox.core.collateral_return import Netting
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.matching import MatchingEngine
from streams.sandbox.core.model import HouseFill
from streams.sandbox.core.profile import Behaviour
from streams.sandbox.core.records import (
    Changes,
    LifecycleMoment,
    ListedMarket,
    Listener,
    Payout,
    Ticket,
    Trade,
    TradeSide,
)
from streams.sandbox.core.venue_rules import RULES
from streams.sandbox.exchange.lagged_reads import ReadView

_KEPT_PUBLIC_TRADES = 20_000


class Booking:
    """The state of one venue, and how it follows the engine."""

    def __init__(self, venue: Venue, faults: FaultPlan, seed: int, behaviour: Behaviour) -> None:
        self.venue = venue
        self.faults = faults
        self.behaviour = behaviour
        self.engine = MatchingEngine()
        self.accounts = Accounts(RULES[venue])
        self.netting = Netting(self.accounts)
        self.markets: dict[str, ListedMarket] = {}
        self.tickets: dict[str, Ticket] = {}
        self.resting: dict[str, Ticket] = {}
        self.delayed: dict[str, Ticket] = {}
        self.trades: dict[str, Trade] = {}
        self.public_trades: deque[Trade] = deque(maxlen=_KEPT_PUBLIC_TRADES)
        self.payouts: list[Payout] = []
        self.unsettled: dict[str, Trade] = {}
        self.listeners: list[Listener] = []
        self.house_fills: list[HouseFill] = []
        self.changes = Changes()
        self.reads = ReadView(self)
        self.past_keys: dict[str, PastKey] = {}
        self.listed_count = self.ticket_count = self.trade_count = self.payout_count = 0
        self._seed = seed
        self._random = random.Random(f"{venue}:{seed}")

    def reseed(self, now_ms: int) -> None:
        """Draw anew after a restart, so that no id is given twice."""
        self._random = random.Random(f"{self.venue}:{self._seed}:{now_ms}")

    def open_tickets(self, account_id: str) -> list[Ticket]:
        """The account's resting orders, oldest first."""
        return [ticket for ticket in self.resting.values() if ticket.request.account_id == account_id]

    def past_key(self, market_id: str) -> PastKey:
        """What the market's made-up past follows: its own id unless the truth ties it to others."""
        return self.past_keys.get(market_id) or PastKey(market_id)

    def drain_house_fills(self) -> list[HouseFill]:
        """Return what house orders traded since the last call."""
        fills, self.house_fills = self.house_fills, []
        return fills

    # -- noting changes ---------------------------------------------------------------------------------------------

    def note_ticket(self, ticket: Ticket, now_ms: int) -> None:
        """An order changed: for the journal and for late reads."""
        self.changes.tickets.add(ticket.order_id)
        self.reads.note_ticket(ticket, now_ms)

    def note_account(self, account: Account, market_id: str, now_ms: int) -> None:
        """An account's cash changed, and its position in a market if one is named."""
        if not account.is_house:
            self.changes.touch(account.account_id, market_id)
            self.reads.note_account(account, market_id, now_ms)

    def note_trade(self, trade: Trade, now_ms: int) -> None:
        """A trade of an external account was made or moved on."""
        self.changes.trades[trade.trade_id] = trade
        self.reads.note_trade(trade, now_ms)

    def tell_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """A market changed its state."""
        listed.updated_ms = now_ms
        self.changes.markets.add(listed.market_id)
        for listener in self.listeners:
            listener.on_lifecycle(listed, moment, now_ms)

    def tell_ticket(self, ticket: Ticket, now_ms: int) -> None:
        """An order changed without the book."""
        self.note_ticket(ticket, now_ms)
        listed = self.markets[ticket.request.market_id]
        for listener in self.listeners:
            listener.on_ticket(ticket, listed, now_ms)

    def tell_sides(self, trade: Trade, now_ms: int) -> None:
        """A trade moved on."""
        self.note_trade(trade, now_ms)
        for listener in self.listeners:
            self._tell_sides(listener, trade, self.markets[trade.market_id], now_ms)

    def end_resting(self, ticket: Ticket, now_ms: int, reason: EndReason) -> None:
        """Take a resting order out of its book."""
        self.engine.cancel(ticket.order_id, reason)
        self.publish(ticket.request.market_id, now_ms)

    def expire(self, now_ms: int) -> None:
        """End the orders whose time has come: as time passes, and before anything is matched."""
        for market_id in self.engine.expire(now_ms):
            self.publish(market_id, now_ms)

    # -- following the engine ---------------------------------------------------------------------------------------

    def publish(self, market_id: str, now_ms: int, changed: tuple[Ticket, ...] = ()) -> None:
        """Book what the engine reports for one market, then tell the faces, also of orders `changed` otherwise."""
        listed = self.markets[market_id]
        changes: list[LevelChanged] = []
        trades: list[Trade] = []
        tickets = {ticket.order_id: ticket for ticket in changed}
        for event in self.engine.drain():
            if isinstance(event, LevelChanged):
                changes.append(event)
            elif isinstance(event, Traded):
                trades.append(self._book_trade(listed, event, tickets, now_ms))
            elif not event.order.is_house:
                self._update_ticket(event, tickets, now_ms)
        book = listed.book
        if (book.best_bid, book.best_ask) != listed.quoted:
            listed.quoted = (book.best_bid, book.best_ask)
            listed.history.quote(now_ms, book.best_bid or 0, book.best_ask or PRICE_ONE_E4)
        for ticket in tickets.values():
            self.note_ticket(ticket, now_ms)
        for listener in self.listeners:
            listener.on_book(listed, changes, trades, now_ms)
            for ticket in tickets.values():
                listener.on_ticket(ticket, listed, now_ms)
            for trade in trades:
                self._tell_sides(listener, trade, listed, now_ms)

    def _tell_sides(self, listener: Listener, trade: Trade, listed: ListedMarket, now_ms: int) -> None:
        for side in (trade.taker, trade.maker):
            if side.charge is not None:
                listener.on_trade_side(trade, side, listed, now_ms)

    def _update_ticket(self, event: EngineEvent, tickets: dict[str, Ticket], now_ms: int) -> None:
        if isinstance(event, LevelChanged | Traded):
            return
        ticket = self.tickets[event.order.order_id]
        ticket.updated_ms = now_ms
        tickets[ticket.order_id] = ticket
        if isinstance(event, OrderEnded):
            ticket.reason = event.reason
            ticket.status = "executed" if event.reason == "filled" else "canceled"
            if event.reason in ("immediate", "self_trade") and ticket.filled_e6:
                ticket.status = "executed"
            ticket.remaining_e6 = 0
            self.resting.pop(ticket.order_id, None)
            self.accounts.forget_order(ticket.order_id)
        else:
            ticket.status, ticket.remaining_e6 = "resting", event.order.remaining_e6
            ticket.sequence = event.order.sequence
            self.resting[ticket.order_id] = ticket

    def _book_trade(self, listed: ListedMarket, event: Traded, tickets: dict[str, Ticket], now_ms: int) -> Trade:
        taker_intent, maker_intent = self._intent(event.taker), self._intent(event.maker)
        cash = split_cash(
            event.price_e4, event.size_e6, taker_side=event.taker.side, taker_buys=taker_intent.action == "buy"
        )
        trade = Trade(
            str(uuid.UUID(int=self._random.getrandbits(128), version=4)),
            listed.market_id,
            event.price_e4,
            event.size_e6,
            event.taker.side,
            now_ms,
            TradeSide(event.taker.account, event.taker.order_id, taker_intent),
            TradeSide(event.maker.account, event.maker.order_id, maker_intent),
            status_ms=now_ms,
        )
        for order, side in ((event.taker, trade.taker), (event.maker, trade.maker)):
            ticket = self._book_side(listed, trade, order, trade.fill(side, cash))
            if ticket is not None:
                tickets[ticket.order_id] = ticket
        self._count(listed, trade, now_ms)
        if trade.is_external:
            self._keep(trade, now_ms)
        self._tell_house(event, listed)
        return trade

    def _intent(self, order: Order) -> Intent:
        if order.is_house:
            return buying(order.side)
        return self.tickets[order.order_id].request.intent

    def _book_side(self, listed: ListedMarket, trade: Trade, order: Order, fill: Fill) -> Ticket | None:
        account = self.accounts.house(order.account) if order.is_house else self.accounts.accounts[order.account]
        charge = self.accounts.fill(account, fill, listed.schedule)
        if order.is_house:
            return None
        group = self.netting.group_for(account, listed.market_id)
        if group is not None:
            charge.cash_change_e6 += self.netting.follow(account, group)
        position, side = account.position(listed.market_id), trade.taker if fill.is_taker else trade.maker
        side.charge, side.post_position_e6 = charge, position.yes_e6 - position.no_e6
        ticket = self.tickets[order.order_id]
        ticket.filled_e6 += trade.size_e6
        ticket.remaining_e6 = order.remaining_e6 if order.spend_e6 is None else 0
        ticket.updated_ms = trade.at_ms
        ticket.trade_ids.append(trade.trade_id)
        if fill.is_taker:
            ticket.taker_cash_e6 += fill.cash_e6
            ticket.taker_fees_e6 += charge.fee_e6
        else:
            ticket.maker_cash_e6 += fill.cash_e6
            ticket.maker_fees_e6 += charge.fee_e6
        fees = self.accounts.order_fees.get(order.order_id)
        ticket.fee_remainder_e6 = fees.accumulator_e6 if fees is not None else 0
        self.note_account(account, listed.market_id, trade.at_ms)
        return ticket

    def _count(self, listed: ListedMarket, trade: Trade, now_ms: int) -> None:
        listed.last_price_e4 = trade.price_e4
        listed.last_was_no = trade.taker.intent.outcome == "no"
        listed.volume_e6 += trade.size_e6
        listed.interest_e6 = max(
            0, listed.interest_e6 + (trade.size_e6 if self._random.random() < 0.6 else -trade.size_e6)
        )
        listed.history.trade(now_ms, trade.price_e4, trade.size_e6, listed.interest_e6)
        listed.trades.append(trade)
        self.public_trades.append(trade)

    def _keep(self, trade: Trade, now_ms: int) -> None:
        self.trade_count += 1
        trade.number = self.trade_count
        self.trades[trade.trade_id] = trade
        if self.venue is Venue.POLYMARKET:
            trade.status = "MATCHED"
            self.plan_settlement(trade, now_ms)
            self.unsettled[trade.trade_id] = trade
        self.note_trade(trade, now_ms)

    def plan_settlement(self, trade: Trade, now_ms: int) -> None:
        """Say when a trade is mined and final; a venue that settles at once has nothing to plan."""

    def _tell_house(self, event: Traded, listed: ListedMarket) -> None:
        ref = MarketRef(self.venue, listed.market_id)
        both = event.maker.is_house and event.taker.is_house
        for order in (event.maker, event.taker):
            if order.is_house:
                fill = HouseFill(
                    ref, order.account, order.client_order_id, order.side, event.price_e4, event.size_e6,
                    order.remaining_e6, both,
                )  # fmt: skip
                self.house_fills.append(fill)

    def transaction_id(self) -> str:
        """A transaction hash: 0x and 64 hex digits."""
        return f"0x{self._random.getrandbits(256):064x}"
