"""One sandbox exchange: carries out the flow's acts and external orders, and tells the faces what changed.

Knows engine, accounts and records; knows no wire format, no socket, no file. Time comes in with every call. The layers
below it: `booking` follows the engine, `settling` moves contracts outside the book, `treasury` cash between shards,
`modes` refuses, `trading` takes external orders.
"""

from __future__ import annotations

from streams.market.errors import Refused
from streams.market.identity import Venue
from streams.sandbox.core.book import Order
from streams.sandbox.core.faults import FaultPlan
from streams.sandbox.core.model import (
    Act,
    CancelOrder,
    CloseMarket,
    DetermineMarket,
    ListMarket,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.core.profile import ZERO, Behaviour
from streams.sandbox.core.records import ListedMarket, fee_schedule_of
from streams.sandbox.core.shards import shard_of
from streams.sandbox.exchange.eviction import forgettable
from streams.sandbox.exchange.order_entry import Trading

_FORGET_EVERY_MS = 60_000


class Exchange(Trading):
    """One venue's markets, books, accounts and orders.

    `face_state` holds JSON values that a face wants to find again after a restart; it sets `changes.face` when it
    changes them.
    """

    def __init__(self, venue: Venue, faults: FaultPlan, seed: int = 0, behaviour: Behaviour = ZERO) -> None:
        super().__init__(venue, faults, seed, behaviour)
        self.waiting_cancels: list[CancelOrder] = []
        self._forgot_ms = 0

    # -- acts of the flow -------------------------------------------------------------------------------------------

    def apply(self, act: Act, now_ms: int) -> None:
        """Carry out one act. Acts that come too late (a closed market, an unknown order) change nothing."""
        if isinstance(act, PlaceOrder):
            self._place_house_order(act, now_ms)
        elif isinstance(act, CancelOrder):
            self._cancel_house_order(act, now_ms)
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
                self.settle_market(listed, now_ms)
            else:
                self.price_grids.change(listed, act.tick_e4, now_ms)

    def list_market(self, act: ListMarket, now_ms: int, number: int | None = None) -> ListedMarket:
        """List a market; one that is listed already stays as it is. `number` is given when a journal is restored."""
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
        self.listed_count = max(self.listed_count + 1, number or 0)
        listed.number = number or self.listed_count
        listed.shard = self.accounts.shards[market.market_id] = shard_of(act.event, market)
        listed.price_ranges = market.price_ranges
        listed.last_price_e4 = 0
        listed.volume_e6 = market.volume_contracts * 1_000_000
        listed.interest_e6 = listed.volume_e6 // 3
        listed.updated_ms = now_ms
        self.markets[market.market_id] = listed
        if self.venue is Venue.KALSHI:
            self.netting.list_market(listed)
        self.changes.listings.append(market.market_id)
        self.tell_lifecycle(listed, "created", now_ms)
        return listed

    def _place_house_order(self, act: PlaceOrder, now_ms: int) -> None:
        self.expire(now_ms)
        order = Order(
            house_order_id(act.account, act.order_key),
            act.account,
            act.market.market_id,
            act.side,
            act.price_e4,
            act.size_e6,
            act.size_e6,
            "ioc" if act.is_immediate else "gtc",
            self.mode == "post_only",
            self_trade="maker",
            is_house=True,
            client_order_id=act.order_key,
        )
        try:
            self._check_house(act)
            self.engine.submit(order)
        except Refused:
            self.refused_house_orders += 1
            return
        self.publish(act.market.market_id, now_ms)

    def _check_house(self, act: PlaceOrder) -> None:
        if self.mode not in ("open", "post_only") or (self.mode == "post_only" and act.is_immediate):
            raise Refused(self.mode)

    def _cancel_house_order(self, act: CancelOrder, now_ms: int) -> None:
        if self.mode in ("closed", "restarting"):
            self.waiting_cancels.append(act)
        elif self.engine.cancel(house_order_id(act.account, act.order_key)) is not None:
            self.publish(act.market.market_id, now_ms)

    # -- the life of a market ---------------------------------------------------------------------------------------

    def pause_market(self, market_id: str, now_ms: int) -> None:
        """Stop trading in one market; what rests stays, and can be cancelled. Orders are refused `market_paused`.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        listed = self._live(market_id)
        if listed.status == "open":
            self.engine.pause(market_id)
            listed.status = "paused"
            self.tell_lifecycle(listed, "paused", now_ms)

    def reactivate_market(self, market_id: str, now_ms: int) -> None:
        """Go on with trading; what rested through the pause is cancelled.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        listed = self._live(market_id)
        if listed.status == "paused":
            self.engine.reactivate(market_id)
            listed.status = "open"
            self.publish(market_id, now_ms)
            self.tell_lifecycle(listed, "reactivated", now_ms)

    def close_early(self, market_id: str, now_ms: int) -> None:
        """End trading before the planned time.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        self._close(self._live(market_id), now_ms)

    def change_close(self, market_id: str, close_ms: int, now_ms: int) -> None:
        """Plan another end of trading.

        Raises:
            Refused: `market_not_found`, `market_closed`.
        """
        listed = self._live(market_id)
        listed.change_close(close_ms)
        self.tell_lifecycle(listed, "close_changed", now_ms)

    def _live(self, market_id: str) -> ListedMarket:
        listed = self.markets.get(market_id)
        if listed is None:
            raise Refused("market_not_found")
        if listed.status not in ("open", "paused"):
            raise Refused("market_closed")
        return listed

    def _close(self, listed: ListedMarket, now_ms: int) -> None:
        if listed.status not in ("open", "paused"):
            return
        self.engine.close(listed.market_id)
        listed.status, listed.closed_ms = "closed", now_ms
        self.publish(listed.market_id, now_ms)
        self.end_held(listed.market_id, now_ms)
        self.tell_lifecycle(listed, "closed", now_ms)

    def _determine(self, listed: ListedMarket, act: DetermineMarket, now_ms: int) -> None:
        if listed.status not in ("open", "paused", "closed"):
            return
        self._close(listed, now_ms)
        listed.status, listed.determined_ms = "determined", now_ms
        listed.result, listed.settlement_e4 = act.result, act.settlement_e4
        self.tell_lifecycle(listed, "determined", now_ms)

    # -- time -------------------------------------------------------------------------------------------------------

    def tick(self, now_ms: int) -> None:
        """Let time pass: modes end, orders expire, held ones are released, trades settle, cash is rebalanced."""
        self.reads.prepare(now_ms)
        self.move_mode(now_ms)
        if self.mode not in ("closed", "restarting"):
            waiting, self.waiting_cancels = self.waiting_cancels, []
            for act in waiting:
                self._cancel_house_order(act, now_ms)
        self.expire(now_ms)
        self.release(now_ms)
        self.settle_trades(now_ms)
        self.rebalance(now_ms)
        if now_ms - self._forgot_ms >= _FORGET_EVERY_MS:
            self._forgot_ms = now_ms
            for market_id in forgettable(self, now_ms):
                self.forget_market(market_id)

    def forget_market(self, market_id: str) -> None:
        """Drop a market that was settled long ago with everything that belongs to it; lists and journal lose it."""
        gone = {order_id for order_id, ticket in self.tickets.items() if ticket.request.market_id == market_id}
        trades = {trade_id for trade_id, trade in self.trades.items() if trade.market_id == market_id}
        for order_id in gone:
            del self.tickets[order_id]
        for trade_id in trades:
            del self.trades[trade_id]
        self.payouts = [payout for payout in self.payouts if payout.market_id != market_id]
        for account in self.accounts.accounts.values():
            account.positions.pop(market_id, None)
        self.accounts.forget_market(market_id)
        self.netting.forget_market(market_id)
        self.reads.evict(gone, trades)
        self.engine.forget(market_id)
        self.changes.forget(market_id, gone, trades)
        listed = self.markets.pop(market_id, None)
        if listed is not None:
            self.feed.publish_eviction(listed)


def house_order_id(account: str, order_key: str) -> str:
    """The engine's id of a house order."""
    return f"{account}/{order_key}"
