"""A fake venue account with faults from a seeded source, and a pair of markets to trade on it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from orchestration.execution.decide.gate.venue_states import AccountState, KeyState, MarketState, SendingState
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import (
    AccountFill,
    AccountMove,
    AwaitedMarket,
    OpenOrder,
    OrderAnswer,
    OrderExists,
    OrderKey,
    OrderReading,
    OrderSpec,
    Payout,
    Payouts,
    PreparedOrder,
)
from streams.market.errors import OutcomeUnknown, Refused
from streams.market.events import BookSnapshot
from streams.market.fees import KalshiFeeSchedule, KalshiOrderFees, taker_fee_e6
from streams.market.identity import Outcome, Venue
from streams.market.trading import MarketInfo, NewFill, Siblings, Target
from streams.market.units import cash_e6_of
from streams.settings import Settings
from streams.storage.database import Connection
from tests.support.decisions import write_decision

KALSHI_MARKET, POLYMARKET_MARKET = "KXTEST-1", "0xtest1"


class FakeVenue:
    """One account on one venue: cash, holdings, a book per market, and faults from a seeded source."""

    is_simulated = False

    def __init__(self, venue: Venue, connection: Connection, seed: int, faults: Mapping[str, float]) -> None:
        self.venue = venue
        self.buys_spend_dollars = venue is Venue.POLYMARKET
        self.cash = 10_000_000_000
        self.orders_left: int | None = 1_000
        self.shards: dict[int | None, int] = {}
        self.held: dict[tuple[str, str], int] = {}
        self.asks: dict[tuple[str, str], list[list[int]]] = {}
        self.bids: dict[tuple[str, str], list[list[int]]] = {}
        self.settled: dict[str, int] = {}
        self.paid: dict[str, int] = {}
        self.redeemed: list[str] = []
        self.foreign_fills: list[AccountFill] = []
        self.foreign_orders: list[OpenOrder] = []
        self.moves: list[AccountMove] = []
        self.prepared: dict[str, OrderSpec] = {}
        self.sent: list[str] = []
        self._connection = connection
        self._random = random.Random(seed)
        self._faults = faults
        self._orders: dict[str, dict[str, Any]] = {}

    def _is(self, fault: str) -> bool:
        return self._random.random() < self._faults.get(fault, 0.0)

    async def books(self, targets: Sequence[Target]) -> Mapping[str, BookSnapshot]:
        result: dict[str, BookSnapshot] = {}
        for target in targets:
            if self._is("no_book"):
                continue
            asks = self.asks.get((target.market_id, "yes"), [])
            no_asks = self.asks.get((target.market_id, "no"), [])
            result[target.market_id] = BookSnapshot(
                self.venue,
                target.market_id,
                bids=[(10_000 - price, size) for price, size in no_asks if size],
                asks=[(price, size) for price, size in asks if size],
            )
        return result

    def prepare(self, spec: OrderSpec) -> PreparedOrder:
        client_id = str(uuid.UUID(int=self._random.getrandbits(128)))
        self.prepared[client_id] = spec
        return PreparedOrder(client_id, {"id": client_id})

    async def send(self, order: PreparedOrder) -> OrderAnswer:
        order.check()  # as the transport does when the connection stands
        row = self._connection.execute(
            "SELECT state FROM trading.orders WHERE client_order_id = %s", (order.client_order_id,)
        ).fetchone()
        assert row is not None, "an order left without its row"
        assert row["state"] == "sent"
        if order.client_order_id in self._orders:
            raise OutcomeUnknown("timeout") if self._orders[order.client_order_id]["hidden"] else OrderExists("409")
        if self._is("reject"):
            raise Refused("insufficient_balance")
        if self._is("lost_request"):
            raise OutcomeUnknown("timeout")
        self.sent.append(order.client_order_id)
        self._match(order.client_order_id, self.prepared[order.client_order_id])
        if self._is("lost_response"):
            raise OutcomeUnknown("timeout")
        if self._faults.get("no_counts") and self._is("no_counts"):
            return OrderAnswer(order.client_order_id)
        fills = self._orders[order.client_order_id]["fills"]
        amounts = (sum(fill[name] for fill in fills) for name in ("size", "cash", "fee"))
        return OrderAnswer(order.client_order_id, True, *amounts)

    def _match(self, client_id: str, spec: OrderSpec) -> None:
        key = (spec.target.market_id, spec.outcome)
        if self._is("vanish"):
            for level in self.asks.get(key, []):
                level[1] = level[1] // 3 // 10_000 * 10_000
        opposite = (spec.target.market_id, "no" if spec.outcome == "yes" else "yes")
        levels = self.asks.get(key, []) if spec.action == "buy" else self.asks.get(opposite, [])
        left = spec.size_e6
        dollars = spec.spend_e6
        fees = KalshiOrderFees(spec.target.schedule) if isinstance(spec.target.schedule, KalshiFeeSchedule) else None
        fills: list[dict[str, Any]] = []
        for level in levels:
            price = level[0] if spec.action == "buy" else 10_000 - level[0]
            if (price > spec.limit_price_e4) if spec.action == "buy" else (price < spec.limit_price_e4):
                continue
            part = min(level[1], left if dollars is None else dollars * 10_000 // price)
            if part <= 0:
                continue
            is_buy = spec.action == "buy"
            cash = cash_e6_of(price, part, paying=is_buy)
            if fees is not None:
                fee = fees.fill(price, part, is_taker=True, is_buy=is_buy).fee_e6
            else:
                fee = taker_fee_e6(price, part, spec.target.schedule)
            level[1] -= part
            left -= part
            dollars = None if dollars is None else dollars - cash
            self._move(spec, part, cash, fee, 1)
            state = "provisional" if self.venue is Venue.POLYMARKET else "confirmed"
            fills.append({"id": f"{client_id}:{len(fills)}", "size": part, "cash": cash, "fee": fee, "state": state})
        late = self._random.randrange(1, 4) if self._is("late") else 0
        self._orders[client_id] = {"spec": spec, "fills": fills, "hidden": late, "fate": self._is("failed_settlement")}

    def _move(self, spec: OrderSpec, part: int, cash: int, fee: int, sign: int) -> None:
        buy = sign if spec.action == "buy" else -sign
        self.cash -= buy * cash + sign * fee
        key = (spec.target.market_id, spec.outcome)
        self.held[key] = self.held.get(key, 0) + buy * part
        if self.venue is Venue.KALSHI:
            other = (spec.target.market_id, "no" if spec.outcome == "yes" else "yes")
            if self.held[key] < 0:
                # selling what we do not hold is buying the other outcome
                self.held[other] = self.held.get(other, 0) - self.held[key]
                self.cash += self.held[key]
                self.held[key] = 0
            matched = min(self.held[key], self.held.get(other, 0))
            if matched > 0:
                self.cash += matched
                self.held[key] -= matched
                self.held[other] -= matched

    async def read(self, key: OrderKey) -> OrderReading:
        order = self._orders.get(key.client_order_id)
        if order is None:
            return OrderReading(is_found=False)
        if order["hidden"]:
            order["hidden"] -= 1
            return OrderReading(is_found=False)
        for fill in order["fills"]:
            if fill["state"] == "provisional" and self._random.random() < 0.5:
                fill["state"] = "failed" if order["fate"] else "confirmed"
                if order["fate"]:
                    self._move(order["spec"], fill["size"], fill["cash"], fill["fee"], -1)
        fills = tuple(
            NewFill(fill["id"], fill["size"], fill["cash"], fill["fee"], fill["state"], datetime.now(UTC), {})
            for fill in order["fills"]
        )
        return OrderReading(True, is_final=True, venue_order_id=key.client_order_id, fills=fills, status="done")

    async def search(self, key: OrderKey, siblings: Siblings) -> OrderReading:
        return OrderReading(is_found=False, behind_s=0.0)  # as the reading before it said

    async def cancel(self, key: OrderKey) -> None:
        return None

    async def cancel_all(self) -> None:
        return None

    async def open_orders(self) -> Sequence[OpenOrder]:
        return self.foreign_orders

    async def fills_since(self, since: datetime) -> Sequence[AccountFill]:
        return [*self._own_fills(), *self.foreign_fills]

    async def moves_since(self, since: datetime) -> Sequence[AccountMove]:
        return [move for move in self.moves if move.at >= since]

    def _own_fills(self) -> list[AccountFill]:
        found = []
        for client_id, order in self._orders.items():
            spec: OrderSpec = order["spec"]
            for fill in [] if order["hidden"] else order["fills"]:
                new = NewFill(fill["id"], fill["size"], fill["cash"], fill["fee"], fill["state"], datetime.now(UTC), {})
                target = spec.target
                found.append(
                    AccountFill(self.venue, client_id, target.market_id, spec.outcome, "", spec.action, True, new)
                )
        return found

    async def client_order_id(self, venue_order_id: str) -> str:
        return venue_order_id if venue_order_id in self._orders else ""

    async def positions(self) -> Mapping[tuple[str, Outcome], int]:
        if self.venue is Venue.POLYMARKET:
            return {key: held for key, held in self.held.items() if held}  # type: ignore[misc]
        net: dict[tuple[str, Outcome], int] = {}
        for (market, outcome), held in self.held.items():
            net[market, "yes"] = net.get((market, "yes"), 0) + (held if outcome == "yes" else -held)
        return {key: held for key, held in net.items() if held}

    async def cash_e6(self) -> int:
        return self.cash

    async def account_state(self) -> AccountState:
        return AccountState(
            {"": True},
            (),
            10**15,
            is_blocked=False,
            is_closing_only=False,
            clock_ahead_ms=0,
            key=KeyState(may_trade=True),
            kind="not_stated",
        )

    def sending_state(self) -> SendingState:
        return SendingState(self.orders_left)

    async def market_state(self, market: MarketInfo) -> MarketState:
        return MarketState("open", market.terms.fee_schedule, closes_at=market.close_time)

    async def cash_by_shard(self) -> Mapping[int | None, int]:
        return self.shards or {None: self.cash}

    def settle_market(self, market_id: str, settlement_e4: int) -> None:
        paid = 0
        for (market, outcome), size in list(self.held.items()):
            if market == market_id and size:
                pays = settlement_e4 if outcome == "yes" else 10_000 - settlement_e4
                paid += pays * size // 10_000
                self.held[market, outcome] = 0
        self.cash += paid
        self.settled[market_id] = settlement_e4
        self.paid[market_id] = paid

    async def payouts(self, markets: Sequence[AwaitedMarket]) -> Payouts:
        ended = [market.market_id for market in markets if market.market_id in self.settled]
        now = datetime.now(UTC)
        return Payouts([Payout(name, self.settled[name], self.paid.get(name), now) for name in ended])

    async def redeem(self, target: Target) -> str:
        self.redeemed.append(target.market_id)
        return f"transaction-{len(self.redeemed)}"


def fake_settings(**more: Any) -> Settings:
    """Settings with short pauses, under which no execution is overdue and no decision outlived by a slow machine."""
    quick: dict[str, Any] = {"execution_max_s": 120.0, "order_poll_ms": 10, "execution_cooldown_s": 0}
    quick |= {"limit_edge_usd": Decimal(1)}  # the edges of made-up books are larger than a person would let pass
    quick |= {"last_contract_edge_usd": 0, "min_annualised_return": 0, "long_capital_usd": 100_000}
    quick |= {"reconciled_max_age_s": 86_400, "exit_depth_share": 0, "legs_at_once": False}
    quick |= {"unknown_absent_after_s": 0.2, "polymarket_absent_after_s": 0.2}
    settings = Settings(venues="sandbox", **(quick | more))
    # longer than a person may set it
    return settings if "decision_ttl_ms" in more else settings.model_copy(update={"decision_ttl_ms": 5_000})


def markets_of(number: int) -> tuple[str, str]:
    """The markets of a group by its number: Kalshi's and Polymarket's."""
    return f"KXTEST-{number}", f"0xtest{number}"


def seed_group(
    connection: Connection, *, kind: str = "pair", number: int = 1, fees: tuple[str, str] = ("1", "0.04")
) -> None:
    """Write a pair of markets, approved, and its group; both accounts have agreed with our books an hour ago.

    `fees`: Kalshi's multiplier and Polymarket's rate.
    """
    kalshi_market, polymarket_market = markets_of(number)
    now = datetime.now(UTC)
    terms = {
        "kalshi": {"fee_schedule": {"fee_type": "quadratic", "fee_multiplier": fees[0]}},
        "polymarket": {
            "fee_schedule": {"rate": fees[1], "exponent": "1", "taker_only": True},
            "min_size_e6": 5_000_000,
            "min_notional_e6": 1_000_000,
            "yes_token": "1",
            "no_token": "2",
        },
    }
    for venue, market in (("kalshi", kalshi_market), ("polymarket", polymarket_market)):
        version = connection.execute(
            """INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title, outcomes,
                   close_time, status, terms, payload, seen_at)
               VALUES (%s, %s, 'v', 't', 'e', 'Will it?', '["Yes", "No"]', %s, 'open', %s, '{}', %s)
               RETURNING version_id""",
            (venue, market, now + timedelta(hours=1), Jsonb(terms[venue]), now),
        ).fetchone()
        assert version is not None
        connection.execute(
            """INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
               VALUES (%s, %s, %s, 'open', %s, %s)""",
            (venue, market, version["version_id"], now, now),
        )
        connection.execute(
            """INSERT INTO trading.account_readings (mode, venue, began_at, ended_at, verdict, cash_e6, low_e6,
                   booked_e6, high_e6, environment)
               SELECT 'live', %(venue)s, %(at)s, %(at)s, 'agrees', 0, 0, 0, 0, 'sandbox'
               WHERE NOT EXISTS (SELECT FROM trading.account_readings WHERE venue = %(venue)s)""",
            {"venue": venue, "at": now - timedelta(hours=1)},
        )
    connection.execute(
        """INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,
               kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)
           VALUES (%s, %s, %s, 'equivalent', 'aligned', 't', 't', 'sandbox', now(), now())""",
        (f"p{number}", kalshi_market, polymarket_market),
    )
    approve(connection, pair_id=f"p{number}")
    keys = [f"kalshi:{kalshi_market}", f"polymarket:{polymarket_market}"]
    connection.execute(
        """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment, updated_at)
           VALUES (%s, %s, 'Will it?', %s, %s, true, 'sandbox', now())""",
        (
            f"g{number}",
            kind,
            Jsonb(
                [
                    {"venue": "kalshi", "market_id": kalshi_market},
                    {"venue": "polymarket", "market_id": polymarket_market},
                ]
            ),
            Jsonb([keys, []]),
        ),
    )


def approve(connection: Connection, decision: str = "approve", text_hash: str = "t", pair_id: str = "p1") -> None:
    read = {} if text_hash == "t" else {f"kalshi:{KALSHI_MARKET}": text_hash}
    write_decision(connection, f"pair:{pair_id}", decision, read=read)


def seed_signal(
    connection: Connection, number: int, *, kalshi: str = "yes", polymarket: str = "no", group: int = 1
) -> int:
    kalshi_market, polymarket_market = markets_of(group)
    row = connection.execute(
        """INSERT INTO trading.signals (group_id, leg_set, shard, environment, is_tradable, opened_at, open_edge_usd,
               peak_edge_usd, last_edge_usd, contracts_e6, cost_e6, fee_e6, profit_e6, updated_at)
           VALUES (%s, %s, 0, 'sandbox', true, now(), 0.05, 0.05, 0.05, 1, 1, 1, 1, now()) RETURNING signal_id""",
        (f"g{group}", f"set{number}"),
    ).fetchone()
    assert row is not None
    for leg, (venue, market, outcome) in enumerate(
        (("kalshi", kalshi_market, kalshi), ("polymarket", polymarket_market, polymarket))
    ):
        connection.execute(
            """INSERT INTO trading.signal_legs (signal_id, leg_no, venue, market_id, outcome, limit_price_e4, size_e6)
               VALUES (%s, %s, %s, %s, %s, 5000, 1000000)""",
            (row["signal_id"], leg, venue, market, outcome),
        )
    return int(row["signal_id"])


def set_books(venues: Mapping[Venue, FakeVenue], source: random.Random, *, edge_e4: int = 400) -> None:
    """Quote both markets around one probability, with YES cheap on one side by `edge_e4`."""
    middle = source.randrange(2_000, 8_000, 100)
    for venue, market in ((Venue.KALSHI, KALSHI_MARKET), (Venue.POLYMARKET, POLYMARKET_MARKET)):
        shift = edge_e4 if venue is Venue.POLYMARKET else -edge_e4
        fake = venues[venue]
        depth = [source.randrange(3, 40) * 1_000_000 for _ in range(6)]
        yes = middle + shift + 100
        no = 10_000 - middle - shift + 100
        fake.asks[market, "yes"] = [[yes + 100 * n, depth[n]] for n in range(3) if 0 < yes + 100 * n < 10_000]
        fake.asks[market, "no"] = [[no + 100 * n, depth[n + 3]] for n in range(3) if 0 < no + 100 * n < 10_000]


def make_context(
    connection: Connection, faults: Mapping[str, float], seed: int, settings: Settings
) -> tuple[TradingContext, dict[Venue, FakeVenue]]:
    venues = {venue: FakeVenue(venue, connection, seed + index, faults) for index, venue in enumerate(Venue)}
    return TradingContext(settings, "live", venues), venues


def look_again(connection: Connection) -> None:
    """Let all orders that are looked for be due, as if the last look were long ago."""
    connection.execute("UPDATE trading.orders SET watch_looked_ms = NULL")


def rows(connection: Connection, sql: str) -> list[dict[str, Any]]:
    return connection.execute(sql).fetchall()
