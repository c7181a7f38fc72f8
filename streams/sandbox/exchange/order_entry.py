"""Orders of external accounts: placing, holding, amending, decreasing, cancelling."""

from __future__ import annotations

from dataclasses import replace

from streams.market.errors import Refused
from streams.market.identity import Outcome, other_outcome
from streams.sandbox.core.book import Order
from streams.sandbox.core.records import KEEP, Amendment, OrderRecord, OrderRequest
from streams.sandbox.exchange.buying_power import BuyingPower
from streams.sandbox.exchange.change_feed import ChangeFeed
from streams.sandbox.exchange.state import ExchangeState
from streams.sandbox.exchange.trade_capture import TradeCapture
from streams.sandbox.exchange.trading_status import TradingStatus

_UNBOUNDED_E6 = 10**15


class OrderEntry:
    """Takes and changes orders."""

    def __init__(
        self,
        state: ExchangeState,
        feed: ChangeFeed,
        capture: TradeCapture,
        status: TradingStatus,
        buying_power: BuyingPower,
    ) -> None:
        self._state = state
        self._feed = feed
        self._capture = capture
        self._status = status
        self._buying_power = buying_power

    # -- placing ----------------------------------------------------------------------------------------------------

    def place(self, request: OrderRequest, now_ms: int) -> OrderRecord:
        """Place an external order. A `late_fill` fault holds it back for its `ms`, as `hold` does.

        Raises:
            Refused: With the engine's codes, `market_paused`, `insufficient_balance`, `insufficient_shard_balance`,
                `duplicate`, a mode's code, or a fault's own code. Nothing has changed then.
        """
        request, order = self._admit(request, now_ms)
        engine, faults = self._state.engine, self._state.faults
        if faults.rules:
            late = faults.fires("late_fill", self._state.venue, market_id=request.market_id)
            if late is not None:
                return self._hold(request, order, now_ms + late.ms, now_ms)
            self._let_makers_fade(order, now_ms)
        self._buying_power.check(request, engine.preview(order))
        record = self._open_record(request, now_ms)
        if order.remaining_e6 == 0:
            return self._end_unmatched(record, "reduce_only", now_ms)
        try:
            # What a reduce-only order may still trade is not the size that was checked.
            (engine.submit if request.is_reduce_only else engine.enter)(order)
        except Refused:
            del self._state.orders[request.order_id]
            self._state.order_count -= 1
            raise
        self._capture.publish(request.market_id, now_ms)
        return record

    def hold(self, request: OrderRequest, release_ms: int, now_ms: int) -> OrderRecord:
        """Take an order that reaches the book later; until then its cost is reserved and it cannot be cancelled.

        Raises:
            Refused: As `place` does.
        """
        request, order = self._admit(request, now_ms)
        return self._hold(request, order, release_ms, now_ms)

    def _hold(self, request: OrderRequest, order: Order, release_ms: int, now_ms: int) -> OrderRecord:
        self._buying_power.check(request, self._state.engine.preview(order))
        # By then the book may be another one: what it would trade now may be less than what it reserves.
        self._buying_power.check(replace(request, tif=request.tif if request.spend_e6 else "gtc"), ())
        record = self._open_record(request, now_ms)
        record.status, record.release_ms = "delayed", release_ms
        self._state.delayed[record.order_id] = record
        self._feed.publish_order(record, now_ms)
        return record

    def _admit(self, request: OrderRequest, now_ms: int) -> tuple[OrderRequest, Order]:
        """Return a copy of the request with the size it may have, and its order; or refuse it before money matters."""
        state = self._state
        self._capture.expire(now_ms)
        if request.order_id in state.orders:
            raise Refused("duplicate")
        self._status.check_entry(request.market_id, is_post_only=request.is_post_only)
        order = engine_order(request)
        state.engine.check(order)
        if state.faults.rules:
            rule = state.faults.fires("reject", state.venue, market_id=request.market_id)
            if rule is not None:
                raise Refused("fault", rule.code or "rejected")
        if not request.is_reduce_only:
            return replace(request), order
        request = replace(request, size_e6=self._allowed_e6(request))
        return request, engine_order(request)

    def _allowed_e6(self, request: OrderRequest) -> int:
        """The order's size; a reduce-only one trades no more than what its account holds against it now."""
        if not request.is_reduce_only:
            return request.size_e6
        outcome = request.intent.outcome
        reduced = outcome if request.intent.action == "sell" else other_outcome(outcome)
        held = self._state.accounts.accounts[request.account_id].held_e6(request.market_id, reduced)
        return max(0, min(request.size_e6, held))

    def _open_record(self, request: OrderRequest, now_ms: int) -> OrderRecord:
        self._state.order_count += 1
        size, number = request.size_e6, self._state.order_count
        record = OrderRecord(request, now_ms, now_ms, size, number=number, initial_e6=size)
        self._state.orders[request.order_id] = record
        return record

    def _end_unmatched(self, record: OrderRecord, reason: str, now_ms: int) -> OrderRecord:
        record.status, record.reason, record.remaining_e6 = "canceled", reason, 0
        record.updated_ms = now_ms
        self._state.accounts.drop_fees(record.order_id)
        self._feed.publish_order(record, now_ms)
        return record

    def _let_makers_fade(self, order: Order, now_ms: int) -> None:
        """Pull simulated quotes away before an immediate order arrives, as the fault plan says."""
        if order.tif not in ("ioc", "fok"):
            return
        faults, engine, venue = self._state.faults, self._state.engine, self._state.venue
        fade = faults.fires("fade", venue, market_id=order.market_id)
        partial = None if fade else faults.fires("partial_fill", venue, market_id=order.market_id)
        if fade is None and partial is None:
            return
        kept = 0
        if partial is not None:
            wanted = sum(size for _, size in engine.preview(order))
            kept = int(wanted * partial.fraction) // 10_000 * 10_000
        for resting in [resting for resting in engine.crossing(order) if resting.is_house]:
            if kept >= resting.remaining_e6:
                kept -= resting.remaining_e6
            elif kept:
                engine.reduce(resting.order_id, kept)
                kept = 0
            else:
                engine.cancel(resting.order_id)
        self._capture.publish(order.market_id, now_ms)

    # -- held orders ------------------------------------------------------------------------------------------------

    def release(self, now_ms: int) -> None:
        """Let held orders whose time has come enter the book; one that is refused now ends with the code as reason."""
        for record in list(self._state.delayed.values()):
            if record.release_ms is not None and record.release_ms <= now_ms:
                self._enter_held(record, now_ms)

    def end_held(self, market_id: str, now_ms: int) -> None:
        """End the held orders of a market that has closed, as their release would."""
        for record in [r for r in self._state.delayed.values() if r.request.market_id == market_id]:
            del self._state.delayed[record.order_id]
            self._end_unmatched(record, "market_closed", now_ms)

    def _enter_held(self, record: OrderRecord, now_ms: int) -> None:
        request, engine = record.request, self._state.engine
        del self._state.delayed[record.order_id]
        if request.expires_ms is not None and request.expires_ms <= now_ms:
            self._end_unmatched(record, "expired", now_ms)
            return
        request.size_e6 = self._allowed_e6(request)
        if request.size_e6 == 0:
            self._end_unmatched(record, "reduce_only", now_ms)
            return
        order = engine_order(request)
        try:
            self._status.check_entry(request.market_id, is_post_only=request.is_post_only)
            engine.check(order)
            self._let_makers_fade(order, now_ms)
            self._buying_power.check(request, engine.preview(order))
            engine.submit(order)
        except Refused as refused:
            self._end_unmatched(record, refused.code, now_ms)
            return
        self._capture.publish(request.market_id, now_ms)

    # -- changing ---------------------------------------------------------------------------------------------------

    def amend(self, account_id: str, order_id: str, change: Amendment, now_ms: int) -> OrderRecord:
        """Change a resting order.

        It keeps its place in the queue if only the expiry changes or the size shrinks; another price or a larger size
        loses it, and the order is matched again. Own orders it meets then stop it or end, as its self-trade mode says;
        a post-only order that would cross ends.

        Raises:
            Refused: `not_found` when it does not rest, `invalid_price`, `invalid_size` (also when nothing would be
                left to rest), `insufficient_balance`, `insufficient_shard_balance`, or a mode's code.
        """
        self._capture.expire(now_ms)
        record, engine = self._resting(account_id, order_id), self._state.engine
        request, wanted = record.request, change.total_e6 - record.filled_e6
        self._status.check_entry(request.market_id, is_post_only=request.is_post_only)
        book = engine.books[request.market_id]
        if not book.is_on_grid(change.price_e4):
            raise Refused("invalid_price")
        if wanted <= 0 or wanted % book.size_step_e6:
            raise Refused("invalid_size")
        keeps_place = change.price_e4 == request.price_e4 and wanted <= record.remaining_e6
        if not keeps_place:
            fresh = replace(request, price_e4=change.price_e4, size_e6=wanted)
            self._buying_power.check(fresh, engine.preview(engine_order(fresh)), replaced=record)
        self._rewrite(request, change)
        if not keeps_place:
            engine.replace(order_id, change.price_e4, wanted)
        elif wanted < record.remaining_e6:
            engine.reduce(order_id, wanted)
        record.remaining_e6 = wanted
        return self._changed(record, now_ms)

    def _rewrite(self, request: OrderRequest, change: Amendment) -> None:
        """Put what an amendment says into the request and its order."""
        order = self._state.engine.orders[request.order_id]
        request.price_e4, request.size_e6 = change.price_e4, change.total_e6
        if change.client_order_id is not None:
            request.client_order_id = order.client_order_id = change.client_order_id
        if change.expires_ms is not KEEP:
            request.expires_ms = change.expires_ms
            self._state.engine.set_expiry(request.order_id, change.expires_ms)
            request.tif = order.tif

    def decrease(self, account_id: str, order_id: str, to_e6: int, now_ms: int) -> OrderRecord:
        """Shrink what rests of an order; it keeps its place in the queue. To zero is a cancel.

        Raises:
            Refused: `not_found` when it does not rest, `invalid_size` when that would be no decrease, or a mode's code.
        """
        self._status.check_cancel()
        record, engine = self._resting(account_id, order_id), self._state.engine
        if not 0 <= to_e6 < record.remaining_e6 or to_e6 % engine.books[record.request.market_id].size_step_e6:
            raise Refused("invalid_size")
        if to_e6 == 0:
            self._capture.end_resting(record, now_ms, "canceled")
            return record
        engine.reduce(order_id, to_e6)
        record.request.size_e6 = record.filled_e6 + to_e6
        record.remaining_e6 = to_e6
        return self._changed(record, now_ms)

    def _changed(self, record: OrderRecord, now_ms: int) -> OrderRecord:
        record.updated_ms = now_ms
        self._capture.publish(record.request.market_id, now_ms, (record,))
        return record

    def cancel(self, account_id: str, order_id: str, now_ms: int) -> int | None:
        """Cancel what is left of an order; the contracts taken out, None when it does not rest (any more).

        Raises:
            Refused: `exchange_closed` or `restarting`.
        """
        self._status.check_cancel()
        record = self._state.resting.get(order_id)
        if record is None or record.request.account_id != account_id:
            return None
        left = record.remaining_e6
        self._capture.end_resting(record, now_ms, "canceled")
        return left

    def cancel_all(
        self, account_id: str, now_ms: int, *, market_id: str | None = None, outcome: Outcome | None = None
    ) -> list[OrderRecord]:
        """Cancel an account's resting orders, all or those of a market and of an outcome; returns them.

        Raises:
            Refused: `exchange_closed` or `restarting`.
        """
        self._status.check_cancel()
        found = [
            record
            for record in self._state.resting_orders(account_id)
            if market_id in (None, record.request.market_id) and outcome in (None, record.request.intent.outcome)
        ]
        for record in found:
            self._capture.end_resting(record, now_ms, "canceled")
        return found

    def _resting(self, account_id: str, order_id: str) -> OrderRecord:
        record = self._state.resting.get(order_id)
        if record is None or record.request.account_id != account_id:
            raise Refused("not_found")
        return record


def engine_order(request: OrderRequest) -> Order:
    """The order as the engine takes it; one that is bounded by money has no size of its own."""
    size = request.size_e6 if request.spend_e6 is None else _UNBOUNDED_E6
    return Order(
        request.order_id,
        request.account_id,
        request.market_id,
        request.side,
        request.price_e4,
        size,
        size,
        request.tif,
        request.is_post_only,
        request.self_trade,
        request.expires_ms,
        request.spend_e6,
        client_order_id=request.client_order_id,
    )
