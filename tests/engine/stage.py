"""One exchange and what stands beside it: a reference, a ledger and rules, compared and brought back from a journal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from streams.market.identity import Venue
from streams.sandbox.core.book import LevelChanged
from streams.sandbox.core.faults import FaultPlan, SettlementPlan
from streams.sandbox.core.model import (
    CatalogueEvent,
    CatalogueMarket,
    ListMarket,
)
from streams.sandbox.core.records import (
    LifecycleMoment,
    ListedMarket,
    Listener,
    OrderRecord,
    OrderRequest,
    Trade,
    TradeSide,
)
from streams.sandbox.exchange.exchange import Exchange
from streams.sandbox.exchange.persistence.snapshot import (
    apply_state,
    exchange_state,
    listing_state,
    reopen_books,
    restore_listing,
    take_changes,
)
from tests.engine.collateral_return import NettingLedger
from tests.engine.ledger import Ledger
from tests.engine.reference import Reference, RestingOrder
from tests.engine.reference import Trade as Match
from tests.engine.rules import BARS, Rules
from tests.engine.steps import MARKETS, Step

NOW = 1_795_000_000_000
CONTRACT = 1_000_000
DEPOSIT = 60 * CONTRACT
_START = datetime(2026, 11, 1, tzinfo=UTC)
FUNDS = frozenset({"insufficient_balance", "insufficient_shard_balance"})
OUTSIDE = BARS | FUNDS
"""Refusals of which the reference, which knows no accounts, modes and states, knows nothing."""


class Ear(Listener):
    """Notes every trade in order, also in the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self.trades: list[Match] = []
        self.has_failed = False
        self.settled: list[str] = []
        self._ledger = ledger

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        self.trades += [(t.taker.order_id, t.maker.order_id, t.price_e4, t.size_e6) for t in trades]
        for trade in trades:
            self._ledger.trade(trade)

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        if trade.status == "FAILED":
            self.has_failed = True
            self._ledger.fail(trade)

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        if moment == "settled":
            self.settled.append(listed.market_id)


def listings(venue: Venue, scheme: str = "") -> list[ListMarket]:
    """Three markets of one event; on Kalshi each on a shard of its own, or all on one where the event nets."""
    is_kalshi = venue is Venue.KALSHI
    fees = {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"} if is_kalshi else {
        "rate": "0.05", "exponent": "1", "taker_only": True,
    }  # fmt: skip
    event = CatalogueEvent(
        venue, "KXE-26" if is_kalshi else "500", "KXE" if is_kalshi else "", "Event", is_exclusive=scheme == "MECNET"
    )
    return [
        ListMarket(event, CatalogueMarket(
            venue, market_name(venue, n), event.event_id, event.series_id, "Will it rain?", "Rules.",
            _START + timedelta(days=60), _START, fee_schedule=fees, yes_token=str(10**40 + 2 * n),
            no_token=str(10**40 + 2 * n + 1), gamma_id=str(900 + n), slug=f"rain-{n}", is_neg_risk=not is_kalshi,
            extra={"exchange_index": 0 if scheme else n} if is_kalshi else {},
            strike={"type": "greater", "floor": str(n)} if scheme == "DIRECNET" else None,
        ))
        for n in range(MARKETS)
    ]  # fmt: skip


def market_name(venue: Venue, number: int) -> str:
    """The id of one of the world's markets."""
    return f"KXE-26-M{number}" if venue is Venue.KALSHI else "0x" + f"{number:02x}" * 32


class Stage:
    """What steps act on.

    Args:
        venue: Whose rules hold.
        accounts: Account ids by the names steps use.
        sellable: Whether matched tokens can be sold (`matched`) or only mined ones (`mined`); Polymarket.
        attach: Called with every new exchange (also after a restart) before it lists anything.
        scheme: How the markets' event nets collateral; Kalshi.
    """

    def __init__(
        self,
        venue: Venue,
        accounts: dict[str, str],
        sellable: str = "matched",
        attach: Callable[[Exchange], None] | None = None,
        scheme: str = "",
    ) -> None:
        self._attach = attach
        self.venue = venue
        self.names = accounts
        self.now = NOW
        settlement = SettlementPlan(1_000, 3_000, Decimal("0.3"), sellable=sellable)  # type: ignore[arg-type]
        self.plan = FaultPlan(settlement=settlement)
        self.exchange = self._fresh()
        for act in listings(venue, scheme):
            self.exchange.apply(act, self.now)
        self.reference = Reference()
        self.ledger = Ledger(venue, accounts.values(), DEPOSIT)
        if venue is Venue.KALSHI:
            markets = [market_name(venue, n) for n in range(MARKETS)]
            self.ledger = NettingLedger(accounts.values(), DEPOSIT, scheme, markets)
        self.ledger.step_e6 = self.exchange.state.payout_step_e6
        self.ear = Ear(self.ledger)
        self.exchange.state.listeners.append(self.ear)
        self.rules = Rules()
        self.values: dict[str, int] = {}
        self.paid: set[str] = set()
        self._remember()

    def _fresh(self) -> Exchange:
        exchange = Exchange(self.venue, self.plan, 1)
        for name, account_id in self.names.items():
            exchange.state.accounts.open_account(account_id, DEPOSIT, precision_e6=10_000 if name == "other" else 100)
        if self._attach is not None:
            self._attach(exchange)
        return exchange

    def run(self, step: Step) -> None:
        """Carry out one step."""
        self.now += 1
        getattr(self, f"_{step.kind}")(step.number, step.values)
        assert (self.exchange.state.mode, self.exchange.state.mode_until_ms) == (self.rules.mode, self.rules.until_ms)
        record = take_changes(self.exchange)
        self.exchange.state.changes.listings.clear()
        if record is not None:
            self._tail.append(orjson.dumps(record))

    def _remember(self) -> None:
        self.exchange.state.changes.listings.clear()
        take_changes(self.exchange)
        self._snapshot = orjson.dumps(exchange_state(self.exchange))
        self._tail: list[bytes] = []

    # -- comparing --------------------------------------------------------------------------------------------------

    def _check_bar(self, request: OrderRequest, code: str) -> None:
        """An order is refused for the moment it comes at exactly when the rules say so."""
        bar = self.rules.bar(request.is_post_only, self.exchange.state.markets[request.market_id].status)
        assert code == bar if bar else code not in BARS, (request.order_id, bar, code)

    def _compare(self, entered: Iterable[tuple[OrderRequest, str]]) -> None:
        """The reference takes the orders that entered a book, with what the exchange said of each, and must agree."""
        expected: list[Match] = []
        for request, code in entered:
            if code in OUTSIDE:
                continue
            book = self.exchange.state.engine.books[request.market_id]
            order = RestingOrder(
                request.order_id, request.account_id, request.market_id, request.side == "bid", request.price_e4,
                request.size_e6 if request.spend_e6 is None else 10**15, expires=request.expires_ms, tif=request.tif,
                is_post_only=request.is_post_only, is_maker_canceled=request.self_trade == "maker",
                money=request.spend_e6,
            )  # fmt: skip
            said, trades = self.reference.enter(order, book.price_ranges, book.size_step_e6)
            assert said == code, (request.order_id, said, code)
            expected += trades
        self._expect(expected)

    def _expect(self, trades: list[Match]) -> None:
        assert self.ear.trades == trades, (self.ear.trades, trades)
        self.ear.trades = []

    # -- restart ----------------------------------------------------------------------------------------------------

    def _restart(self, number: int, values: dict[str, Any]) -> None:
        """Go on with an exchange made from the journal: a snapshot of now, or an older one and what came after."""
        was = orjson.loads(orjson.dumps(exchange_state(self.exchange)))
        snapshot, tail = (self._snapshot, self._tail) if values["is_from_tail"] else (orjson.dumps(was), [])
        fresh = self._fresh()
        for listed in self.exchange.state.markets.values():
            restore_listing(fresh, orjson.loads(orjson.dumps(listing_state(listed))))
        state = orjson.loads(snapshot)
        apply_state(fresh, state)
        for record in tail:
            apply_state(fresh, orjson.loads(record))
        reopen_books(fresh, state["house"], self.now)
        now = orjson.loads(orjson.dumps(exchange_state(fresh)))
        if values["is_from_tail"]:
            was.pop("house"), now.pop("house")
            for name in ("volume_e6", "interest_e6", "last_price_e4", "last_was_no", "updated_ms"):
                for market in [*was["markets"], *now["markets"]]:
                    market.pop(name)
        assert _by_id(now) == _by_id(was)
        self.exchange = fresh
        fresh.state.listeners.append(self.ear)
        self._load_reference()
        self._remember()

    def _load_reference(self) -> None:
        """House orders placed since an old snapshot are gone: go on from what the books hold."""
        self.reference = Reference()
        for order in sorted(self.exchange.state.engine.orders.values(), key=lambda order: order.sequence):
            self.reference.rest(RestingOrder(
                order.order_id, order.account, order.market_id, order.side == "bid", order.price_e4, order.remaining_e6,
                expires=order.expires_ms, is_post_only=order.is_post_only,
                is_maker_canceled=order.self_trade == "maker",
            ))  # fmt: skip


def is_void(record: OrderRecord | None) -> bool:
    """Whether an order never reached a book: there was nothing to reduce."""
    return record is not None and record.reason == "reduce_only"


def _by_id(state: dict[str, Any]) -> dict[str, Any]:
    """A state without the order of its lists, which a tail does not keep."""
    keys = {"tickets": lambda t: t["request"]["order_id"], "trades": lambda t: t["trade_id"],
            "markets": lambda m: m["market_id"], "accounts": lambda a: a["account_id"],
            "payouts": lambda p: p["transaction_id"]}  # fmt: skip
    state = {name: sorted(state[name], key=keys[name]) if name in keys else state[name] for name in state}
    for account in state["accounts"]:
        account["positions"] = {m: p for m, p in account["positions"].items() if any(p.values())}
    return state
