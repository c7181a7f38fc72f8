"""One execution being worked on: facts read, the next step taken, until it ends. The I/O around saga and flatten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from orchestration.execution.decide.flatten import Bound, end_of, flatten_step, floor_of, is_flattening
from orchestration.execution.decide.hedge import (
    Finish,
    LegBook,
    OrderFact,
    Place,
    Plan,
    Situation,
    State,
    Step,
    Wait,
    exposure_e6,
    holdings,
    locked_e6,
    next_step,
    state_of,
    unmatched_e6,
)
from orchestration.execution.decide.plan import leg_book, on_grid, plan_from_json, target_of
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.send_orders import Accounts, Dispatcher, order_facts
from orchestration.execution.venues.gateway import Target
from streams.logs import get_logger
from streams.market.errors import StreamsError
from streams.market.events import BookSnapshot
from streams.market.identity import Venue
from streams.market.units import PRICE_SCALE
from streams.storage.database import Connection, Row
from streams.storage.store import executions as trading
from streams.storage.store import signals
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.storage.store.leases import Lease, heartbeat
from streams.storage.store.risk import current_switch

_LONGEST_WAIT_S = 5.0
"""A venue that asks to be left alone for longer is asked again after this: exposure may be open."""


class Drive:
    """One execution on one connection, under leases of all its markets."""

    def __init__(
        self,
        connection: Connection,
        accounts: Accounts,
        execution: Row,
        targets: Mapping[str, Target],
        leases: Sequence[Lease],
        *,
        flatten: int | None = None,
    ) -> None:
        self._connection = connection
        self._accounts = accounts
        self._execution = execution
        self._id: int = execution["execution_id"]
        self._targets = dict(targets)
        self._leases = leases
        self._plan = plan_from_json(execution["detail"]["plan"])
        self._dispatcher = Dispatcher(connection, accounts, leases)
        self._state = State(execution["state"])
        self._exposed_e6_s = int(execution["detail"].get("exposure_e6_s", 0))
        self._peak_e6 = int(execution["detail"].get("peak_exposure_e6", 0))
        self._looked_at = self._started = time.monotonic()
        asked = execution["detail"].get("flatten") or {}
        self._flatten: int | None = flatten
        is_same = flatten is None or flatten == asked.get("command_id")
        # A flatten that is taken over keeps its bound: the best bids may be lower by now because of what it has sold.
        self._floors = {int(leg): floor for leg, floor in asked.get("floors_e4", {}).items()} if is_same else {}
        self._command: int | None = asked.get("command_id") if flatten is None else flatten
        self._sales = 0

    async def until_finished(self, decided_at: datetime | None) -> Finish | Refusal:
        """Work until the execution ends; returns the end, or the gate's refusal of its first order.

        Args:
            decided_at: When the books of the plan were read, for the first order; None when it is taken over.

        Raises:
            LeaseLost: If someone else works on it now.
        """
        is_first = decided_at is not None
        while True:
            self._beat()
            await self._dispatcher.resolve(trading.load_to_follow(self._connection, self._id), self._targets)
            facts = order_facts(trading.load_orders(self._connection, self._id))
            self._account(facts)
            books_at = datetime.now(UTC)
            books = await self._books(facts) if facts and all(fact.is_resolved for fact in facts) else {}
            step = self._step(facts, books)
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
                step = self._given_up(f"an order that lowers exposure was refused: {refusal.reason}", facts)
                self._finish(step, facts)
                return step
            if refusal is not None:
                wait_s = min(refusal.retry_after_s, _LONGEST_WAIT_S)
                await asyncio.sleep(max(wait_s, self._accounts.settings.order_poll_ms / 1000))

    def _is_flattening(self, facts: Sequence[OrderFact]) -> bool:
        return self._flatten is not None or is_flattening(facts)

    def _step(self, facts: Sequence[OrderFact], books: Mapping[int, LegBook | None]) -> Step:
        if self._is_flattening(facts):
            return flatten_step(self._plan, facts, books, self._situation(), Bound(self._floors, self._sales))
        return next_step(self._plan, facts, books, self._situation())

    def _given_up(self, why: str, facts: Sequence[OrderFact]) -> Finish:
        return end_of(self._plan, facts, why) if self._is_flattening(facts) else Finish(State.ESCALATED, why)

    async def _place(self, step: Place, facts: Sequence[OrderFact], decided_at: datetime) -> Refusal | None:
        leg = self._plan.legs[step.leg_no]
        before = self._state
        if step.purpose == "flatten":
            self._sales += 1
            if before is not State.UNWINDING:
                # Noted before the order exists: whoever takes over must not hold a half sold hedge for a whole one.
                self._move(State.UNWINDING, "flatten, because a person asked for it")
                before = State.UNWINDING
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
            may_complete=not self._execution["detail"].get("late_fill"),
        )

    async def _books(self, facts: Sequence[OrderFact]) -> dict[int, LegBook | None]:
        is_flattening = self._is_flattening(facts)
        if unmatched_e6(self._plan, facts) == 0 and not is_flattening:
            return {}
        targets = [self._targets[f"{leg.venue}:{leg.market_id}"] for leg in self._plan.legs]
        try:
            books = await fetch_books(self._accounts, targets)
        except StreamsError as error:
            get_logger().warning("books could not be read", execution_id=self._id, error=str(error))
            books = {}
        self._targets = self._targets | {key: on_grid(self._targets[key], book) for key, book in books.items()}
        held = holdings(self._plan, facts)
        unconfirmed = self._unconfirmed()
        result: dict[int, LegBook | None] = {}
        for leg in self._plan.legs:
            snapshot = books.get(f"{leg.venue}:{leg.market_id}")
            sellable = max(0, held[leg.leg_no] - unconfirmed.get(leg.leg_no, 0))
            result[leg.leg_no] = None if snapshot is None else leg_book(snapshot, leg.outcome, sellable)
        if is_flattening:
            self._set_floors(result)
        return result

    def _set_floors(self, books: Mapping[int, LegBook | None]) -> None:
        """Bind each leg, at the first bid it shows, to a least price."""
        slippage = int(self._accounts.settings.flatten_slippage_usd * PRICE_SCALE)
        for leg_no, book in books.items():
            floor = floor_of(book, slippage) if book is not None and leg_no not in self._floors else None
            if floor is not None:
                self._floors[leg_no] = floor
                detail = {"command_id": self._command, "floors_e4": self._floors}
                trading.merge_detail(self._connection, self._id, {"flatten": detail})

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
            else:
                for kind in ("execution", "late_fill"):
                    clear_alert(self._connection, f"{kind}:{self._id}")


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
