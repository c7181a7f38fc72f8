"""Orders of external accounts: placing, holding, amending, decreasing, cancelling."""

from __future__ import annotations

from dataclasses import replace

from streams.market.errors import Refused
from streams.market.identity import Outcome, other_outcome
from streams.sandbox.core.book import Order
from streams.sandbox.core.records import KEEP, Amendment, ListedMarket, OrderRequest, Ticket
from streams.sandbox.exchange.trading_status import Modes

_UNBOUNDED_E6 = 10**15


class Trading(Modes):
    """Order entry."""

    # -- placing ----------------------------------------------------------------------------------------------------

    def place(self, request: OrderRequest, now_ms: int) -> Ticket:
        """Place an external order. A `late_fill` fault holds it back for its `ms`, as `hold` does.

        Raises:
            Refused: With the engine's codes, `market_paused`, `insufficient_balance`, `insufficient_shard_balance`,
                `duplicate`, a mode's code, or a fault's own code. Nothing has changed then.
        """
        request, listed = self._admit(request, now_ms)
        late = self.faults.fires("late_fill", self.venue, market_id=request.market_id)
        if late is not None:
            return self._hold(request, listed, now_ms + late.ms, now_ms)
        order = engine_order(request)
        self._let_makers_fade(order, now_ms)
        self.buying_power.check(request, self.engine.preview(order))
        ticket = self._open_ticket(request, now_ms)
        if order.remaining_e6 == 0:
            return self._end_unmatched(ticket, "reduce_only", now_ms)
        try:
            self.engine.submit(order)
        except Refused:
            del self.tickets[request.order_id]
            self.ticket_count -= 1
            raise
        self.note_ticket(ticket, now_ms)
        self.publish(request.market_id, now_ms)
        return ticket

    def hold(self, request: OrderRequest, release_ms: int, now_ms: int) -> Ticket:
        """Take an order that reaches the book later; until then its funds are reserved and it cannot be cancelled.

        Raises:
            Refused: As `place` does.
        """
        request, listed = self._admit(request, now_ms)
        return self._hold(request, listed, release_ms, now_ms)

    def _hold(self, request: OrderRequest, listed: ListedMarket, release_ms: int, now_ms: int) -> Ticket:
        self.buying_power.check(request, self.engine.preview(engine_order(request)))
        # By then the book may be another one: what it would trade now may be less than what it reserves.
        self.buying_power.check(replace(request, tif=request.tif if request.spend_e6 else "gtc"), ())
        ticket = self._open_ticket(request, now_ms)
        ticket.status, ticket.release_ms = "delayed", release_ms
        self.delayed[ticket.order_id] = ticket
        self.tell_ticket(ticket, now_ms)
        return ticket

    def _admit(self, request: OrderRequest, now_ms: int) -> tuple[OrderRequest, ListedMarket]:
        self.expire(now_ms)
        if request.order_id in self.tickets:
            raise Refused("duplicate")
        self.check_mode(request)
        self._check_market(request.market_id)
        self.engine.check(engine_order(request))
        rule = self.faults.fires("reject", self.venue, market_id=request.market_id)
        if rule is not None:
            raise Refused("fault", rule.code or "rejected")
        return replace(request, size_e6=self._allowed_e6(request)), self.markets[request.market_id]

    def _check_market(self, market_id: str) -> None:
        listed = self.markets.get(market_id)
        if listed is not None and listed.status == "paused":
            raise Refused("market_paused")

    def _allowed_e6(self, request: OrderRequest) -> int:
        """The order's size; a reduce-only one trades no more than what its account holds against it now."""
        if not request.is_reduce_only:
            return request.size_e6
        outcome = request.intent.outcome
        reduced = outcome if request.intent.action == "sell" else other_outcome(outcome)
        held = self.accounts.accounts[request.account_id].held_e6(request.market_id, reduced)
        return max(0, min(request.size_e6, held))

    def _open_ticket(self, request: OrderRequest, now_ms: int) -> Ticket:
        self.ticket_count += 1
        ticket = Ticket(request, now_ms, now_ms, request.size_e6, number=self.ticket_count, initial_e6=request.size_e6)
        self.tickets[request.order_id] = ticket
        return ticket

    def _end_unmatched(self, ticket: Ticket, reason: str, now_ms: int) -> Ticket:
        ticket.status, ticket.reason, ticket.remaining_e6 = "canceled", reason, 0
        ticket.updated_ms = now_ms
        self.accounts.forget_order(ticket.order_id)
        self.tell_ticket(ticket, now_ms)
        return ticket

    def release(self, now_ms: int) -> None:
        """Let held orders whose time has come enter the book; one that is refused now ends with the code as reason."""
        for ticket in list(self.delayed.values()):
            if ticket.release_ms is not None and ticket.release_ms <= now_ms:
                self._enter_held(ticket, now_ms)

    def end_held(self, market_id: str, now_ms: int) -> None:
        """End the held orders of a market that has closed, as their release would."""
        for ticket in [t for t in self.delayed.values() if t.request.market_id == market_id]:
            del self.delayed[ticket.order_id]
            self._end_unmatched(ticket, "market_closed", now_ms)

    def _enter_held(self, ticket: Ticket, now_ms: int) -> None:
        request = ticket.request
        del self.delayed[ticket.order_id]
        if request.expires_ms is not None and request.expires_ms <= now_ms:
            self._end_unmatched(ticket, "expired", now_ms)
            return
        request.size_e6 = self._allowed_e6(request)
        if request.size_e6 == 0:
            self._end_unmatched(ticket, "reduce_only", now_ms)
            return
        order = engine_order(request)
        try:
            self.check_mode(request)
            self._check_market(request.market_id)
            self.engine.check(order)
            self._let_makers_fade(order, now_ms)
            self.buying_power.check(request, self.engine.preview(order))
            self.engine.submit(order)
        except Refused as refused:
            self._end_unmatched(ticket, refused.code, now_ms)
            return
        self.publish(request.market_id, now_ms)

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
        for resting in list(self.engine.crossing(order)):
            if not resting.is_house:
                continue
            if kept >= resting.remaining_e6:
                kept -= resting.remaining_e6
            elif kept:
                self.engine.reduce(resting.order_id, kept)
                kept = 0
            else:
                self.engine.cancel(resting.order_id)
        self.publish(order.market_id, now_ms)

    # -- changing ---------------------------------------------------------------------------------------------------

    def amend(self, account_id: str, order_id: str, change: Amendment, now_ms: int) -> Ticket:
        """Change a resting order.

        It keeps its place in the queue if only the expiry changes or the size shrinks; another price or a larger size
        loses it, and the order is matched again. Own orders it meets then stop it or end, as its self-trade mode says;
        a post-only order that would cross ends.

        Raises:
            Refused: `not_found` when it does not rest, `invalid_price`, `invalid_size` (also when nothing would be
                left to rest), `insufficient_balance`, `insufficient_shard_balance`, or a mode's code.
        """
        self.expire(now_ms)
        ticket = self._resting(account_id, order_id)
        self.check_mode(ticket.request)
        request, wanted = ticket.request, change.total_e6 - ticket.filled_e6
        self._check_market(request.market_id)
        book = self.engine.books[request.market_id]
        if not book.is_on_grid(change.price_e4):
            raise Refused("invalid_price")
        if wanted <= 0 or wanted % book.size_step_e6:
            raise Refused("invalid_size")
        keeps_place = change.price_e4 == request.price_e4 and wanted <= ticket.remaining_e6
        if not keeps_place:
            fresh = replace(request, price_e4=change.price_e4, size_e6=wanted)
            self.buying_power.check(fresh, self.engine.preview(engine_order(fresh)), replaced=ticket)
        request.price_e4, request.size_e6 = change.price_e4, change.total_e6
        if change.client_order_id is not None:
            request.client_order_id = self.engine.orders[order_id].client_order_id = change.client_order_id
        if change.expires_ms is not KEEP:
            request.expires_ms = change.expires_ms
            self.engine.set_expiry(order_id, change.expires_ms)
            request.tif = self.engine.orders[order_id].tif
        if not keeps_place:
            self.engine.replace(order_id, change.price_e4, wanted)
        elif wanted < ticket.remaining_e6:
            self.engine.reduce(order_id, wanted)
        ticket.remaining_e6 = wanted
        return self._changed(ticket, now_ms)

    def decrease(self, account_id: str, order_id: str, to_e6: int, now_ms: int) -> Ticket:
        """Shrink what rests of an order; it keeps its place in the queue. To zero is a cancel.

        Raises:
            Refused: `not_found` when it does not rest, `invalid_size` when that would be no decrease, or a mode's code.
        """
        self.check_cancel()
        ticket = self._resting(account_id, order_id)
        if not 0 <= to_e6 < ticket.remaining_e6 or to_e6 % self.engine.books[ticket.request.market_id].size_step_e6:
            raise Refused("invalid_size")
        if to_e6 == 0:
            self.end_resting(ticket, now_ms, "canceled")
            return ticket
        self.engine.reduce(order_id, to_e6)
        ticket.request.size_e6 = ticket.filled_e6 + to_e6
        ticket.remaining_e6 = to_e6
        return self._changed(ticket, now_ms)

    def _changed(self, ticket: Ticket, now_ms: int) -> Ticket:
        ticket.updated_ms = now_ms
        self.note_ticket(ticket, now_ms)
        self.publish(ticket.request.market_id, now_ms, (ticket,))
        return ticket

    def cancel(self, account_id: str, order_id: str, now_ms: int) -> int | None:
        """Cancel what is left of an order; the contracts taken out, None when it does not rest (any more).

        Raises:
            Refused: `exchange_closed` or `restarting`.
        """
        self.check_cancel()
        try:
            ticket = self._resting(account_id, order_id)
        except Refused:
            return None
        left = ticket.remaining_e6
        self.end_resting(ticket, now_ms, "canceled")
        return left

    def cancel_all(
        self, account_id: str, now_ms: int, *, market_id: str | None = None, outcome: Outcome | None = None
    ) -> list[Ticket]:
        """Cancel an account's resting orders, all or those of a market and of an outcome; returns them.

        Raises:
            Refused: `exchange_closed` or `restarting`.
        """
        self.check_cancel()
        found = [
            ticket
            for ticket in self.open_tickets(account_id)
            if market_id in (None, ticket.request.market_id) and outcome in (None, ticket.request.intent.outcome)
        ]
        for ticket in found:
            self.end_resting(ticket, now_ms, "canceled")
        return found

    def _resting(self, account_id: str, order_id: str) -> Ticket:
        ticket = self.resting.get(order_id)
        if ticket is None or ticket.request.account_id != account_id:
            raise Refused("not_found")
        return ticket


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
