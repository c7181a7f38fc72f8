"""One seed: two trading runs and a reconciler on one database, against both exchanges, with accidents of every kind.

What is drawn decides everything: books and when they change, which run takes a signal and when, what is lost, late or
doubled on the wire, when a run is killed or stopped and when the wall clock is set. The same seed is the same trace.
"""

from __future__ import annotations

import asyncio
import random
import traceback
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import psycopg
from psycopg.conninfo import make_conninfo

from orchestration.execution.accounts.check_accounts import check_accounts
from orchestration.execution.armed.armed_run import LEAST_RETRY_S, claimed
from orchestration.execution.armed.fresh_readings import kept_fresh
from orchestration.execution.decide.exposure import Moment
from orchestration.execution.reconcile import reconcile
from orchestration.execution.settlement import ensure_deposits, settle
from orchestration.execution.settlement_cycle import run_cycle
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from streams.market.errors import StreamsError
from streams.market.identity import MarketRef, Venue
from streams.market.trading import ENDED_STATES, UNRESOLVED, BootTime, SignalLeg, SwitchState
from streams.storage.database import Connection, connect
from streams.storage.store import leases, signals
from streams.storage.store.orders import load_orders
from streams.storage.store.risk import current_limits, set_limit, set_switch, tied_up
from streams.storage.store.signals import NewSignal, close_signal, open_signal, update_signal
from tests.campaign.clock import Clocks, Overrun, VirtualLoop, alarm_after
from tests.campaign.exchanges import CONTRACT, PAIRS, Exchanges, Pair
from tests.campaign.judge import Judge, Report, Witness
from tests.campaign.signatures import REAL_ONE_IN, stand_ins
from tests.campaign.wire import Faults, Line
from tests.campaign.world import World, drawn, group_of, settings_of, write_groups
from tests.support.decisions import write_decision

ACTIVE_S, QUIET_S = 30.0, 900.0
"""How long accidents happen, and how long everything has to come to its end afterwards (virtual seconds)."""
VIRTUAL_S, REAL_S = 4_000.0, 300.0
"""No seed takes longer: it ends there with a report of what it waits for."""
_STATEMENT_S = 60
_EDGE_E4 = 400
_TOLD = 2_000
"""So much of an error nobody has caught is told."""
_LOOKED_FOR_S = 130.0
"""What was given up is looked for again within this time."""


def run_seed(dsn: str, seed: int, home: Path, *, real_s: float = REAL_S) -> Report:
    """Run one seed on a migrated database of its own.

    Args:
        dsn: Of the database.
        seed: From which everything is drawn.
        home: An empty folder.
        real_s: The longest that it may take (seconds of the machine).
    """
    loop = VirtualLoop(VIRTUAL_S, real_s)
    clocks, report = Clocks(loop), Report(seed)
    bounded = make_conninfo(dsn, options=f"-c statement_timeout={_STATEMENT_S}s")
    signing = nullcontext() if seed % REAL_ONE_IN == 0 else stand_ins()
    try:
        with ExitStack() as stack:
            for entered in (clocks.in_force(), _drawn_ids(seed), signing, alarm_after(real_s + _STATEMENT_S)):
                stack.enter_context(entered)
            work = _Seed(bounded, seed, home, clocks, report)
            try:
                loop.run_until_complete(work.run())
            except Overrun as error:
                report.broken.append(f"{error}; open: {work.open()}; waiting: {loop.waits()}")
            except Exception as error:  # whatever nobody has caught is found
                report.broken.append("".join(traceback.format_exception(error))[-_TOLD:])
            finally:
                _end_tasks(loop)
                report.virtual_s = round(loop.now_s, 3)
                work.close()
    finally:
        loop.close()
    return report


def _end_tasks(loop: VirtualLoop) -> None:
    """Cancel what is left of a seed."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.give_more(60.0, 10.0)
    with suppress(Overrun):
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))


@contextmanager
def _drawn_ids(seed: int) -> Iterator[None]:
    ids = random.Random(f"ids {seed}")
    with (
        patch("uuid.uuid4", lambda: uuid.UUID(int=ids.getrandbits(128), version=4)),
        patch("secrets.randbits", ids.getrandbits),
    ):
        yield


class _Seed:
    def __init__(self, dsn: str, seed: int, home: Path, clocks: Clocks, report: Report) -> None:
        self._dsn, self._clocks, self._report = dsn, clocks, report
        self._source = random.Random(f"world {seed}")
        self._world: World = drawn(self._source)
        self._settings = settings_of(home / "trading", self._world)
        self._exchanges = Exchanges(home / "exchanges", seed, clocks, self._settings, self._world.weather)
        self._is_active = self._is_trading = True
        self._number = 0
        self._dead: set[str] = set()
        self._most_e6 = 0
        self._base = connect(dsn, clock=clocks.venue_now)
        self._judge = Judge(self._base, self._exchanges, self._context, self._world, report)
        self._witness = Witness(self._base, self._context(), clocks, report)

    def close(self) -> None:
        """Let go of everything."""
        self._base.close()
        self._exchanges.close()

    async def run(self) -> None:
        """Run the seed; what is broken stands in its report."""
        with self._witness.looking(), self._known_dead():
            acting = [asyncio.create_task(self._exchanges.go_on(), name="exchanges")]
            await self._begin()
            moving = [self._set_clocks(), self._turn_switch(), self._review(), self._move_limit()]
            moving += [self._move_market(pair) for pair in PAIRS]
            acting += [asyncio.create_task(one, name=one.__name__) for one in moving]
            runs = [asyncio.create_task(self._trade(number), name=f"run {number}") for number in (0, 1)]
            reconciling = asyncio.create_task(self._reconcile(), name="reconciler")
            await self._until_failed(asyncio.sleep(ACTIVE_S), [*acting, *runs, reconciling])
            self._calm_down()
            await self._until_failed(asyncio.wait(runs), [*acting, *runs, reconciling])
            self._is_trading = False
            try:
                await asyncio.wait_for(reconciling, QUIET_S)
            except TimeoutError:
                self._report.broken.append(f"{QUIET_S:.0f} s after the last accident is open: {self.open()}")
            else:
                await self._judge.judge()
                await self._settle()
            self._report.trace = list(self._trace())

    async def _until_failed(self, work: object, others: list[asyncio.Task[None]]) -> None:
        """Wait for some work, and end with the error of whoever fails meanwhile: nobody here may."""
        awaited = asyncio.ensure_future(work)  # type: ignore[arg-type]
        waited: set[asyncio.Future[object]] = {awaited, *others}  # type: ignore[assignment]
        while not awaited.done():
            done, waited = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()

    async def _begin(self) -> None:
        """List the markets, compare the accounts once as the armed run does, and let the accidents begin."""
        await asyncio.sleep(0.5)
        write_groups(self._base, self._clocks.now())
        context = self._context()
        await ensure_deposits(self._base, context)
        await check_accounts(self._base, context)
        self._most_e6 = current_limits(self._base, self._settings).total_e6
        self._exchanges.wire.faults = self._world.faults
        self._exchanges.wire.on_order = self._witness.see_order

    def _calm_down(self) -> None:
        """Let no further accident happen."""
        self._is_active = False
        self._exchanges.wire.faults = Faults()
        self._exchanges.calm_down()
        self._exchanges.step_s = 0.25
        self._clocks.skew_s = 0.0
        set_switch(self._base, "run", "campaign")

    def _context(self, line: Line | None = None) -> TradingContext:
        clocks = self._clocks

        def boot() -> BootTime:
            return BootTime("b", int(clocks.monotonic() * 1000))

        return TradingContext(
            self._settings,
            "live",
            self._exchanges.gateways(line),
            boot_clock=boot,
            moment=lambda: Moment(boot(), clocks.now()),
        )

    @contextmanager
    def _known_dead(self) -> Iterator[None]:
        """Runs that were killed on this host are seen to be gone."""
        seen = leases.is_holder_dead
        with patch.object(leases, "is_holder_dead", lambda holder: holder in self._dead or seen(holder)):
            yield

    # -- markets and people --------------------------------------------------------------------------------------------

    async def _move_market(self, pair: Pair) -> None:
        """Change the books of a pair, open a signal on them and keep it up for a while; makers step back meanwhile."""
        while self._is_active:
            outcome = self._quote(pair)
            await asyncio.sleep(0.3)
            signal_id = self._open_signal(pair, outcome)
            stepping = asyncio.create_task(self._step_back(pair), name="makers")
            for _ in range(self._source.randrange(1, 9)):
                await asyncio.sleep(self._source.uniform(0.3, 1.2))
                if signal_id is not None:
                    update_signal(self._base, signal_id, Decimal("0.05"), None, self._clocks.now())
            await stepping
            if signal_id is not None:
                close_signal(self._base, signal_id, "edge gone", self._clocks.now(), None)

    async def _step_back(self, pair: Pair) -> None:
        """In half of the cases makers withdraw on a venue, or bid next to nothing there."""
        draw = self._source.random()
        if draw > 0.5:
            return
        await asyncio.sleep(self._source.uniform(0.0, 1.5))
        ref = _ref(pair, self._source.choice(list(Venue)))
        if draw < 0.25:
            self._exchanges.flow.withdraw(ref)
            return
        depth = [self._source.randrange(3, 40) * CONTRACT for _ in range(2)]
        low = self._source.choice([(100, 9_900), (1_000, 9_000), (300, 5_000), (5_000, 9_700)])
        self._exchanges.flow.quote(ref, [(low[0], depth[0])], [(low[1], depth[1])])

    def _quote(self, pair: Pair) -> str:
        """Quote both markets around one probability, YES cheap on one side; returns the outcome to buy on Kalshi."""
        middle = self._source.randrange(3_000, 7_000, 100)
        outcome = self._source.choice(["yes", "no"])
        edge = _EDGE_E4 if outcome == "yes" else -_EDGE_E4
        for venue, shift in ((Venue.KALSHI, -edge), (Venue.POLYMARKET, edge)):
            depth = [self._source.randrange(3, 40) * CONTRACT for _ in range(6)]
            bids = [(middle + shift - 100 * (n + 1), depth[n]) for n in range(3)]
            asks = [(middle + shift + 100 * (n + 1), depth[n + 3]) for n in range(3)]
            self._exchanges.flow.quote(_ref(pair, venue), bids, asks)
        return outcome

    def _open_signal(self, pair: Pair, outcome: str) -> int | None:
        other = "no" if outcome == "yes" else "yes"
        legs = tuple(
            SignalLeg(venue=venue, market_id=pair.markets[venue], outcome=side, limit_price_e4=5_000, size_e6=CONTRACT)
            for venue, side in ((Venue.KALSHI, outcome), (Venue.POLYMARKET, other))
        )
        self._number += 1
        edge, now = Decimal("0.05"), self._clocks.now()
        name = f"set{self._number}"
        new = NewSignal(group_of(pair), name, True, now, edge, edge, edge, CONTRACT, 1, 1, 1, None, None, legs)
        return open_signal(self._base, new, 0, "sandbox")

    async def _set_clocks(self) -> None:
        """Set the trading side's wall clock now and then, by less than what makes its signatures wrong."""
        while self._is_active:
            await asyncio.sleep(self._source.uniform(3.0, 20.0))
            if self._is_active:
                self._clocks.skew_s = self._source.choice([0.0, -0.8, 0.7, -2.5, 2.5])

    async def _turn_switch(self) -> None:
        """In some seeds a person pauses, reduces or kills, and lets trading go on again, soon or after a while."""
        while self._is_active and self._world.has_person:
            await asyncio.sleep(self._source.uniform(0.3, 5.0))
            if self._is_active:
                switch: SwitchState = self._source.choice(["pause", "reduce", "kill"])
                set_switch(self._base, switch, "campaign")
                is_long = switch != "kill" and self._source.random() < 0.2
                await asyncio.sleep(60.0 if is_long else self._source.uniform(0.2, 2.0))
                set_switch(self._base, "run", "campaign")

    async def _review(self) -> None:
        """In some seeds a reviewer takes an approval back and gives it again."""
        while self._is_active and self._world.has_reviewer:
            await asyncio.sleep(self._source.uniform(0.2, 1.5))
            pair = self._source.choice(PAIRS)
            write_decision(self._base, f"pair:{pair.pair_id}", "reject")
            await asyncio.sleep(self._source.uniform(0.2, 1.0))
            write_decision(self._base, f"pair:{pair.pair_id}")

    async def _move_limit(self) -> None:
        """In some seeds a person lowers the limit of everything and raises it again."""
        while self._is_active and self._world.is_limit_moved:
            await asyncio.sleep(self._source.uniform(0.2, 3.0))
            value = Decimal(self._source.choice([15, 30, 60, 120]))
            set_limit(self._base, "total_usd", value, "campaign", "a drawn one")
            self._most_e6 = max(self._most_e6, int(value) * CONTRACT)

    # -- processes -----------------------------------------------------------------------------------------------------

    async def _trade(self, number: int) -> None:
        """One trading run after the other; each is killed, or ends with the last signal."""
        life = 0
        while self._is_active:
            life += 1
            holder, line = f"elsewhere:{number}-{life}", Line(self._exchanges.wire)
            opened = [connect(self._dsn, clock=self._clocks.venue_now) for _ in range(2)]
            work = asyncio.create_task(self._take_signals(opened, number, holder, line), name=f"work of {holder}")
            stopping = asyncio.create_task(self._stop_now_and_then(line), name=f"stops of {holder}")
            limit_s = self._source.uniform(1.0, 25.0) if self._source.random() < 0.6 else ACTIVE_S + QUIET_S
            await asyncio.wait([work], timeout=limit_s)
            if work.done():
                work.result()
            else:
                self._report.kills += 1
                if self._source.random() < 0.7:
                    self._dead.add(holder)
            for connection in opened:
                connection.close()  # a process that is killed writes nothing more, and gives nothing back
            line.wake()
            for task in (work, stopping):
                task.cancel()
                with suppress(asyncio.CancelledError, psycopg.Error, StreamsError):
                    await task

    async def _stop_now_and_then(self, line: Line) -> None:
        """In some seeds a run is stopped for longer than its leases live, and woken."""
        while self._world.has_stops:
            await asyncio.sleep(self._source.uniform(0.5, 10.0))
            if not self._is_active:
                return
            self._report.stops += 1
            line.stop()
            await asyncio.sleep(self._source.uniform(5.5, 12.0))
            line.wake()

    async def _take_signals(self, opened: list[Connection], number: int, holder: str, line: Line) -> None:
        connection, keeper = opened
        context = self._context(line)
        trader = SignalTrader(connection, context, f"run-{number}", holder)
        async with kept_fresh(keeper, context):
            while self._is_active:
                await asyncio.sleep(self._source.uniform(0.02, 0.2))
                for signal in self._actionable(connection):
                    with claimed(connection, signal.signal_id, holder) as is_ours:
                        if is_ours and signal in self._actionable(connection):
                            await trader.trade(signal.signal_id)

    def _actionable(self, connection: Connection) -> list[signals.ActionableSignal]:
        return signals.load_actionable(connection, LEAST_RETRY_S, self._settings.execution_attempts, 20)

    async def _reconcile(self) -> None:
        """Reconcile each second, a whole cycle each ten, until nothing is open any more and nothing can come."""
        with connect(self._dsn, clock=self._clocks.venue_now) as connection:
            context, turn = self._context(), 0
            while self._is_trading or self.open() or self._awaits_more():
                await asyncio.sleep(1.0 if self._is_active else 5.0)
                turn += 1
                with suppress(StreamsError):
                    if turn % 10 == 0:
                        await run_cycle(connection, context, "settle")
                    else:
                        await reconcile(connection, context, "settle")
                self._check_total(connection)

    def _check_total(self, connection: Connection) -> None:
        """What hedges have spent, and may spend by orders under way, never passes the largest limit.

        What is tied up is more, for a moment: it counts an order whose answer is known in full until it was read.
        """
        if tied_up(connection, "live").total_e6 <= self._most_e6 or self._world.is_altered:
            return
        rows = self._judge.rows("SELECT execution_id FROM trading.executions WHERE settled_at IS NULL")
        orders = [order for row in rows for order in load_orders(connection, row["execution_id"])]
        spent = sum(order.spent_e6 + max(0, order.rest_spent_e6) for order in orders)
        if spent > self._most_e6:
            self._report.broken.append(f"{spent} are spent, the limit was never above {self._most_e6}")

    def open(self) -> list[str]:
        """Return what has not come to its end."""
        found = self._judge.rows(
            """SELECT 'execution' AS what, execution_id AS id, state FROM trading.executions WHERE state <> ALL(%s)
               UNION ALL SELECT 'order', order_id, state FROM trading.orders WHERE state = ANY(%s)
               UNION ALL SELECT 'fill', fill_id, state FROM trading.fills WHERE state = 'provisional'""",
            [*ENDED_STATES, "SETTLED"], list(UNRESOLVED),
        )  # fmt: skip
        return [f"{row['what']} {row['id']} {row['state']}" for row in found]

    def _awaits_more(self) -> bool:
        """Whether an order that was given up may still arrive, or be found."""
        late_until = self._exchanges.wire.late_until
        if not late_until or self._world.is_paid_at_once:
            return False
        return asyncio.get_running_loop().time() < late_until + _LOOKED_FOR_S

    async def _settle(self) -> None:
        """Let all markets settle alike and be paid: nothing is held then, and the change of cash was realised."""
        self._exchanges.flow.settle(self._world.settlement_e4)
        self._base.execute(
            "UPDATE raw.market_state SET status = 'settled', settlement_e4 = %s", (self._world.settlement_e4,)
        )
        context, late_until = self._context(), self._exchanges.wire.late_until
        for _ in range(60):
            await asyncio.sleep(20.0)
            await reconcile(self._base, context, "settle")
            await settle(self._base, context)
            is_over = asyncio.get_running_loop().time() > (late_until + _LOOKED_FOR_S if late_until else 0.0)
            if is_over and not self._judge.rows("SELECT FROM trading.executions WHERE settled_at IS NULL"):
                break
        else:
            self._report.broken.append("an execution is not settled twenty minutes after its markets are")
        await self._judge.judge_payout()

    def _trace(self) -> Iterator[str]:
        for query in (
            "SELECT execution_id, signal_id, attempt, state, epoch, contracts_e6 FROM trading.executions ORDER BY 1",
            "SELECT execution_id, state, what, happened_at FROM trading.execution_events ORDER BY event_id",
            "SELECT signal_id, reason, detail, refused_at FROM trading.refusals ORDER BY refusal_id",
            """SELECT order_id, client_order_id, state, filled_e6, cash_e6, fee_e6, prepared_at, sent_at, answered_at
               FROM trading.orders ORDER BY 1""",
            "SELECT order_id, contracts_e6, cash_e6, fee_e6, state FROM trading.fills ORDER BY fill_id",
            "SELECT kind, venue, outcome, cash_e6, contracts_e6, recorded_at FROM trading.ledger ORDER BY entry_id",
        ):
            for row in self._judge.rows(query):
                yield " ".join(str(value) for value in row.values())


def _ref(pair: Pair, venue: Venue) -> MarketRef:
    return MarketRef(venue, pair.markets[venue])
