"""Carries out random steps at an exchange and at what stands beside it, and compares them after each step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from streams.market.errors import Refused
from streams.market.identity import MarketRef
from streams.sandbox.core.accounts import Intent
from streams.sandbox.core.model import (
    CancelOrder,
    ChangeTick,
    DetermineMarket,
    PlaceOrder,
    SettleMarket,
)
from streams.sandbox.core.records import (
    KEEP,
    Amendment,
    OrderRequest,
)
from streams.sandbox.exchange.exchange import participant_order_id
from tests.engine.collateral_return import NettingLedger
from tests.engine.reference import RestingOrder, is_on_grid
from tests.engine.stage import FUNDS, OUTSIDE, Stage, is_void, market_name
from tests.engine.steps import MARKETS

_HELD_CODES = OUTSIDE | {"invalid_price", "invalid_size", "post_only_cross", "fok_unfilled"}
"""Reasons for which a held order does not enter its book."""


class World(Stage):
    """The steps, each carried out at the exchange and at what stands beside it."""

    # -- orders -----------------------------------------------------------------------------------------------------

    def _request(self, number: int, values: dict[str, Any]) -> OrderRequest:
        outcome, action = values["outcome"], values["action"]
        price = values["price"] if outcome == "yes" else 10_000 - values["price"]
        market = market_name(self.venue, values["market"])
        extra = {
            "token": str(10**40 + 2 * values["market"] + (outcome == "no")), "price": values["price"],
            "kind": "GTC", "expiration": "0", "maker": "0x", "owner": "api-key",
        }  # fmt: skip
        return OrderRequest(
            self.names[values["who"]], market, f"o{number}", Intent(outcome, action),
            "bid" if (outcome == "yes") == (action == "buy") else "ask", price, values["size"], values["tif"],
            f"c{number}", values["is_post_only"], values["self_trade"],
            None if values["expires"] is None else self.now + values["expires"], values["spend"],
            values["is_reduce_only"], values["cancel_on_pause"], extra,
        )  # fmt: skip

    def _place(self, number: int, values: dict[str, Any]) -> None:
        self.reference.expire(self.now)
        request = self._request(number, values)
        code, record = "", None
        try:
            record = self.exchange.order_entry.place(request, self.now)
        except Refused as refused:
            code = refused.code
        self._check_bar(request, code)
        self._compare([(record.request if record else request, code)] if not is_void(record) else [])

    def _hold(self, number: int, values: dict[str, Any]) -> None:
        self.reference.expire(self.now)
        request, code = self._request(number, values), ""
        try:
            self.exchange.order_entry.hold(request, self.now + values["after_ms"], self.now)
        except Refused as refused:
            code = refused.code
        self._check_bar(request, code)
        assert not self.ear.trades

    def _house(self, number: int, values: dict[str, Any]) -> None:
        ref = MarketRef(self.venue, market_name(self.venue, values["market"]))
        key, before = f"h{number}", self.exchange.state.refused_participant_orders
        self.reference.expire(self.now)
        act = PlaceOrder(
            ref, "maker" + str(number % 2), key, values["side"], values["price"], values["size"], values["is_immediate"]
        )
        is_post_only = self.rules.mode == "post_only"
        is_live = self.exchange.state.markets[ref.market_id].status == "open"
        is_admitted = is_live and (self.rules.mode == "open" or (is_post_only and not values["is_immediate"]))
        self.exchange.apply(act, self.now)
        if not is_admitted:
            assert self.exchange.state.refused_participant_orders == before + 1
            return
        order = RestingOrder(
            participant_order_id(act.account, key), act.account, ref.market_id, act.side == "bid", act.price_e4,
            act.size_e6, tif="ioc" if act.is_immediate else "gtc", is_post_only=is_post_only, is_maker_canceled=True,
        )  # fmt: skip
        book = self.exchange.state.engine.books[ref.market_id]
        code, trades = self.reference.enter(order, book.price_ranges, book.size_step_e6)
        assert bool(code) == (self.exchange.state.refused_participant_orders > before), code
        self._expect(trades)

    def _house_cancel(self, number: int, values: dict[str, Any]) -> None:
        key, account = f"h{values['order']}", "maker" + str(values["order"] % 2)
        order = self.reference.find(participant_order_id(account, key))
        if order is None or self.rules.cancel_bar:
            return
        self.exchange.apply(CancelOrder(MarketRef(self.venue, order.market), account, key), self.now)
        self.reference.drop(order.name)

    def _cancel(self, number: int, values: dict[str, Any]) -> None:
        name = f"o{values['order']}"
        known = self.reference.find(name)
        owner = known.owner if known is not None else self.names[values["who"]]
        if self._is_barred(self.exchange.order_entry.cancel, owner, name, self.now):
            return
        record = self.exchange.state.orders.get(name)
        assert record is None or record.status != "resting"
        self.reference.drop(name)

    def _cancel_all(self, number: int, values: dict[str, Any]) -> None:
        account = self.names[values["who"]]
        own = {order.name for order in self.reference.orders if order.owner == account}
        if self._is_barred(self.exchange.order_entry.cancel_all, account, self.now):
            return
        for name in own:
            assert self.exchange.state.orders[name].reason == "canceled"
            self.reference.drop(name)

    def _is_barred(self, act: Callable[..., object], *arguments: object) -> bool:
        """Do what takes something out of a book; whether that is refused must be what the rules say."""
        code = ""
        try:
            act(*arguments)
        except Refused as refused:
            code = refused.code
        assert code == self.rules.cancel_bar
        return bool(code)

    def _amend(self, number: int, values: dict[str, Any]) -> None:
        name = f"o{values['order']}"
        order = self.reference.find(name)
        if order is None:
            return
        record, expires = self.exchange.state.orders[name], values["expires"]
        until = KEEP if expires == "keep" else None if expires is None else self.now + expires
        price, wanted, before = values["price"] or order.price, values["size"] or order.left, order.left
        self.reference.expire(self.now)
        code = ""
        try:
            change = Amendment(price, record.filled_e6 + wanted, expires_ms=until)
            self.exchange.order_entry.amend(order.owner, name, change, self.now)
        except Refused as refused:
            code = refused.code
        expected = self._amend_code(order, price, wanted)
        assert code == expected or (not expected and code in FUNDS), (name, expected, code)
        if code:
            assert code == "not_found" or order.left == record.remaining_e6 == before
            return
        if until is not KEEP:
            order.expires = until
        if price == order.price and wanted <= before:
            order.left = wanted
            self._expect([])
            return
        self.reference.drop(name)
        order.price, order.left, order.tif = price, wanted, "gtc"
        if order.is_post_only and self.reference.facing(order):
            assert (record.status, record.reason) == ("canceled", "post_only_cross")
            self._expect([])
        else:
            self._expect(self.reference.match(order))

    def _amend_code(self, order: RestingOrder, price: int, wanted: int) -> str:
        """What an amendment is refused with, but for money; "" when it may be made."""
        if self.reference.find(order.name) is None:
            return "not_found"
        bar = self.rules.bar(order.is_post_only, self.exchange.state.markets[order.market].status)
        book = self.exchange.state.engine.books[order.market]
        if bar or not is_on_grid(price, book.price_ranges):
            return bar or "invalid_price"
        return "invalid_size" if wanted % book.size_step_e6 else ""

    def _decrease(self, number: int, values: dict[str, Any]) -> None:
        name = f"o{values['order']}"
        order = self.reference.find(name)
        if order is None:
            return
        to = values["size"] % order.left // 10_000 * 10_000
        if self._is_barred(self.exchange.order_entry.decrease, order.owner, name, to, self.now):
            return
        order.left = to
        if to == 0:
            self.reference.drop(name)

    # -- time and modes ---------------------------------------------------------------------------------------------

    def _wait(self, number: int, values: dict[str, Any]) -> None:
        self.now = self.now + values["ms"] if values["ms"] else self._next_moment()
        held = list(self.exchange.state.delayed.values())
        self.exchange.tick(self.now)
        self.reference.expire(self.now)
        self.rules.pass_time(self.now)
        entered: list[tuple[OrderRequest, str]] = []
        for record in held:
            request, due = record.request, record.release_ms or 0
            assert (record.status != "delayed") == (due <= self.now), "held orders are released when it is their time"
            if due > self.now:
                continue
            if request.expires_ms is not None and request.expires_ms <= self.now:
                assert (record.reason, record.trade_ids) == ("expired", [])
            elif not is_void(record):
                code = record.reason if record.reason in _HELD_CODES and not record.trade_ids else ""
                self._check_bar(request, code)
                entered.append((request, code))
        self._compare(entered)
        for trade in self.exchange.state.unsettled.values():
            due = trade.mined_ms if trade.status == "MATCHED" else trade.final_ms
            assert due > self.now or trade.status_ms == self.now, "trades move on when it is their time"

    def _next_moment(self) -> int:
        """Exactly when the next order expires or is released, or the mode ends."""
        ends = [order.expires for order in self.reference.orders if order.expires is not None]
        ends += [self.rules.until_ms] if self.rules.until_ms is not None else []
        ends += [record.release_ms for record in self.exchange.state.delayed.values() if record.release_ms is not None]
        return min((end for end in ends if end > self.now), default=self.now + 1)

    def _mode(self, number: int, values: dict[str, Any]) -> None:
        then = "post_only" if values["mode"] == "restarting" else "open"
        until = self.now + values["for_ms"]
        self.rules.set(values["mode"], until, then)
        self.exchange.status.change(values["mode"], self.now, until_ms=until, then=then)  # type: ignore[arg-type]
        if values["mode"] in ("trading_paused", "closed"):
            for order in list(self.reference.orders):
                record = self.exchange.state.orders.get(order.name)
                if record is not None and record.request.cancel_on_pause:
                    assert record.reason == "paused"
                    self.reference.drop(order.name)

    def _pause(self, number: int, values: dict[str, Any]) -> None:
        with suppress(Refused):
            self.exchange.lifecycle.pause(market_name(self.venue, values["market"]), self.now)

    def _reactivate(self, number: int, values: dict[str, Any]) -> None:
        market = market_name(self.venue, values["market"])
        if self.exchange.state.markets[market].status == "paused":
            self.exchange.lifecycle.reactivate(market, self.now)
            self.reference.clear(market)

    def _tick(self, number: int, values: dict[str, Any]) -> None:
        ref = MarketRef(self.venue, market_name(self.venue, values["market"]))
        self.exchange.apply(ChangeTick(ref, values["tick"]), self.now)

    def _settle(self, number: int, values: dict[str, Any]) -> None:
        """Determine a market, with a result that counts only the first time, and mostly pay it, twice."""
        ref = MarketRef(self.venue, market_name(self.venue, values["market"]))
        drawn = values["settlement"]
        result: Any = "yes" if drawn == 10_000 else "no" if drawn == 0 else "scalar"
        self.exchange.apply(DetermineMarket(ref, drawn, result), self.now)
        value = self.values.setdefault(ref.market_id, drawn)
        self.reference.clear(ref.market_id)
        if ref.market_id not in self.paid:
            with suppress(Refused):
                self.exchange.settlement.redeem(self.names[values["who"]], ref.market_id, self.now)
                raise AssertionError("what is not paid cannot be redeemed")
        if not values["is_paid"]:
            return
        for _ in range(2):
            self.exchange.apply(SettleMarket(ref), self.now)
        if ref.market_id not in self.paid:
            self.paid.add(ref.market_id)
            for account_id in self.names.values():
                is_paid = self.exchange.state.accounts.accounts[account_id].redeems_itself
                if is_paid or self.ledger.owes(account_id, ref.market_id):
                    self.ledger.pay(account_id, ref.market_id, value)
            self._drop_uncovered()
        assert self.ear.settled.count(ref.market_id) == 1, "a market is settled once"

    def _drop_uncovered(self) -> None:
        """Orders that counted on the netting of an event end when its results break it."""
        for order in list(self.reference.orders):
            record = self.exchange.state.orders.get(order.name)
            if record is not None and record.reason == "margin":
                assert isinstance(self.ledger, NettingLedger)
                assert self.ledger.is_broken
                self.reference.drop(order.name)

    # -- inventory --------------------------------------------------------------------------------------------------

    def _split(self, number: int, values: dict[str, Any]) -> None:
        account, market = self.names[values["who"]], market_name(self.venue, values["market"])
        with suppress(Refused):
            self.exchange.inventory.split(account, market, values["size"], self.now)
            self.ledger.merge(account, market, -values["size"])

    def _merge(self, number: int, values: dict[str, Any]) -> None:
        account, market = self.names[values["who"]], market_name(self.venue, values["market"])
        with suppress(Refused):
            self.exchange.inventory.merge(account, market, values["size"], self.now)
            self.ledger.merge(account, market, values["size"])

    def _convert(self, number: int, values: dict[str, Any]) -> None:
        account, size = self.names[values["who"]], values["size"]
        named = [market_name(self.venue, n) for n in values["markets"]]
        others = [market_name(self.venue, n) for n in range(MARKETS) if n not in values["markets"]]
        with suppress(Refused):
            self.exchange.inventory.convert(account, "500", named, size, self.now)
            self.ledger.convert(account, named, others, size, self.values)

    def _redeem(self, number: int, values: dict[str, Any]) -> None:
        account = self.exchange.state.accounts.accounts[self.names[values["who"]]]
        account.redeems_itself = not account.redeems_itself
        self.exchange.state.changes.touch(account.account_id)
        market, code = market_name(self.venue, values["market"]), ""
        try:
            self.exchange.settlement.redeem(account.account_id, market, self.now)
        except Refused as refused:
            code = refused.code
        assert code == ("" if market in self.paid else "not_resolved")
        if not code:
            self.ledger.pay(account.account_id, market, self.values[market])

    def _fail(self, number: int, values: dict[str, Any]) -> None:
        waiting = [trade for trade in self.exchange.state.unsettled.values() if trade.status != "MINED"]
        if waiting:
            self.exchange.settlement.fail_trade(waiting[values["order"] % len(waiting)].trade_id, self.now)

    def _transfer(self, number: int, values: dict[str, Any]) -> None:
        with suppress(Refused):
            account = self.names[values["who"]]
            self.exchange.transfers.transfer(account, values["source"], values["target"], values["amount"], self.now)

    def _allocation(self, number: int, values: dict[str, Any]) -> None:
        self.exchange.transfers.set_allocation(self.names[values["who"]], values["percents"])

    def _netting(self, number: int, values: dict[str, Any]) -> None:
        assert isinstance(self.ledger, NettingLedger)
        account = self.names[values["who"]]
        has_orders = any(
            record.is_open and record.request.account_id == account for record in self.exchange.state.orders.values()
        )
        self.exchange.transfers.set_collateral_return(account, is_on=values["is_on"])
        self.ledger.switch(account, is_on=values["is_on"], has_orders=has_orders)
