"""One sandbox exchange: carries out the flow's acts and external orders, and tells the faces what changed.

Knows engine, accounts and records; knows no wire format, no socket, no file. Time comes in with every call.
"""

from __future__ import annotations

import random
import uuid
from collections import deque

from streams.market.errors import Refused
from streams.market.identity import MarketRef, Venue
from streams.market.units import PRICE_ONE_E4, cash_e6_of
from streams.sandbox.accounts import Account, Accounts, Intent, buying, split_cash
from streams.sandbox.behaviour import ZERO, Behaviour
from streams.sandbox.engine import EngineEvent, LevelChanged, MatchingEngine, Order, OrderEnded, Traded
from streams.sandbox.faults import FaultPlan
from streams.sandbox.funds import check_funds
from streams.sandbox.history import PastKey
from streams.sandbox.model import (
    Act,
    CancelOrder,
    ChangeTick,
    CloseMarket,
    DetermineMarket,
    HouseFill,
    ListMarket,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.records import (
    Changes,
    LifecycleMoment,
    ListedMarket,
    Listener,
    OrderRequest,
    Payout,
    Ticket,
    Trade,
    TradeSide,
    fee_schedule_of,
)

_UNBOUNDED_E6 = 10**15
_KEPT_PUBLIC_TRADES = 20_000


class Exchange:
    """One venue's markets, books, accounts and orders."""

    def __init__(self, venue: Venue, faults: FaultPlan, seed: int = 0, behaviour: Behaviour = ZERO) -> None:
        self.venue = venue
        self.faults = faults
        self.behaviour = behaviour
        self.engine = MatchingEngine()
        self.accounts = Accounts(venue)
        self.markets: dict[str, ListedMarket] = {}
        self.tickets: dict[str, Ticket] = {}
        self.resting: dict[str, Ticket] = {}
        self.trades: dict[str, Trade] = {}
        self.public_trades: deque[Trade] = deque(maxlen=_KEPT_PUBLIC_TRADES)
        self.payouts: list[Payout] = []
        self.unsettled: dict[str, Trade] = {}
        self.listeners: list[Listener] = []
        self.house_fills: list[HouseFill] = []
        self.changes = Changes()
        self.refused_house_orders = 0
        self.past_keys: dict[str, PastKey] = {}
        self._random = random.Random(f"{venue}:{seed}")

    # -- acts of the flow -------------------------------------------------------------------------------------------

    def apply(self, act: Act, now_ms: int) -> None:
        """Carry out one act. Acts that come too late (a closed market, an unknown order) change nothing."""
        if isinstance(act, PlaceOrder):
            self._place_house_order(act, now_ms)
        elif isinstance(act, CancelOrder):
            if self.engine.cancel(house_order_id(act.account, act.order_key)) is not None:
                self._publish(act.market.market_id, now_ms)
        elif isinstance(act, ListMarket):
            self.list_market(act, now_ms)
        else:
            listed = self.markets.get(act.market.market_id)
            if listed is None:
                return
            if isinstance(act, CloseMarket):
                self._close(listed, now_ms)
            elif isinstance(act, DetermineMarket):
                self._determine(listed, act, now_ms)
            elif isinstance(act, SettleMarket):
                self._settle(listed, now_ms)
            else:
                self._change_tick(listed, act, now_ms)

    def list_market(self, act: ListMarket, now_ms: int) -> ListedMarket:
        """List a market; one that is listed already stays as it is."""
        market = act.market
        known = self.markets.get(market.market_id)
        if known is not None:
            return known
        is_fine = self.venue is Venue.POLYMARKET
        # Dollars spent on Polymarket buy millionths of a contract; its minimum binds only orders that may rest, which
        # its face checks.
        book = self.engine.add_market(
            market.market_id,
            market.price_ranges,
            1 if is_fine else market.min_size_e6,
            1 if is_fine else market.size_step_e6,
        )
        listed = ListedMarket(market, act.event, book, fee_schedule_of(market), now_ms)
        listed.price_ranges = market.price_ranges
        listed.last_price_e4 = 0
        listed.volume_e6 = market.volume_contracts * 1_000_000
        listed.interest_e6 = listed.volume_e6 // 3
        listed.updated_ms = now_ms
        self.markets[market.market_id] = listed
        self.changes.listings.append(market.market_id)
        self._lifecycle(listed, "created", now_ms)
        return listed

    def _place_house_order(self, act: PlaceOrder, now_ms: int) -> None:
        order = Order(
            house_order_id(act.account, act.order_key),
            act.account,
            act.market.market_id,
            act.side,
            act.price_e4,
            act.size_e6,
            act.size_e6,
            "ioc" if act.is_immediate else "gtc",
            self_trade="maker",
            is_house=True,
            client_order_id=act.order_key,
        )
        try:
            self.engine.submit(order)
        except Refused:
            self.refused_house_orders += 1
            return
        self._publish(act.market.market_id, now_ms)

    def _close(self, listed: ListedMarket, now_ms: int) -> None:
        if listed.status != "open":
            return
        self.engine.close(listed.market_id)
        listed.status, listed.closed_ms = "closed", now_ms
        self._publish(listed.market_id, now_ms, ended="canceled")
        self._lifecycle(listed, "closed", now_ms)

    def _determine(self, listed: ListedMarket, act: DetermineMarket, now_ms: int) -> None:
        if listed.status not in ("open", "closed"):
            return
        self._close(listed, now_ms)
        listed.status, listed.determined_ms = "determined", now_ms
        listed.result, listed.settlement_e4 = act.result, act.settlement_e4
        self._lifecycle(listed, "determined", now_ms)

    def _settle(self, listed: ListedMarket, now_ms: int) -> None:
        if listed.status != "determined" or listed.settlement_e4 is None:
            return
        for trade in [t for t in self.unsettled.values() if t.market_id == listed.market_id]:
            self._advance(trade, "CONFIRMED", now_ms)
        for account in list(self.accounts.accounts.values()):
            self._pay(account, listed, listed.settlement_e4, now_ms)
        listed.status, listed.settled_ms = "settled", now_ms
        listed.interest_e6 = 0
        self._lifecycle(listed, "settled", now_ms)

    def _pay(self, account: Account, listed: ListedMarket, settlement_e4: int, now_ms: int) -> None:
        position = account.positions.get(listed.market_id)
        if position is None:
            return
        yes, no, yes_cost, no_cost = position.yes_e6, position.no_e6, position.yes_cost_e6, position.no_cost_e6
        payout = self.accounts.settle(account, listed.market_id, settlement_e4, now_ms)
        if account.is_house:
            account.positions.pop(listed.market_id)
            return
        if not (yes or no):
            return
        record = Payout(
            account.account_id, listed.market_id, now_ms, settlement_e4, listed.result, yes, no, yes_cost, no_cost,
            payout, position.fees_e6, self._transaction_id(),
        )  # fmt: skip
        self.payouts.append(record)
        self.changes.payouts.append(record)
        self.changes.touch(account.account_id, listed.market_id)

    def _change_tick(self, listed: ListedMarket, act: ChangeTick, now_ms: int) -> None:
        if listed.status != "open" or listed.tick_e4 == act.tick_e4:
            return
        listed.price_ranges = ((0, PRICE_ONE_E4, act.tick_e4),)
        self.engine.change_grid(listed.market_id, listed.price_ranges)
        self._lifecycle(listed, "tick_changed", now_ms)

    def _lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        listed.updated_ms = now_ms
        self.changes.markets.add(listed.market_id)
        for listener in self.listeners:
            listener.on_lifecycle(listed, moment, now_ms)

    # -- orders from outside ----------------------------------------------------------------------------------------

    def place(self, request: OrderRequest, now_ms: int) -> Ticket:
        """Place an external order.

        Raises:
            Refused: With the engine's codes, `insufficient_balance`, `duplicate`, or a fault's own code.
        """
        if request.order_id in self.tickets:
            raise Refused("duplicate")
        order = _engine_order(request)
        self.engine.check(order)
        rule = self.faults.fires("reject", self.venue, market_id=request.market_id)
        if rule is not None:
            raise Refused("fault", rule.code or "rejected")
        self._let_makers_fade(order, now_ms)
        listed = self.markets[request.market_id]
        check_funds(self, request, listed, self.engine.preview(order))
        ticket = Ticket(request, now_ms, now_ms, request.size_e6)
        self.tickets[request.order_id] = ticket
        try:
            self.engine.submit(order)
        except Refused:
            del self.tickets[request.order_id]
            raise
        self.changes.tickets.add(request.order_id)
        self._publish(request.market_id, now_ms)
        return ticket

    def cancel(self, account_id: str, order_id: str, now_ms: int) -> int | None:
        """Cancel what is left of an order; the contracts taken out, None when it does not rest (any more)."""
        ticket = self.tickets.get(order_id)
        if ticket is None or ticket.request.account_id != account_id or ticket.status != "resting":
            return None
        order = self.engine.cancel(order_id)
        if order is None:
            return None
        self._publish(order.market_id, now_ms)
        return order.remaining_e6

    def open_tickets(self, account_id: str) -> list[Ticket]:
        """The account's resting orders, oldest first."""
        return [ticket for ticket in self.resting.values() if ticket.request.account_id == account_id]

    def tick(self, now_ms: int) -> None:
        """Let time pass: expire orders, move Polymarket's trades through their settlement."""
        self.engine.expire(now_ms)
        if self.engine.events:
            for market_id in {event.market_id for event in self.engine.events if isinstance(event, LevelChanged)}:
                self._publish(market_id, now_ms)
        plan = self.faults.settlement
        for trade in list(self.unsettled.values()):
            age = now_ms - trade.at_ms
            if trade.status == "MATCHED" and age >= plan.mined_ms:
                self._advance(trade, "MINED", now_ms)
            elif trade.status == "MINED" and age >= plan.confirmed_ms:
                fails = self.faults.happens(plan.failed_probability) and self._reverse(trade)
                self._advance(trade, "FAILED" if fails else "CONFIRMED", now_ms)

    def _let_makers_fade(self, order: Order, now_ms: int) -> None:
        """Pull house quotes away before an immediate order arrives, as the fault plan says."""
        if order.tif not in ("ioc", "fok"):
            return
        fade = self.faults.fires("fade", self.venue, market_id=order.market_id)
        partial = None if fade else self.faults.fires("partial_fill", self.venue, market_id=order.market_id)
        if fade is None and partial is None:
            return
        kept = 0
        if partial is not None:
            wanted = sum(size for _, size in self.engine.preview(order))
            kept = int(wanted * partial.fraction) // 10_000 * 10_000
        book = self.engine.books[order.market_id]
        for resting in list(self.engine.crossing(book, order)):
            if not resting.is_house:
                continue
            if kept >= resting.remaining_e6:
                kept -= resting.remaining_e6
            elif kept:
                self.engine.reduce(resting.order_id, kept)
                kept = 0
            else:
                self.engine.cancel(resting.order_id)
        self._publish(order.market_id, now_ms)

    # -- from engine events to accounts, records and faces ----------------------------------------------------------

    def _publish(self, market_id: str, now_ms: int, ended: str = "") -> None:
        """Book what the engine reports for one market, then tell the faces."""
        listed = self.markets[market_id]
        events = self.engine.drain()
        changes: list[LevelChanged] = []
        trades: list[Trade] = []
        tickets: dict[str, Ticket] = {}
        for event in events:
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
        self.changes.tickets.add(ticket.order_id)
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
            self.resting[ticket.order_id] = ticket

    def _book_trade(self, listed: ListedMarket, event: Traded, tickets: dict[str, Ticket], now_ms: int) -> Trade:
        taker_intent, maker_intent = self._intent(event.taker), self._intent(event.maker)
        yes_cash, no_cash = split_cash(
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
            cash = yes_cash if side.intent.outcome == "yes" else no_cash
            self._book_side(listed, trade, order, side, cash, tickets, now_ms)
        self._count(listed, trade, now_ms)
        if trade.is_external:
            self._keep(trade)
        self._tell_house(event, listed)
        return trade

    def _intent(self, order: Order) -> Intent:
        if order.is_house:
            return buying(order.side)
        return self.tickets[order.order_id].request.intent

    def _book_side(
        self,
        listed: ListedMarket,
        trade: Trade,
        order: Order,
        side: TradeSide,
        cash_e6: int,
        tickets: dict[str, Ticket],
        now_ms: int,
    ) -> None:
        account = self.accounts.house(order.account) if order.is_house else self.accounts.accounts[order.account]
        price = trade.price_e4 if side.intent.outcome == "yes" else PRICE_ONE_E4 - trade.price_e4
        is_taker = side is trade.taker
        charge = self.accounts.fill(
            account, listed.market_id, order.order_id, side.intent, price, trade.size_e6, cash_e6,
            listed.schedule, is_taker=is_taker, now_ms=now_ms,
        )  # fmt: skip
        if order.is_house:
            return
        position = account.position(listed.market_id)
        side.charge, side.post_position_e6 = charge, position.yes_e6 - position.no_e6
        ticket = self.tickets[order.order_id]
        ticket.filled_e6 += trade.size_e6
        ticket.remaining_e6 = order.remaining_e6 if order.spend_e10 is None else 0
        ticket.updated_ms = now_ms
        ticket.trade_ids.append(trade.trade_id)
        if is_taker:
            ticket.taker_cash_e6 += cash_e6
            ticket.taker_fees_e6 += charge.fee_e6
        else:
            ticket.maker_cash_e6 += cash_e6
            ticket.maker_fees_e6 += charge.fee_e6
        fees = self.accounts.order_fees.get(order.order_id)
        ticket.fee_remainder_e6 = fees.accumulator_e6 if fees is not None else 0
        tickets[ticket.order_id] = ticket
        self.changes.tickets.add(ticket.order_id)
        self.changes.touch(account.account_id, listed.market_id)

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

    def _keep(self, trade: Trade) -> None:
        self.trades[trade.trade_id] = trade
        self.changes.trades[trade.trade_id] = trade
        if self.venue is Venue.POLYMARKET:
            trade.status = "MATCHED"
            self.unsettled[trade.trade_id] = trade

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

    def _reverse(self, trade: Trade) -> bool:
        for side in (trade.taker, trade.maker):
            if side.charge is None:
                continue
            account = self.accounts.accounts[side.account_id]
            if not self.accounts.reverse(account, trade.market_id, side.intent, trade.size_e6, side.charge):
                return False
            self.changes.touch(side.account_id, trade.market_id)
        return True

    def _advance(self, trade: Trade, status: str, now_ms: int) -> None:
        trade.status, trade.status_ms = status, now_ms  # type: ignore[assignment]
        if status in ("CONFIRMED", "FAILED"):
            self.unsettled.pop(trade.trade_id, None)
        self.changes.trades[trade.trade_id] = trade
        for listener in self.listeners:
            self._tell_sides(listener, trade, self.markets[trade.market_id], now_ms)

    def past_key(self, market_id: str) -> PastKey:
        """What the market's made-up past follows: its own id unless the truth ties it to others."""
        return self.past_keys.get(market_id) or PastKey(market_id)

    def drain_house_fills(self) -> list[HouseFill]:
        """Return what house orders traded since the last call."""
        fills, self.house_fills = self.house_fills, []
        return fills

    def reserved_e6(self, account_id: str) -> int:
        """Cash that the account's resting buys may still need."""
        return sum(
            cash_e6_of(_cost_e4(ticket.request), ticket.remaining_e6, paying=True)
            for ticket in self.open_tickets(account_id)
            if ticket.request.intent.action == "buy"
        )

    def _transaction_id(self) -> str:
        return f"0x{self._random.getrandbits(256):064x}"


def house_order_id(account: str, order_key: str) -> str:
    """The engine's id of a house order."""
    return f"{account}/{order_key}"


def _cost_e4(request: OrderRequest) -> int:
    return request.price_e4 if request.intent.outcome == "yes" else PRICE_ONE_E4 - request.price_e4


def _engine_order(request: OrderRequest) -> Order:
    is_spending = request.spend_e6 is not None
    return Order(
        request.order_id,
        request.account_id,
        request.market_id,
        request.side,
        request.price_e4,
        _UNBOUNDED_E6 if is_spending else request.size_e6,
        _UNBOUNDED_E6 if is_spending else request.size_e6,
        request.tif,
        request.is_post_only,
        request.self_trade,
        request.expires_ms,
        None if request.spend_e6 is None else request.spend_e6 * 10_000,
        client_order_id=request.client_order_id,
    )
