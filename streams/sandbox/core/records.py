"""What an exchange keeps of its markets, orders and trades, and how venue emulators hear of changes. Plain data."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Literal

from streams.market.fees import FeeSchedule, from_json
from streams.market.identity import Side
from streams.market.listing import MarketStatus
from streams.market.units import PRICE_ONE_E4
from streams.sandbox.core.accounts import Charge, Fill, Intent
from streams.sandbox.core.book import LevelChanged, MarketBook, SelfTrade, TimeInForce
from streams.sandbox.core.candles import MarketHistory
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket

OrderStatus = Literal["resting", "delayed", "executed", "canceled", "canceled_resolved"]
TradeStatus = Literal["MATCHED", "MINED", "RETRYING", "CONFIRMED", "FAILED"]
TradeFate = Literal["settles", "retries", "fails"]
LifecycleMoment = Literal[
    "created", "paused", "reactivated", "close_changed", "closed", "determined", "settled", "tick_changed"
]
ExchangeMode = Literal["open", "trading_paused", "closed", "restarting", "post_only", "cancel_only"]


class Keep(Enum):
    """The type of `KEEP`: leave a value as it is."""

    KEEP = "keep"


KEEP = Keep.KEEP


@dataclass(slots=True)
class ListedMarket:
    """A market that is listed, with its changing state.

    Attributes:
        number: Counts listings up and never changes: what a list's cursor holds on to.
        market_id: The market's canonical id.
        shard: The exchange shard on which the market trades; 0 on Polymarket.
        previous_tick_e4: The finest step before the last change of the grid, 0 when there was none.
    """

    market: CatalogueMarket
    event: CatalogueEvent
    book: MarketBook
    schedule: FeeSchedule
    listed_ms: int
    status: MarketStatus = "open"
    closed_ms: int | None = None
    determined_ms: int | None = None
    settled_ms: int | None = None
    result: str = ""
    settlement_e4: int | None = None
    price_ranges: tuple[tuple[int, int, int], ...] = ()
    last_price_e4: int = 0
    last_was_no: bool = False
    volume_e6: int = 0
    interest_e6: int = 0
    updated_ms: int = 0
    history: MarketHistory = field(default_factory=MarketHistory)
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=1_000))
    quoted: tuple[int | None, int | None] = (None, None)
    number: int = 0
    shard: int = 0
    previous_tick_e4: int = 0
    market_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.market_id = self.market.market_id

    @property
    def tick_e4(self) -> int:
        """The finest step of the price grid."""
        return min(step for _, _, step in self.price_ranges)

    @property
    def close_ms(self) -> int:
        """When trading is planned to end."""
        return round(self.market.close_time.timestamp() * 1000)

    @property
    def middle_e4(self) -> int:
        """The price: the middle of the book, the last trade where a side is empty, 0 where nothing traded."""
        book = self.book
        if book.best_bid is None or book.best_ask is None:
            return self.last_price_e4
        return (book.best_bid + book.best_ask) // 2

    def change_close(self, close_ms: int) -> None:
        """Plan another end of trading."""
        self.market = replace(self.market, close_time=datetime.fromtimestamp(close_ms / 1000, UTC))

    def state(self) -> dict[str, Any]:
        """What a journal needs to bring the market back, without its book."""
        names = ("status", "closed_ms", "determined_ms", "settled_ms", "result", "settlement_e4", "last_price_e4")
        more = ("volume_e6", "interest_e6", "updated_ms", "listed_ms", "number", "previous_tick_e4", "last_was_no")
        return {
            "market_id": self.market_id,
            "price_ranges": self.price_ranges,
            "close_ms": self.close_ms,
            **{name: getattr(self, name) for name in (*names, *more)},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` wrote."""
        self.price_ranges = tuple((a, b, c) for a, b, c in state["price_ranges"])
        self.book.price_ranges = self.price_ranges
        if state["close_ms"] != self.close_ms:
            self.change_close(state["close_ms"])
        for name, value in state.items():
            if name not in ("market_id", "price_ranges", "close_ms"):
                setattr(self, name, value)
        self.book.is_open = self.status == "open"


def fee_schedule_of(market: CatalogueMarket) -> FeeSchedule:
    """Return a market's fees; Polymarket's without a schedule is free."""
    return from_json(market.venue, market.fee_schedule)


@dataclass(slots=True)
class OrderRequest:
    """An order of an external account, checked for form by its venue emulator.

    Attributes:
        side: Side in the YES book.
        price_e4: Limit in YES terms.
        spend_e6: Dollars to spend, for immediate buys that are bounded by money; then `size_e6` is only what the
            dollars buy at the limit.
        is_reduce_only: Trade no more than what brings the position towards zero (immediate orders).
        cancel_on_pause: End when trading pauses, instead of resting through it.
        extra: What the venue emulator wants back with the order (JSON values).
    """

    account_id: str
    market_id: str
    order_id: str
    intent: Intent
    side: Side
    price_e4: int
    size_e6: int
    tif: TimeInForce
    client_order_id: str = ""
    is_post_only: bool = False
    self_trade: SelfTrade = "taker_at_cross"
    expires_ms: int | None = None
    spend_e6: int | None = None
    is_reduce_only: bool = False
    cancel_on_pause: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def cost_e4(self) -> int:
        """The limit in terms of the outcome that is bought or sold."""
        return self.price_e4 if self.intent.outcome == "yes" else PRICE_ONE_E4 - self.price_e4


@dataclass(frozen=True, slots=True)
class Amendment:
    """A change of a resting order.

    Attributes:
        price_e4: The limit in YES terms.
        total_e6: What is filled already plus what should rest.
        client_order_id: The order's new client id; None keeps the old one.
        expires_ms: The new expiry, None for no expiry, `KEEP` for the old one.
    """

    price_e4: int
    total_e6: int
    client_order_id: str | None = None
    expires_ms: int | Keep | None = KEEP


@dataclass(slots=True)
class OrderRecord:
    """An external order's record; it outlives the order in the engine.

    Attributes:
        request: The order as it is now, after amendments.
        number: Counts the exchange's orders up.
        initial_e6: The size first asked for.
        sequence: When it last took its place in a queue, as the engine counts.
        release_ms: When a delayed order reaches the book.
    """

    request: OrderRequest
    created_ms: int
    updated_ms: int
    remaining_e6: int
    status: OrderStatus = "resting"
    filled_e6: int = 0
    taker_cash_e6: int = 0
    maker_cash_e6: int = 0
    taker_fees_e6: int = 0
    maker_fees_e6: int = 0
    reason: str = ""
    trade_ids: list[str] = field(default_factory=list)
    fee_remainder_e6: int = 0
    number: int = 0
    initial_e6: int = 0
    sequence: int = 0
    release_ms: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it rests, or waits to be released."""
        return self.status in ("resting", "delayed")

    @property
    def order_id(self) -> str:
        """The order's id."""
        return self.request.order_id

    def state(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @staticmethod
    def from_state(state: dict[str, Any]) -> OrderRecord:
        """Build the record that `state` wrote."""
        request = dict(state["request"])
        request["intent"] = Intent(**request["intent"])
        return OrderRecord(**{**state, "request": OrderRequest(**request)})


@dataclass(slots=True)
class TradeSide:
    """One side of a trade; `charge` is None for simulated participants."""

    account_id: str
    order_id: str
    intent: Intent
    charge: Charge | None = None
    post_position_e6: int = 0


@dataclass(slots=True)
class Trade:
    """One match of two orders. `price_e4` is in YES terms, `taker_side` the taker's side in the YES book.

    Attributes:
        number: Counts the trades of external accounts up; 0 for trades among simulated participants.
        mined_ms: When the chain takes it (Polymarket), or its first attempt fails.
        final_ms: When it is confirmed or has failed.
        fate: How it will end; drawn when it is mined, from what the price has done meanwhile.
    """

    trade_id: str
    market_id: str
    price_e4: int
    size_e6: int
    taker_side: Side
    at_ms: int
    taker: TradeSide
    maker: TradeSide
    status: TradeStatus = "CONFIRMED"
    status_ms: int = 0
    number: int = 0
    mined_ms: int = 0
    final_ms: int = 0
    fate: TradeFate = "settles"

    @property
    def is_external(self) -> bool:
        """Whether an account from outside took part."""
        return self.taker.charge is not None or self.maker.charge is not None

    def fill(self, side: TradeSide, legs_e6: tuple[int, int]) -> Fill:
        """What a side's account books; `legs_e6` is what the YES and the NO leg are worth, as `split_cash` says."""
        is_yes = side.intent.outcome == "yes"
        price, cash = (self.price_e4, legs_e6[0]) if is_yes else (PRICE_ONE_E4 - self.price_e4, legs_e6[1])
        is_taker = side is self.taker
        return Fill(self.market_id, side.order_id, side.intent, price, self.size_e6, cash, is_taker, self.at_ms)

    def state(self) -> dict[str, Any]:
        """The trade as JSON values."""
        return asdict(self)

    @staticmethod
    def from_state(state: dict[str, Any]) -> Trade:
        """Build the trade that `state` wrote."""
        return Trade(**{**state, "taker": _side_from(state["taker"]), "maker": _side_from(state["maker"])})


def _side_from(state: dict[str, Any]) -> TradeSide:
    charge = Charge(**state["charge"]) if state["charge"] is not None else None
    return TradeSide(**{**state, "intent": Intent(**state["intent"]), "charge": charge})


@dataclass(slots=True)
class Payout:
    """A settled position of an external account."""

    account_id: str
    market_id: str
    at_ms: int
    settlement_e4: int
    result: str
    yes_e6: int
    no_e6: int
    yes_cost_e6: int
    no_cost_e6: int
    payout_e6: int
    fees_e6: int
    transaction_id: str
    number: int = 0


class Listener:
    """What a venue emulator hears. Every method may be left out; none may raise or wait."""

    def on_book(self, listed: ListedMarket, changes: list[LevelChanged], trades: list[Trade], now_ms: int) -> None:
        """Levels of one market changed, by one action; `trades` says whether and what it traded."""

    def on_order(self, record: OrderRecord, listed: ListedMarket, now_ms: int) -> None:
        """An external order was placed, filled in part, ended."""

    def on_trade_side(self, trade: Trade, side: TradeSide, listed: ListedMarket, now_ms: int) -> None:
        """An external account traded, or the trade's settlement moved on."""

    def on_lifecycle(self, listed: ListedMarket, moment: LifecycleMoment, now_ms: int) -> None:
        """A market changed its state."""

    def on_evicted(self, listed: ListedMarket) -> None:
        """A market that was settled long ago is not served any more: drop what was kept of it."""


@dataclass(slots=True)
class Changes:
    """What must reach the journal before anybody is told: ids of what external accounts caused, and lifecycle."""

    accounts: dict[str, set[str]] = field(default_factory=dict)
    orders: set[str] = field(default_factory=set)
    trades: dict[str, Trade] = field(default_factory=dict)
    payouts: list[Payout] = field(default_factory=list)
    markets: set[str] = field(default_factory=set)
    listings: list[str] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    saved: bool = False
    mode: bool = False

    def touch(self, account_id: str, market_id: str = "") -> None:
        """Note that an account's cash changed, and its position in a market if one is named."""
        self.accounts.setdefault(account_id, set()).add(market_id)

    def evict(self, market_id: str, orders: set[str], trades: set[str]) -> None:
        """Note that a market is gone, and that nothing of it is to be written any more."""
        self.evicted.append(market_id)
        self.markets.discard(market_id)
        self.orders -= orders
        for trade_id in trades:
            self.trades.pop(trade_id, None)
        self.payouts = [payout for payout in self.payouts if payout.market_id != market_id]
        if market_id in self.listings:
            self.listings.remove(market_id)

    def __bool__(self) -> bool:
        return bool(
            self.accounts or self.orders or self.trades or self.payouts or self.markets or self.listings
            or self.evicted or self.saved or self.mode
        )  # fmt: skip
