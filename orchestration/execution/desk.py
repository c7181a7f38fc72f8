"""The desk: takes a signal through gate, plan and orders to HEDGED, FLAT or ESCALATED. The I/O around the saga.

Everything it decides on is read fresh: switch, limits and approvals from Postgres, books from the venues' REST. It
remembers nothing that Postgres does not hold, so `reconcile` continues with the same code what a killed run began.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from orchestration.execution.dispatch import Accounts, Dispatcher, order_facts
from orchestration.execution.gate import OpeningFacts, Reason, Refusal, may_open
from orchestration.execution.gateway import Target
from orchestration.execution.planning import (
    Decision,
    Room,
    Wanted,
    decide,
    leg_book,
    plan_from_json,
    plan_to_json,
    target_of,
    wanted_of,
)
from orchestration.execution.saga import (
    Finish,
    LegBook,
    OrderFact,
    Place,
    Plan,
    Situation,
    State,
    Wait,
    exposure_e6,
    holdings,
    locked_e6,
    next_step,
    state_of,
    unmatched_e6,
)
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.events import BookSnapshot
from streams.market.identity import Venue
from streams.market.units import CASH_SCALE
from streams.storage import signals, trading
from streams.storage.alerts import raise_alert
from streams.storage.database import Connection, Row
from streams.storage.leases import Lease, LeaseLost, acquire, heartbeat, process_holder, release
from streams.storage.risk import current_limits, current_switch, tied_up


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one signal."""

    signal_id: int
    execution_id: int | None = None
    state: State | None = None
    refusal: Refusal | None = None


class Desk:
    """Trades signals on one connection, one after the other."""

    def __init__(self, connection: Connection, accounts: Accounts, run_id: str) -> None:
        self._connection = connection
        self._accounts = accounts
        self._settings = accounts.settings
        self._run_id = run_id
        self._log = get_logger()

    async def trade(self, signal_id: int) -> Outcome:
        """Take one signal to its end. Refusals are written with their reason; errors deny.

        Raises:
            LookupError: If there is no such signal.
        """
        signal = signals.load_signal(self._connection, signal_id)
        if signal is None:
            raise LookupError(f"there is no signal {signal_id}")
        keys = sorted({f"{leg['venue']}:{leg['market_id']}" for leg in signal["legs"]})
        leases = self._acquire(keys)
        try:
            return await self._trade(signal, leases)
        except StreamsError as error:
            return self._refuse(signal_id, Refusal(Reason.VENUE_UNAVAILABLE, str(error)))
        finally:
            for lease in leases or []:
                release(self._connection, lease)

    async def _trade(self, signal: Row, leases: list[Lease] | None) -> Outcome:
        signal_id = signal["signal_id"]
        group = signals.load_group(self._connection, signal["group_id"])
        if group is None:
            return self._refuse(signal_id, Refusal(Reason.NOT_TRADABLE, "its group is gone"))
        keys = [f"{item['venue']}:{item['market_id']}" for item in group["markets"]]
        markets = signals.load_markets(self._connection, keys)
        wanted = wanted_of(signal, group, markets)
        if isinstance(wanted, Refusal):
            return self._refuse(signal_id, wanted)
        refusal = may_open(self._opening_facts(signal, group, wanted, markets, leases))
        if refusal is not None:
            return self._refuse(signal_id, refusal)
        decided_at = datetime.now(UTC)
        decision = await self._decide(wanted)
        if isinstance(decision, Refusal):
            return self._refuse(signal_id, decision)
        return await self._execute(signal, wanted, decision, leases or [], decided_at)

    async def _execute(
        self, signal: Row, wanted: Wanted, decision: Decision, leases: list[Lease], decided_at: datetime
    ) -> Outcome:
        new = trading.NewExecution(
            signal_id=signal["signal_id"],
            attempt=signal["attempts"] + 1,
            group_id=wanted.group_id,
            environment=self._settings.venues,
            mode=self._accounts.mode,
            state=State.PLANNED,
            run_id=self._run_id,
            epoch=leases[0].epoch,
            edge_usd=decision.edge.best_edge_usd,
            contracts_e6=decision.plan.size_e6,
            detail={
                "plan": plan_to_json(decision.plan),
                "binding": decision.binding,
                "planned_profit_e6": decision.edge.profit_e6,
            },
        )
        execution_id = trading.create_execution(self._connection, new)
        if execution_id is None:
            return self._refuse(signal["signal_id"], Refusal(Reason.ALREADY_EXECUTED, "this attempt exists"))
        execution = trading.load_execution(self._connection, execution_id)
        finish = await self.drive(execution, wanted.targets, leases, decided_at)
        refusal = finish if isinstance(finish, Refusal) else None
        if refusal is not None:
            self._refuse(signal["signal_id"], refusal, execution_id)
        state = State(trading.load_execution(self._connection, execution_id)["state"])
        return Outcome(signal["signal_id"], execution_id, state, refusal)

    async def drive(
        self, execution: Row, targets: Mapping[str, Target], leases: Sequence[Lease], decided_at: datetime | None = None
    ) -> Finish | Refusal:
        """Work on an execution until the saga ends it, from whatever its rows say.

        Args:
            execution: Row of trading.executions.
            targets: Its markets by "venue:market_id".
            leases: Held on all its markets.
            decided_at: When the books of the plan were read, for the first order; None when it is taken over.

        Raises:
            LeaseLost: If someone else works on it now.
        """
        run = _Drive(self._connection, self._accounts, execution, targets, leases)
        return await run.until_finished(decided_at)

    # -- reading -----------------------------------------------------------------------------------------------------

    def _acquire(self, keys: Sequence[str]) -> list[Lease] | None:
        """Take the leases of all markets in sorted order, or none."""
        held: list[Lease] = []
        for key in keys:
            ttl = self._settings.lease_ttl_s
            lease = acquire(self._connection, f"market:{key}", process_holder(), self._run_id, ttl)
            if lease is None:
                for taken in held:
                    release(self._connection, taken)
                return None
            held.append(lease)
        return held

    def acquire(self, plan: Plan) -> list[Lease] | None:
        """Take the leases of a plan's markets, or none."""
        return self._acquire(sorted({f"{leg.venue}:{leg.market_id}" for leg in plan.legs}))

    def _opening_facts(
        self, signal: Row, group: Row, wanted: Wanted, markets: Mapping[str, signals.MarketInfo], leases: object
    ) -> OpeningFacts:
        mode = self._accounts.mode
        refs = [(wanted.targets[key].venue.value, wanted.targets[key].market_id) for key, _ in wanted.legs]
        last = self._connection.execute(
            "SELECT max(started_at) AS at FROM trading.executions WHERE group_id = %s AND mode = %s",
            (wanted.group_id, mode),
        ).fetchone()
        used = tied_up(self._connection, mode)
        return OpeningFacts(
            switch=current_switch(self._connection),
            is_trading_on=self._settings.trading_mode != "off",
            is_tradable=bool(group["is_tradable"]) and all(markets[key].status == "open" for key, _ in wanted.legs),
            is_pair=group["kind"] == "pair",
            pair_state=group["pair_state"],
            is_signal_open=signal["closed_at"] is None and group["ended_at"] is None,
            has_leases=leases is not None,
            unknown_orders=len(trading.load_unresolved_on(self._connection, refs, mode)),
            last_execution_at=last["at"] if last else None,
            cooldown_s=Decimal(str(self._settings.execution_cooldown_s)),
            realised_today_e6=used.realised_today_e6,
            daily_loss_limit_e6=current_limits(self._connection, self._settings).daily_loss_e6,
            provisional_e6=used.provisional_e6,
            provisional_cap_e6=int(self._settings.provisional_cap_usd * CASH_SCALE),
            closes_at=[markets[key].close_time for key, _ in wanted.legs],
            closing_margin_s=self._settings.closing_margin_s,
            now=datetime.now(UTC),
        )

    async def _decide(self, wanted: Wanted) -> Decision | Refusal:
        targets = [wanted.targets[key] for key, _ in wanted.legs]
        venues = {target.venue for target in targets}
        if any(venue not in self._accounts.gateways for venue in venues):
            return Refusal(Reason.VENUE_UNAVAILABLE, "no account on one of the venues")
        cash = {venue: await self._accounts.gateways[venue].cash_e6() for venue in sorted(venues)}
        books = await fetch_books(self._accounts, targets)
        limits = current_limits(self._connection, self._settings)
        used = tied_up(self._connection, self._accounts.mode)
        return decide(wanted, books, Room(limits, used, cash, self._settings))

    def _refuse(self, signal_id: int, refusal: Refusal, execution_id: int | None = None) -> Outcome:
        trading.write_refusal(
            self._connection, signal_id, refusal.reason, refusal.detail, self._settings.venues, execution_id
        )
        return Outcome(signal_id, execution_id, None, refusal)


class _Drive:
    """One execution being worked on."""

    def __init__(
        self,
        connection: Connection,
        accounts: Accounts,
        execution: Row,
        targets: Mapping[str, Target],
        leases: Sequence[Lease],
    ) -> None:
        self._connection = connection
        self._accounts = accounts
        self._execution = execution
        self._id: int = execution["execution_id"]
        self._targets = targets
        self._leases = leases
        self._plan = plan_from_json(execution["detail"]["plan"])
        self._dispatcher = Dispatcher(connection, accounts, leases)
        self._state = State(execution["state"])
        self._exposed_e6_s = int(execution["detail"].get("exposure_e6_s", 0))
        self._peak_e6 = int(execution["detail"].get("peak_exposure_e6", 0))
        self._looked_at = self._started = time.monotonic()

    async def until_finished(self, decided_at: datetime | None) -> Finish | Refusal:
        is_first = decided_at is not None
        while True:
            self._beat()
            await self._dispatcher.resolve(trading.load_to_follow(self._connection, self._id), self._targets)
            facts = order_facts(trading.load_orders(self._connection, self._id))
            self._account(facts)
            books_at = datetime.now(UTC)
            books = await self._books(facts) if facts and all(fact.is_resolved for fact in facts) else {}
            step = next_step(self._plan, facts, books, self._situation())
            if not facts and not is_first:
                step = Finish(State.FLAT, "nothing was sent")
            if isinstance(step, Finish):
                self._finish(step, facts)
                return step
            if isinstance(step, Wait):
                await asyncio.sleep(self._accounts.settings.order_poll_ms / 1000)
                continue
            # only the first order acts on the books of the plan; every later one on the books just read
            refusal = await self._place(step, facts, books_at if facts or decided_at is None else decided_at)
            if refusal is not None and not facts:
                self._finish(Finish(State.FLAT, f"refused: {refusal.reason}"), facts)
                return refusal
            if refusal is not None and self._situation().is_overdue:
                # next_step bounds orders, not refusals: an order the gate keeps back must not be tried for ever
                step = Finish(State.ESCALATED, f"an order that lowers exposure was refused: {refusal.reason}")
                self._finish(step, facts)
                return step
            if refusal is not None:
                await asyncio.sleep(self._accounts.settings.order_poll_ms / 1000)

    async def _place(self, step: Place, facts: Sequence[OrderFact], decided_at: datetime) -> Refusal | None:
        leg = self._plan.legs[step.leg_no]
        before = self._state
        refusal = await self._dispatcher.place(
            self._execution, leg, self._targets[f"{leg.venue}:{leg.market_id}"], step, decided_at
        )
        if refusal is None:
            after = state_of(order_facts(trading.load_orders(self._connection, self._id)))
            if after is not before:
                self._move(after, f"{step.purpose} {step.action} leg {step.leg_no}")
        return refusal

    def _beat(self) -> None:
        for lease in self._leases:
            heartbeat(self._connection, lease)

    def _account(self, facts: Sequence[OrderFact]) -> None:
        """Add up exposure times seconds since the last look."""
        now = time.monotonic()
        exposure = exposure_e6(self._plan, facts)
        self._exposed_e6_s += int(exposure * (now - self._looked_at))
        self._peak_e6 = max(self._peak_e6, exposure)
        self._looked_at = now

    def _situation(self) -> Situation:
        return Situation(
            switch=current_switch(self._connection),
            exposure_e6_s=self._exposed_e6_s,
            is_overdue=time.monotonic() - self._started > self._accounts.settings.execution_max_s,
        )

    async def _books(self, facts: Sequence[OrderFact]) -> dict[int, LegBook | None]:
        if unmatched_e6(self._plan, facts) == 0:
            return {}
        targets = [self._targets[f"{leg.venue}:{leg.market_id}"] for leg in self._plan.legs]
        books = await fetch_books(self._accounts, targets)
        held = holdings(self._plan, facts)
        unconfirmed = self._unconfirmed()
        result: dict[int, LegBook | None] = {}
        for leg in self._plan.legs:
            snapshot = books.get(f"{leg.venue}:{leg.market_id}")
            sellable = max(0, held[leg.leg_no] - unconfirmed.get(leg.leg_no, 0))
            result[leg.leg_no] = None if snapshot is None else leg_book(snapshot, leg.outcome, sellable)
        return result

    def _unconfirmed(self) -> dict[int, int]:
        rows = self._connection.execute(
            """SELECT i.leg_no, sum(f.contracts_e6)::bigint AS contracts_e6 FROM trading.fills AS f
               JOIN trading.orders AS o USING (order_id) JOIN trading.intents AS i USING (intent_id)
               WHERE i.execution_id = %s AND f.state = 'provisional' AND f.action = 'buy' GROUP BY i.leg_no""",
            (self._id,),
        ).fetchall()
        return {row["leg_no"]: row["contracts_e6"] for row in rows}

    def _move(self, state: State, what: str) -> None:
        self._state = state
        trading.change_state(self._connection, self._id, state, what, {})

    def _finish(self, finish: Finish, facts: Sequence[OrderFact]) -> None:
        """Write the end: what is locked in, what is left unmatched, and the alarm of an escalation."""
        left = unmatched_e6(self._plan, facts)
        with self._connection.transaction():
            trading.change_state(self._connection, self._id, finish.state, finish.why, {"unmatched_e6": left})
            trading.merge_detail(
                self._connection,
                self._id,
                {
                    "ended_as": finish.state,
                    "why": finish.why,
                    "unmatched_e6": left,
                    "exposure_e6_s": self._exposed_e6_s,
                    "peak_exposure_e6": self._peak_e6,
                },
            )
            self._connection.execute(
                """UPDATE trading.executions SET flat_at = coalesce(flat_at, clock_timestamp()), expected_pnl_e6 = %s
                   WHERE execution_id = %s""",
                (locked_e6(self._plan, facts), self._id),
            )
            close_if_empty(self._connection, self._id)
            if finish.state is State.ESCALATED:
                raise_alert(
                    self._connection,
                    "escalated",
                    "critical",
                    f"execution:{self._id}",
                    f"Execution {self._id} is ESCALATED: {finish.why}. A person must look at it.",
                    {"execution_id": self._id, "unmatched_e6": left, "exposure_e6": exposure_e6(self._plan, facts)},
                )


async def fetch_books(accounts: Accounts, targets: Sequence[Target]) -> dict[str, BookSnapshot]:
    """Return fresh books of all targets by "venue:market_id", all venues asked at once."""
    by_venue: dict[Venue, list[Target]] = {}
    for target in targets:
        by_venue.setdefault(target.venue, []).append(target)
    answers = await asyncio.gather(*(accounts.gateways[venue].books(mine) for venue, mine in by_venue.items()))
    return {
        f"{venue}:{market_id}": book
        for venue, books in zip(by_venue, answers, strict=True)
        for market_id, book in books.items()
    }


def close_if_empty(connection: Connection, execution_id: int) -> bool:
    """Realise the PnL of an execution that holds nothing and waits for nothing. Returns whether it was closed.

    A FLAT one may hold less than a contract's hundredth, which no order can sell: it counts as nothing until it pays.
    """
    cursor = connection.execute(
        """UPDATE trading.executions AS e SET settled_at = clock_timestamp(),
               realised_pnl_e6 = (SELECT coalesce(sum(cash_e6), 0) FROM trading.ledger WHERE execution_id = %(id)s)
           WHERE e.execution_id = %(id)s AND e.settled_at IS NULL
             AND NOT EXISTS (SELECT 1 FROM trading.ledger WHERE execution_id = %(id)s AND market_id IS NOT NULL
                 GROUP BY venue, market_id, outcome
                 HAVING abs(sum(contracts_e6)) >= CASE WHEN e.state = 'FLAT' THEN 10000 ELSE 1 END)
             AND NOT EXISTS (SELECT 1 FROM trading.orders AS o JOIN trading.intents AS i USING (intent_id)
                 WHERE i.execution_id = %(id)s AND o.state IN ('prepared', 'sent', 'unknown', 'resting'))
             AND NOT EXISTS (SELECT 1 FROM trading.fills AS f JOIN trading.orders AS o USING (order_id)
                 JOIN trading.intents AS i USING (intent_id)
                 WHERE i.execution_id = %(id)s AND f.state = 'provisional')""",
        {"id": execution_id},
    )
    return cursor.rowcount > 0


def targets_of(connection: Connection, plan: Plan) -> dict[str, Target]:
    """Return the markets of a plan as orders need them."""
    keys = [f"{leg.venue}:{leg.market_id}" for leg in plan.legs]
    return {key: target_of(market) for key, market in signals.load_markets(connection, keys).items()}


__all__ = ["Desk", "LeaseLost", "Outcome", "close_if_empty", "fetch_books", "targets_of"]
