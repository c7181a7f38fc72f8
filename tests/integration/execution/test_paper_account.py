"""What a paper account holds is in the rows: it outlives its process, and several runs share it."""

from __future__ import annotations

import asyncio
import itertools
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.paper_account import PaperLedger
from orchestration.execution.settlement import ensure_deposits, settle
from orchestration.execution.settlement_cycle import run_cycle
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.gateway import Gateway, OrderAnswer, OrderSpec, PreparedOrder
from orchestration.execution.venues.paper import PaperGateway, PaperSources, books_read_at
from orchestration.execution.venues.paper_matching import paper_profile
from streams.market.errors import Refused
from streams.market.identity import Venue
from streams.market.trading import ExecutionState, Target
from streams.processes.boot_clock import boot_now
from streams.storage.database import Connection, connect
from streams.storage.partitions import ensure_partitions
from streams.storage.store import executions, orders
from streams.storage.store.hedges.fences import as_it_stands
from streams.storage.store.ledger import ledger_cash_e6
from streams.storage.store.market_groups import load_market_infos
from streams.storage.store.orders import NewIntent, mark_sent, write_intent
from tests.support.fake_venue import KALSHI_MARKET, FakeVenue, fake_settings, look_again, rows, seed_group, seed_signal

ONE = 1_000_000
KALSHI, POLYMARKET = Venue.KALSHI, Venue.POLYMARKET
_seeds = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC)


async def at_once(_: float) -> None:
    return None


@dataclass
class Run:
    """A process with a paper account: gateways of both venues on a connection of its own."""

    connection: Connection
    venues: dict[Venue, FakeVenue]
    cash_e6: int = 10_000 * ONE
    seed: int = field(default_factory=lambda: next(_seeds))
    context: TradingContext = field(init=False)

    def __post_init__(self) -> None:
        settings = fake_settings(trading="paper", decision_ttl_ms=1000)
        gateways: dict[Venue, Gateway] = {}
        self.context = TradingContext(settings.model_copy(update={"decision_ttl_ms": 600_000}), "paper", gateways)
        gateways.update({venue: self._gateway(venue) for venue in self.venues})

    def _gateway(self, venue: Venue) -> PaperGateway:
        async def without_delay(_: Target) -> int:
            return 0

        account = PaperLedger(self.connection, venue, self.context, start_cash_e6=self.cash_e6, clock=now)
        sources = PaperSources(
            books_read_at(self.venues[venue], now, at_once), without_delay, lambda: (60,), random.Random(self.seed), now
        )
        profile = paper_profile("realistic", fade_probability_e6=0, fade_e4=0)
        return PaperGateway(self.venues[venue], account, profile, sources)

    def target(self, venue: Venue = KALSHI, market_id: str = KALSHI_MARKET) -> Target:
        return load_market_infos(self.connection, [f"{venue}:{market_id}"])[f"{venue}:{market_id}"].target

    def intend(self, execution_id: int, size_e6: int, limit_e4: int = 5_000, action: Any = "buy") -> PreparedOrder:
        """Write the rows of an order on Kalshi that is about to arrive."""
        prepared = self.context.gateways[KALSHI].prepare(OrderSpec(self.target(), "yes", action, limit_e4, size_e6))
        at = now()
        with self.connection.transaction():
            order_id = write_intent(
                self.connection,
                NewIntent(execution_id, 0, "open", "kalshi", KALSHI_MARKET, "yes", action, limit_e4, size_e6, None,
                          size_e6, 1, "sandbox", at, at + timedelta(hours=1), prepared.client_order_id,
                          prepared.request),
            )  # fmt: skip
        assert mark_sent(self.connection, order_id, at, boot_now())
        return prepared

    def arrive(self, prepared: PreparedOrder) -> OrderAnswer:
        return asyncio.run(self.context.gateways[KALSHI].send(prepared))

    def buy(self, execution_id: int, size_e6: int, limit_e4: int = 5_000) -> None:
        self.arrive(self.intend(execution_id, size_e6, limit_e4))

    def follow(self, execution_id: int) -> None:
        """Do what a run does that takes the execution over."""
        unresolved = orders.load_to_follow(self.connection, execution_id)
        follower = OrderFollower(self.connection, self.context)
        asyncio.run(follower.resolve(unresolved, {f"kalshi:{KALSHI_MARKET}": self.target()}))

    def execution(self) -> int:
        """Write an execution that somebody works on."""
        signal = seed_signal(self.connection, 1 + len(rows(self.connection, "SELECT 1 FROM trading.signals")))
        number = executions.create_execution(
            self.connection,
            executions.NewExecution(
                signal_id=signal,
                attempt=1,
                group_id="g1",
                environment="sandbox",
                mode="paper",
                state=ExecutionState.PLANNED,
                run_id="run",
                epoch=1,
                edge_usd=Decimal(0),
                contracts_e6=1,
                detail={},
            ),
        )
        assert number is not None
        return number

    def cash(self, venue: Venue = KALSHI) -> dict[int | None, int]:
        return dict(asyncio.run(self.context.gateways[venue].cash_by_shard()))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as found:
        seed_group(found)
        yield found


def venues(connection: Connection, size_e6: int = 10 * ONE) -> dict[Venue, FakeVenue]:
    made = {venue: FakeVenue(venue, connection, 1, {}) for venue in Venue}
    made[KALSHI].asks[KALSHI_MARKET, "yes"] = [[5_000, size_e6]]
    return made


def bought(connection: Connection) -> int:
    return int(rows(connection, "SELECT coalesce(sum(contracts_e6), 0) AS n FROM trading.fills")[0]["n"])


def books_balance(connection: Connection) -> None:
    """Assert that fills, orders and ledger say the same."""
    (sums,) = rows(
        connection,
        """SELECT (SELECT coalesce(sum(CASE action WHEN 'buy' THEN -cash_e6 ELSE cash_e6 END - fee_e6), 0)
                   FROM trading.fills) AS fills,
                  (SELECT coalesce(sum(cash_e6), 0) FROM trading.ledger WHERE kind IN ('fill', 'fee')) AS ledger,
                  (SELECT coalesce(sum(filled_e6), 0) FROM trading.orders) AS filled""",
    )
    assert sums["fills"] == sums["ledger"]
    assert sums["filled"] == bought(connection)


def test_of_ten_offered_five_processes_buy_ten(connection: Connection) -> None:
    for _ in range(5):
        run = Run(connection, venues(connection))
        number = run.execution()
        run.buy(number, 10 * ONE)
        run.follow(number)
    assert bought(connection) == 10 * ONE
    states = [row["state"] for row in rows(connection, "SELECT state FROM trading.orders ORDER BY order_id")]
    assert states == ["filled", *["canceled"] * 4]
    books_balance(connection)


@pytest.mark.parametrize(
    ("there", "dollars", "gets", "codes"), [(7, 40_000, 7, set()), (100, 16, 6, {"insufficient_balance"})]
)
def test_two_runs_at_once_never_take_the_same_contracts_nor_spend_the_same_cash(
    connection: Connection, database: str, there: int, dollars: int, gets: int, codes: set[str]
) -> None:
    """Eight orders of two contracts at 1.035 dollars each; a fourth of the dollars is on the market's shard."""
    first = Run(connection, venues(connection), cash_e6=dollars * ONE)
    numbers = [first.execution() for _ in range(8)]
    barrier = threading.Barrier(2, timeout=60)
    refused: list[str] = []

    def work(mine: list[int]) -> None:
        with connect(database) as own:
            run = Run(own, venues(own, there * ONE), cash_e6=dollars * ONE)
            barrier.wait()
            for number in mine:
                try:
                    run.buy(number, 2 * ONE)
                except Refused as error:
                    refused.append(error.code)

    threads = [threading.Thread(target=work, args=(numbers[half::2],)) for half in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bought(connection) == gets * ONE
    assert set(refused) == codes
    assert first.cash()[0] == dollars * ONE // 4 - gets * 517_500
    books_balance(connection)


def test_a_level_that_changed_and_changed_back_is_new_once_the_recorder_saw_it(connection: Connection) -> None:
    run = Run(connection, venues(connection))
    run.buy(run.execution(), 10 * ONE)
    ensure_partitions(connection, now().date(), days_ahead=1)
    filled_at = rows(connection, "SELECT max(filled_at) AS at FROM trading.fills")[0]["at"]

    def delta(after_s: float, price: int, size_after: int) -> None:
        connection.execute(
            """INSERT INTO raw.book_deltas (received_at, venue, market_id, side, price_e4, size_change_e6,
                   size_after_e6, segment_id, frame_offset, entry_index, payload)
               VALUES (%s, 'kalshi', %s, 'ask', %s, 1, %s, 1, 1, 1, '{}')""",
            (filled_at + timedelta(seconds=after_s), KALSHI_MARKET, price, size_after),
        )

    for after_s, price, size in ((2, 5_000, 10 * ONE), (2, 5_100, ONE), (0.5, 5_000, 0), (-2, 5_000, 0)):
        delta(after_s, price, size)  # the same size, another level, too close to tell, and before
        assert not asyncio.run(run.context.gateways[KALSHI].books([run.target()]))[KALSHI_MARKET].asks
    delta(3, 5_000, 12 * ONE)
    assert asyncio.run(run.context.gateways[KALSHI].books([run.target()]))[KALSHI_MARKET].asks == [(5_000, 10 * ONE)]
    run.buy(run.execution(), 10 * ONE)
    assert bought(connection) == 20 * ONE


def test_killed_on_its_way_an_order_has_not_happened(connection: Connection) -> None:
    run = Run(connection, venues(connection))
    number = run.execution()
    before = run.cash()
    prepared = run.intend(number, 10 * ONE)
    heir = Run(connection, venues(connection))
    connection.execute("UPDATE trading.orders SET watch_since_ms = watch_since_ms - 3600000")
    heir.follow(number)
    assert rows(connection, "SELECT state FROM trading.orders") == [{"state": "unknown"}]
    look_again(connection)
    follower = OrderFollower(connection, heir.context)
    unresolved = orders.load_to_follow(connection, number)
    asyncio.run(follower.resolve(unresolved, {f"kalshi:{KALSHI_MARKET}": heir.target()}))
    assert rows(connection, "SELECT state FROM trading.orders") == [{"state": "expired"}]
    with pytest.raises(Refused, match="given up"):
        run.arrive(prepared)  # a process that was only stopped goes on
    assert (bought(connection), run.cash()) == (0, before)


def test_killed_after_its_arrival_an_order_is_found_and_booked_once(connection: Connection) -> None:
    run = Run(connection, venues(connection))
    number = run.execution()
    run.buy(number, 4 * ONE)
    for _ in range(3):
        Run(connection, venues(connection)).follow(number)
    (order,) = orders.load_orders(connection, number)
    assert (order.state, order.filled_e6) == ("filled", 4 * ONE)
    assert len(rows(connection, "SELECT 1 FROM trading.ledger WHERE kind = 'fill'")) == 1
    empty = run.execution()
    run.buy(empty, ONE, 4_900)
    Run(connection, venues(connection)).follow(empty)
    (order,) = orders.load_orders(connection, empty)
    assert (order.state, order.reason) == ("canceled", "nothing at the limit at arrival")
    books_balance(connection)


def test_cash_is_paid_in_once_follows_the_setting_and_can_be_zero(connection: Connection) -> None:
    run = Run(connection, venues(connection), cash_e6=8_280_000)
    assert run.cash() == dict.fromkeys(range(4), 2_070_000)
    assert run.cash(POLYMARKET) == {None: 8_280_000}
    asyncio.run(ensure_deposits(connection, run.context))
    assert ledger_cash_e6(connection, "kalshi", "paper") == 8_280_000
    number = run.execution()
    run.buy(number, 4 * ONE)
    assert run.cash()[0] == 0
    with pytest.raises(Refused, match="insufficient_balance"):
        run.buy(number, 10_000)
    more = Run(connection, venues(connection), cash_e6=12_280_000)
    assert more.cash() == {0: ONE, 1: 3_070_000, 2: 3_070_000, 3: 3_070_000}
    assert Run(connection, venues(connection), cash_e6=12_280_000).cash() == more.cash()
    nothing = Run(connection, venues(connection), cash_e6=0)
    assert sum(nothing.cash().values()) == -2_070_000
    with pytest.raises(Refused, match="insufficient_balance"):
        nothing.buy(number, 10_000)


def test_an_order_is_paid_by_the_exchange_shard_of_its_market(connection: Connection) -> None:
    connection.execute(
        "UPDATE raw.market_versions SET terms = terms || %s WHERE venue = 'kalshi'", (Jsonb({"exchange_index": 2}),)
    )
    run = Run(connection, venues(connection), cash_e6=8_280_000)
    run.buy(run.execution(), 4 * ONE)
    assert run.cash() == {0: 2_070_000, 1: 2_070_000, 2: 0, 3: 2_070_000}
    connection.execute(
        "UPDATE raw.market_versions SET terms = terms || %s WHERE venue = 'kalshi'", (Jsonb({"exchange_index": 9}),)
    )
    with pytest.raises(Refused, match="insufficient_balance"):
        run.buy(run.execution(), 10_000)


def test_a_signal_is_traded_once_from_what_is_there_and_its_books_balance(connection: Connection) -> None:
    made = venues(connection)
    made[POLYMARKET].asks["0xtest1", "no"] = [[4_000, 100 * ONE]]
    run = Run(connection, made)
    states = []
    for number in range(1, 4):
        signal = seed_signal(connection, number)
        result = asyncio.run(SignalTrader(connection, run.context, "run").trade(signal))
        states.append((result.state, result.refusal and result.refusal.reason))
    assert states == [(ExecutionState.HEDGED, None), (None, "edge_gone"), (None, "edge_gone")]
    asyncio.run(run_cycle(connection, run.context, "round"))
    balances = rows(connection, "SELECT cash_e6 - ledger_cash_e6 AS difference FROM trading.balances")
    assert [row["difference"] for row in balances] == [0, 0]
    books_balance(connection)


def test_a_scalar_result_pays_paper_in_the_venues_whole_steps_once_and_a_corrected_one_anew(
    connection: Connection,
) -> None:
    """Three and a third contracts at 0.3333: the account gets whole cents, and what the step leaves is booked too."""
    run = Run(connection, venues(connection), cash_e6=40 * ONE)
    number = run.execution()
    run.buy(number, 3_330_000)
    run.follow(number)
    executions.change_state(connection, as_it_stands(connection, number), ExecutionState.HEDGED, "it is held")
    before = run.cash()[0]
    for result_e4, paid_e6 in ((3_333, 1_100_000), (3_333, 1_100_000), (6_667, 2_220_000)):
        connection.execute(
            """UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s
               WHERE venue = 'kalshi' AND market_id = %s""",
            (result_e4, KALSHI_MARKET),
        )
        asyncio.run(settle(connection, run.context))
        assert run.cash()[0] == before + paid_e6
        assert sum(run.cash().values()) == ledger_cash_e6(connection, "kalshi", "paper")
    (held,) = rows(connection, "SELECT sum(contracts_e6) AS n FROM trading.ledger")
    assert held["n"] == 0
    with pytest.raises(Refused, match="insufficient_balance"):
        run.arrive(run.intend(number, ONE, 4_000, "sell"))


def test_measured_round_trips_leave_out_paper_and_late_answers(connection: Connection) -> None:
    run = Run(connection, venues(connection))
    number = run.execution()
    for took_ms, request in ((40, {}), (5_000, {}), (30, {"paper": True})):
        run.intend(number, ONE)
        connection.execute(
            """UPDATE trading.orders SET answered_at = sent_at + make_interval(secs => %s), request = %s
               WHERE order_id = (SELECT max(order_id) FROM trading.orders)""",
            (took_ms / 1000, Jsonb(request)),
        )
    assert orders.round_trips_ms(connection, KALSHI, 10) == [40]
