"""From what the engine reports to accounts, order records, trades and the change feed."""

from __future__ import annotations

import uuid

from streams.market.identity import MarketRef
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Fill, Intent, buying, split_cash
from streams.sandbox.core.book import EndReason, LevelChanged, Order, OrderEnded, OrderRested, Traded
from streams.sandbox.core.model import ParticipantFill
from streams.sandbox.core.records import ListedMarket, OrderRecord, Trade, TradeSide
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.price_grids import PriceGrids
from streams.sandbox.exchange.settlement_timing import SettlementTiming
from streams.sandbox.exchange.state import ExchangeState


class TradeCapture:
    """Follows the engine: whoever changed a book calls `publish` for its market."""

    def __init__(
        self, state: ExchangeState, feed: ChangeFeed, timing: SettlementTiming, price_grids: PriceGrids
    ) -> None:
        self._state = state
        self._feed = feed
        self._timing = timing
        self._price_grids = price_grids

    def publish(self, market_id: str, now_ms: int, changed: tuple[OrderRecord, ...] = ()) -> None:
        """Capture what the engine reports for one market, then publish it, also orders that `changed` otherwise."""
        listed = self._state.markets[market_id]
        changes: list[LevelChanged] = []
        trades: list[Trade] = []
        records: dict[str, OrderRecord] = {}
        for record in changed:
            records[record.order_id] = record
        for event in self._state.engine.drain():
            if isinstance(event, LevelChanged):
                changes.append(event)
            elif isinstance(event, Traded):
                trades.append(self._capture(listed, event, records, now_ms))
            elif not event.order.is_house:
                order_id = event.order.order_id
                records[order_id] = self._follow(self._state.orders[order_id], event, now_ms)
        book = listed.book
        if (book.best_bid, book.best_ask) != listed.quoted:
            listed.quoted = (book.best_bid, book.best_ask)
            listed.history.quote(now_ms, book.best_bid or 0, book.best_ask or PRICE_ONE_E4)
        self._feed.publish_book(listed, changes, trades, records.values(), now_ms)
        if self._state.rules.refines_grid:
            self._price_grids.refine(listed, now_ms)

    def end_resting(self, record: OrderRecord, now_ms: int, reason: EndReason) -> None:
        """Take a resting order out of its book."""
        self._state.engine.cancel(record.order_id, reason)
        self.publish(record.request.market_id, now_ms)

    def expire(self, now_ms: int) -> None:
        """End the orders whose time has come: as time passes, and before anything is matched."""
        for market_id in self._state.engine.expire(now_ms):
            self.publish(market_id, now_ms)

    # -- orders -----------------------------------------------------------------------------------------------------

    def _follow(self, record: OrderRecord, event: OrderEnded | OrderRested, now_ms: int) -> OrderRecord:
        """Let a record follow its order into the book, or to its end."""
        order_id = event.order.order_id
        record.updated_ms = now_ms
        if isinstance(event, OrderRested):
            record.status, record.remaining_e6 = "resting", event.order.remaining_e6
            record.sequence = event.order.sequence
            self._state.resting[order_id] = record
            return record
        record.reason = event.reason
        is_executed = event.reason == "filled" or (event.reason in ("immediate", "self_trade") and record.filled_e6)
        record.status = "executed" if is_executed else "canceled"
        record.remaining_e6 = 0
        self._state.resting.pop(order_id, None)
        self._state.accounts.drop_fees(order_id)
        return record

    # -- trades -----------------------------------------------------------------------------------------------------

    def _capture(self, listed: ListedMarket, event: Traded, records: dict[str, OrderRecord], now_ms: int) -> Trade:
        taker, maker = self._intent(event.taker), self._intent(event.maker)
        legs = split_cash(event.price_e4, event.size_e6, taker_side=event.taker.side, taker_buys=taker.action == "buy")
        trade = Trade(
            str(uuid.UUID(int=self._state.random.getrandbits(128), version=4)),
            listed.market_id,
            event.price_e4,
            event.size_e6,
            event.taker.side,
            now_ms,
            TradeSide(event.taker.account, event.taker.order_id, taker),
            TradeSide(event.maker.account, event.maker.order_id, maker),
            status_ms=now_ms,
        )
        for order, side in ((event.taker, trade.taker), (event.maker, trade.maker)):
            fill = trade.fill(side, legs)
            if order.is_house:
                self._state.accounts.fill(self._state.accounts.participant(order.account), fill, listed.schedule)
            else:
                records[order.order_id] = self._fill_order(listed, trade, order, fill)
        self._count(listed, trade)
        if trade.is_external:
            self._keep(trade)
        self._tell_participants(event)
        return trade

    def _intent(self, order: Order) -> Intent:
        return buying(order.side) if order.is_house else self._state.orders[order.order_id].request.intent

    def _fill_order(self, listed: ListedMarket, trade: Trade, order: Order, fill: Fill) -> OrderRecord:
        """Book a fill to an external account and to its order's record."""
        accounts, collateral = self._state.accounts, self._state.collateral
        account = accounts.accounts[order.account]
        charge = accounts.fill(account, fill, listed.schedule)
        group = collateral.group_for(account, listed.market_id)
        if group is not None:
            charge.cash_change_e6 += collateral.follow(account, group)
        position, side = account.position(listed.market_id), trade.taker if fill.is_taker else trade.maker
        side.charge, side.post_position_e6 = charge, position.yes_e6 - position.no_e6
        record = self._state.orders[order.order_id]
        record.filled_e6 += fill.size_e6
        record.remaining_e6 = order.remaining_e6 if order.spend_e6 is None else 0
        record.updated_ms = fill.at_ms
        record.trade_ids.append(trade.trade_id)
        if fill.is_taker:
            record.taker_cash_e6 += fill.cash_e6
            record.taker_fees_e6 += charge.fee_e6
        else:
            record.maker_cash_e6 += fill.cash_e6
            record.maker_fees_e6 += charge.fee_e6
        fees = accounts.order_fees.get(order.order_id)
        record.fee_remainder_e6 = fees.accumulator_e6 if fees is not None else 0
        self._feed.note_account(account, listed.market_id, fill.at_ms)
        return record

    def _count(self, listed: ListedMarket, trade: Trade) -> None:
        listed.last_price_e4 = trade.price_e4
        listed.last_was_no = trade.taker.intent.outcome == "no"
        listed.volume_e6 += trade.size_e6
        change = trade.size_e6 if self._state.random.random() < 0.6 else -trade.size_e6
        listed.interest_e6 = max(0, listed.interest_e6 + change)
        listed.history.trade(trade.at_ms, trade.price_e4, trade.size_e6, listed.interest_e6)
        self._state.print_trade(listed, trade)

    def _keep(self, trade: Trade) -> None:
        self._state.trade_count += 1
        trade.number = self._state.trade_count
        self._state.trades[trade.trade_id] = trade
        if self._state.rules.settles_on_chain:
            trade.status = "MATCHED"
            self._timing.schedule(trade, trade.at_ms)
            self._state.unsettled[trade.trade_id] = trade
        self._feed.note_trade(trade, trade.at_ms)

    def _tell_participants(self, event: Traded) -> None:
        ref = MarketRef(self._state.venue, event.maker.market_id)
        both = event.maker.is_house and event.taker.is_house
        for order in (event.maker, event.taker):
            if order.is_house:
                fill = ParticipantFill(
                    ref, order.account, order.client_order_id, order.side, event.price_e4, event.size_e6,
                    order.remaining_e6, both,
                )  # fmt: skip
                self._state.participant_fills.append(fill)
