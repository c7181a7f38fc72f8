"""One seed: two trading runs and a reconciler on one database, against both exchanges, with accidents of every kind.

What is drawn decides everything: books and when they change, which run takes a signal and when, what is lost, late or
doubled on the wire, when a run is killed and when the wall clock is set. The same seed is the same trace.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
from psycopg.types.json import Jsonb

from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import compare_balances, ensure_deposits, settle
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from streams.market.errors import StreamsError
from streams.market.identity import Venue
from streams.market.trading import ENDED_STATES, UNRESOLVED, BootTime, SignalLeg
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.store.risk import current_limits, current_switch, set_switch, tied_up
from streams.storage.store.signals import NewSignal, close_signal, open_signal
from tests.campaign.clock import Clocks, VirtualLoop
from tests.campaign.exchanges import CONTRACT, MARKETS, TOKENS, Exchanges, Faults
from tests.support.decisions import write_decision

ACTIVE_S, QUIET_S = 30.0, 900.0
"""How long accidents happen, and how long everything has to come to its end afterwards (virtual seconds)."""
_EDGE_E4 = 400


@dataclass
class Report:
    """What became of one seed.

    Attributes:
        trace: Everything that was written, one line each, times in milliseconds of the seed.
        broken: The promises that were broken, in words; empty where all held.
        ended: Executions by the state they ended in.
        orders: How many orders there are.
        kills: How many runs were killed.
        virtual_s: How long it took (virtual seconds).
    """

    seed: int
    trace: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    ended: dict[str, int] = field(default_factory=dict)
    orders: int = 0
    kills: int = 0
    virtual_s: float = 0.0


def run_seed(dsn: str, seed: int, home: Path) -> Report:
    """Run one seed on a migrated database of its own.

    Args:
        dsn: Of the database.
        seed: From which everything is drawn.
        home: An empty folder.
    """
    loop = VirtualLoop()
    clocks = Clocks(loop)
    settings = Settings(venues="sandbox", home=home / "trading", execution_cooldown_s=0, limit_edge_usd=Decimal(1))
    try:
        with clocks.in_force(), _drawn_ids(seed):
            return loop.run_until_complete(_Seed(dsn, seed, home, clocks, settings).run())
    finally:
        loop.close()


@contextmanager
def _drawn_ids(seed: int) -> Iterator[None]:
    ids = random.Random(f"ids {seed}")
    with (
        patch("uuid.uuid4", lambda: uuid.UUID(int=ids.getrandbits(128), version=4)),
        patch("secrets.randbits", ids.getrandbits),
    ):
        yield


class _Seed:
    def __init__(self, dsn: str, seed: int, home: Path, clocks: Clocks, settings: Settings) -> None:
        self._dsn, self._clocks, self._settings = dsn, clocks, settings
        self._source = random.Random(f"world {seed}")
        self._exchanges = Exchanges(home / "exchanges", seed, clocks, settings)
        self._report = Report(seed)
        self._signals: list[list[int]] = [[], []]
        self._is_active = self._is_trading = True
        self._base = connect(dsn, clock=clocks.venue_now)

    async def run(self) -> Report:
        acting = [asyncio.create_task(self._exchanges.go_on())]
        try:
            await asyncio.sleep(0.5)
            self._write_group()
            await ensure_deposits(self._base, self._context())
            self._exchanges.wire.faults = self._drawn_faults()
            self._exchanges.wire.on_order = self._check_switch
            moving = (self._move_markets(), self._set_clocks(), self._turn_switch())
            acting += [asyncio.create_task(one) for one in moving]
            runs = [asyncio.create_task(self._trade(number)) for number in (0, 1)]
            reconciling = asyncio.create_task(self._reconcile())
            acting += [*runs, reconciling]
            await asyncio.sleep(ACTIVE_S)
            self._is_active = False
            self._exchanges.wire.faults = Faults()
            self._clocks.skew_s = 0.0
            set_switch(self._base, "run", "campaign")
            await asyncio.gather(*runs)
            self._is_trading = False
            await asyncio.wait_for(reconciling, QUIET_S)
        except TimeoutError:
            self._report.broken.append(f"something is open {QUIET_S:.0f} s after the last accident: {self._open()}")
        else:
            await self._judge()
            await self._settle()
        finally:
            for task in acting:
                task.cancel()
            await asyncio.gather(*acting, return_exceptions=True)
        self._report.trace = list(self._trace())
        self._report.virtual_s = round(asyncio.get_running_loop().time(), 3)
        await self._exchanges.close()
        self._base.close()
        return self._report

    def _context(self) -> TradingContext:
        gateways = self._exchanges.gateways()
        return TradingContext(
            self._settings, "live", gateways, boot_clock=lambda: BootTime("b", int(self._clocks.monotonic() * 1000))
        )

    def _drawn_faults(self) -> Faults:
        draw = self._source
        share = draw.choice([0.0, 0.1, 0.3])
        return Faults(
            lost_request=share * draw.random(),
            lost_answer=share * draw.random(),
            doubled=share * draw.random(),
            slow=share * draw.random(),
        )

    # -- what acts -----------------------------------------------------------------------------------------------------

    async def _move_markets(self) -> None:
        """Change the books, open a signal on them and hand it to one run or both."""
        number = 0
        while self._is_active:
            number += 1
            outcome = self._quote()
            await asyncio.sleep(0.3)
            signal_id = self._open_signal(number, outcome)
            if signal_id is not None:
                for run in self._source.choice([(0,), (1,), (0, 1), (0, 1)]):
                    self._signals[run].append(signal_id)
            if self._source.random() < 0.4:
                await asyncio.sleep(self._source.uniform(0.0, 0.4))
                self._exchanges.flow.withdraw(self._source.choice(list(Venue)))
            await asyncio.sleep(self._source.uniform(0.5, 4.0))
            if signal_id is not None:
                close_signal(self._base, signal_id, "edge gone", self._clocks.now(), None)

    def _quote(self) -> str:
        """Quote both markets around one probability, YES cheap on one side; returns the outcome to buy on Kalshi."""
        middle = self._source.randrange(3_000, 7_000, 100)
        outcome = self._source.choice(["yes", "no"])
        edge = _EDGE_E4 if outcome == "yes" else -_EDGE_E4
        for venue, shift in ((Venue.KALSHI, -edge), (Venue.POLYMARKET, edge)):
            depth = [self._source.randrange(3, 40) * CONTRACT for _ in range(6)]
            bids = [(middle + shift - 100 * (n + 1), depth[n]) for n in range(3)]
            asks = [(middle + shift + 100 * (n + 1), depth[n + 3]) for n in range(3)]
            self._exchanges.flow.quote(venue, bids, asks)
        return outcome

    def _open_signal(self, number: int, outcome: str) -> int | None:
        other = "no" if outcome == "yes" else "yes"
        legs = tuple(
            SignalLeg(venue=venue, market_id=MARKETS[venue], outcome=side, limit_price_e4=5_000, size_e6=CONTRACT)
            for venue, side in ((Venue.KALSHI, outcome), (Venue.POLYMARKET, other))
        )
        edge, now = Decimal("0.05"), self._clocks.now()
        new = NewSignal("g1", f"set{number}", True, now, edge, edge, edge, CONTRACT, 1, 1, 1, None, legs)
        return open_signal(self._base, new, 0, "sandbox")

    async def _set_clocks(self) -> None:
        """Set the trading side's wall clock now and then, by less than what makes its signatures wrong."""
        while self._is_active:
            await asyncio.sleep(self._source.uniform(3.0, 20.0))
            if self._is_active:
                self._clocks.skew_s = self._source.choice([0.0, -0.8, 0.7, -2.5, 2.5])

    async def _turn_switch(self) -> None:
        """In some seeds a person pauses, reduces or kills, and lets trading go on again."""
        if self._source.random() < 0.5:
            return
        while self._is_active:
            await asyncio.sleep(self._source.uniform(0.3, 5.0))
            if self._is_active:
                set_switch(self._base, self._source.choice(["pause", "reduce", "kill"]), "campaign")
                await asyncio.sleep(self._source.uniform(0.2, 2.0))
                set_switch(self._base, "run", "campaign")

    def _check_switch(self) -> None:
        """No order leaves while trading is killed."""
        if current_switch(self._base) == "kill":
            self._report.broken.append("an order leaves though trading is killed")

    async def _trade(self, number: int) -> None:
        """One trading run after the other under one name for people; each is killed or ends with the last signal."""
        life = 0
        while self._is_active or self._signals[number]:
            life += 1
            connection = connect(self._dsn, clock=self._clocks.venue_now)
            work = asyncio.create_task(self._take_signals(connection, number, f"elsewhere:{number}-{life}"))
            limit_s = self._source.uniform(1.0, 25.0) if self._source.random() < 0.6 else ACTIVE_S + QUIET_S
            await asyncio.wait([work], timeout=limit_s)
            if not work.done():
                self._report.kills += 1
            connection.close()  # a process that is killed writes nothing more, and gives nothing back
            work.cancel()
            with suppress(asyncio.CancelledError, psycopg.Error, StreamsError):
                await work

    async def _take_signals(self, connection: Connection, number: int, holder: str) -> None:
        trader = SignalTrader(connection, self._context(), f"run-{number}", holder)
        while self._is_active or self._signals[number]:
            if self._signals[number]:
                await asyncio.sleep(self._source.uniform(0.0, 0.2))
                await trader.trade(self._signals[number].pop(0))
            else:
                await asyncio.sleep(0.05)

    async def _reconcile(self) -> None:
        """Reconcile each second, until nothing is open any more; check at each turn that no limit is passed."""
        with connect(self._dsn, clock=self._clocks.venue_now) as connection:
            context = self._context()
            while self._is_trading or self._open():
                await asyncio.sleep(1.0 if self._is_active else 5.0)
                await reconcile(connection, context, "settle")
                used, limit = tied_up(connection, "live").total_e6, current_limits(connection, self._settings)
                if used > limit.total_e6:
                    self._report.broken.append(f"{used} are tied up, the limit is {limit.total_e6}")

    # -- what must hold ------------------------------------------------------------------------------------------------

    def _rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        return self._base.execute(query, values or None).fetchall()

    def _open(self) -> list[str]:
        return [
            f"{row['what']} {row['id']} {row['state']}"
            for row in self._rows(
                """SELECT 'execution' AS what, execution_id AS id, state FROM trading.executions WHERE state <> ALL(%s)
                   UNION ALL SELECT 'order', order_id, state FROM trading.orders WHERE state = ANY(%s)
                   UNION ALL SELECT 'fill', fill_id, state FROM trading.fills WHERE state = 'provisional'""",
                list(ENDED_STATES), list(UNRESOLVED),
            )
        ]  # fmt: skip

    async def _judge(self) -> None:
        broken = self._report.broken
        for row in self._rows(
            """SELECT execution_id FROM trading.executions AS e WHERE state = 'ESCALATED' AND NOT EXISTS (
                   SELECT FROM trading.alerts WHERE dedup_key = 'execution:' || e.execution_id)"""
        ):
            broken.append(f"execution {row['execution_id']} is escalated and nobody was told")
        self._judge_orders()
        for balance in await compare_balances(self._base, self._context()):
            if balance.difference_e6 or balance.in_flight:
                broken.append(f"{balance.venue}: ledger and cash differ by {balance.difference_e6}")
        for venue, gateway in self._exchanges.gateways().items():
            theirs = {key: size for key, size in (await gateway.positions()).items() if size}
            ours = {
                (row["market_id"], row["outcome"]): row["n"]
                for row in self._rows(
                    """SELECT market_id, outcome, sum(contracts_e6)::bigint AS n FROM trading.position_totals
                       WHERE venue = %s GROUP BY 1, 2 HAVING sum(contracts_e6) <> 0""",
                    venue.value,
                )
            }
            if _net(ours, venue) != _net(theirs, venue):
                broken.append(f"{venue}: the ledger holds {ours}, the venue {theirs}")
        states = self._rows("SELECT state, count(*) AS n FROM trading.executions GROUP BY 1 ORDER BY 1")
        self._report.ended = {row["state"]: row["n"] for row in states}

    async def _settle(self) -> None:
        """Let both markets settle alike and be paid: nothing is held then, and the change of cash was realised."""
        value_e4 = self._source.choice([0, 10_000])
        self._exchanges.flow.settle(dict.fromkeys(Venue, value_e4))
        self._base.execute("UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s", (value_e4,))
        context = self._context()
        for _ in range(60):
            await asyncio.sleep(20.0)
            await settle(self._base, context)
            if not self._rows("SELECT FROM trading.executions WHERE settled_at IS NULL"):
                break
        else:
            self._report.broken.append("an execution is not settled twenty minutes after its markets are")
        for balance in await compare_balances(self._base, context):
            if balance.difference_e6:
                self._report.broken.append(f"{balance.venue}: after the payout {balance.difference_e6} differ")
        [sums] = self._rows(
            """SELECT (SELECT coalesce(sum(realised_pnl_e6), 0)::bigint FROM trading.executions) AS realised,
                   (SELECT sum(cash_e6)::bigint FROM trading.ledger WHERE kind <> 'deposit') AS moved"""
        )
        if sums["realised"] != (sums["moved"] or 0):
            self._report.broken.append(f"{sums['realised']} are realised and {sums['moved']} came in")

    def _judge_orders(self) -> None:
        """Every order at a venue is one of ours, once, and its fills are those of our row."""
        ours = {row["key"]: row for row in self._rows(
            """SELECT client_order_id AS key, order_id, venue, state, filled_e6 FROM trading.orders"""
        )}  # fmt: skip
        self._report.orders = len(ours)
        seen: dict[str, int] = {}
        for exchange in self._exchanges.sandbox.exchanges.values():
            for record in exchange.state.orders.values():
                for key in (record.request.client_order_id, record.request.order_id):
                    if key in ours:
                        seen[key] = seen.get(key, 0) + 1
                        break
                else:
                    self._report.broken.append(f"order {record.request.order_id} is at a venue and not in our rows")
        self._report.broken += [f"order {key} is there {count} times" for key, count in seen.items() if count > 1]

    def _trace(self) -> Iterator[str]:
        for query in (
            "SELECT execution_id, signal_id, attempt, state, epoch, contracts_e6 FROM trading.executions ORDER BY 1",
            "SELECT execution_id, state, what, happened_at FROM trading.execution_events ORDER BY event_id",
            "SELECT signal_id, reason, refused_at FROM trading.refusals ORDER BY refusal_id",
            """SELECT order_id, client_order_id, state, filled_e6, cash_e6, fee_e6, prepared_at, sent_at, answered_at
               FROM trading.orders ORDER BY 1""",
            "SELECT order_id, contracts_e6, cash_e6, fee_e6, state FROM trading.fills ORDER BY fill_id",
            "SELECT kind, venue, outcome, cash_e6, contracts_e6, recorded_at FROM trading.ledger ORDER BY entry_id",
        ):
            for row in self._rows(query):
                yield " ".join(str(value) for value in row.values())

    def _write_group(self) -> None:
        """Write both markets, their pair, approved, and its group."""
        terms: dict[Venue, dict[str, Any]] = {
            Venue.KALSHI: {"fee_schedule": {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"}},
            Venue.POLYMARKET: {
                "fee_schedule": {"rate": "0.05", "exponent": "1", "taker_only": True},
                "min_size_e6": 5 * CONTRACT, "min_notional_e6": CONTRACT,
                "yes_token": TOKENS[0], "no_token": TOKENS[1],
            },
        }  # fmt: skip
        now = self._clocks.now()
        for venue, market in MARKETS.items():
            self._base.execute(
                """WITH version AS (
                       INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title,
                           outcomes, close_time, status, terms, payload, seen_at)
                       VALUES (%(venue)s, %(market)s, 'v', 't', 'e', 'Will it?', '["Yes", "No"]',
                           %(now)s + interval '10 days', 'open', %(terms)s, '{}', %(now)s)
                       RETURNING version_id)
                   INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)
                   SELECT %(venue)s, %(market)s, version_id, 'open', %(now)s, %(now)s FROM version""",
                {"venue": venue.value, "market": market, "terms": Jsonb(terms[venue]), "now": now},
            )
        self._base.execute(
            """INSERT INTO trading.pairs (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity,
                   kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)
               VALUES ('p1', %s, %s, 'equivalent', 'aligned', 't', 't', 'sandbox', %s, %s)""",
            (*MARKETS.values(), now, now),
        )
        write_decision(self._base, "pair:p1")
        keys = [f"{venue}:{market}" for venue, market in MARKETS.items()]
        listed = [{"venue": venue.value, "market_id": market} for venue, market in MARKETS.items()]
        self._base.execute(
            """INSERT INTO trading.groups (group_id, kind, title, markets, outcomes, is_tradable, environment,
                   updated_at)
               VALUES ('g1', 'pair', 'Will it?', %s, %s, true, 'sandbox', %s)""",
            (Jsonb(listed), Jsonb([keys, []]), now),
        )


def _net(held: dict[Any, int], venue: Venue) -> dict[str, int]:
    """Return contracts by market, YES less NO where a venue nets them, else by market and outcome."""
    found: dict[str, int] = {}
    for (market, outcome), size in held.items():
        key, sign = (market, 1 if outcome == "yes" else -1) if venue is Venue.KALSHI else (f"{market} {outcome}", 1)
        found[key] = found.get(key, 0) + sign * size
    return {key: size for key, size in found.items() if size}
