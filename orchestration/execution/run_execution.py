"""One execution being worked on: facts read, the next step taken, until it ends. The I/O around hedge and flatten."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

import psycopg

from orchestration.execution.decide.execution_detail import FlattenDetail, execution_detail
from orchestration.execution.decide.exposure import Moment, alarm_e6_s
from orchestration.execution.decide.flatten import Bound, end_of, flatten_step, floor_of, is_flattening
from orchestration.execution.decide.hedge import (
    TOO_LONG,
    Finish,
    LegBook,
    Place,
    PlaceAtOnce,
    RunConditions,
    Step,
    Wait,
    needs_books,
    next_step,
    state_of,
    under_way,
)
from orchestration.execution.decide.hedge_plan import (
    OrderFact,
    Plan,
    exposure_e6,
    holdings,
    locked_e6,
    order_facts,
    unmatched_e6,
)
from orchestration.execution.decide.plan import leg_book, on_grid
from orchestration.execution.decide.risk_checks import Refusal
from orchestration.execution.follow_orders import OrderFollower
from orchestration.execution.sending.last_check import deadline_of
from orchestration.execution.sending.send_orders import OrderSender
from orchestration.execution.trading_context import TradingContext
from streams.alerting.distress import note_distress
from streams.logs import get_logger
from streams.market.documents import JsonDocument
from streams.market.errors import StreamsError
from streams.market.events import BookSnapshot
from streams.market.identity import Venue, market_key
from streams.market.trading import ExecutionRow, ExecutionState, OrderRow, Target
from streams.market.units import CASH_SCALE, PRICE_SCALE
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection, read_clock
from streams.storage.kill_files import switch_in_force
from streams.storage.store import executions, orders
from streams.storage.store.alerts import clear_alert, raise_alert
from streams.storage.store.hedges.fences import Fence
from streams.storage.store.leases import Lease, LeaseLost, heartbeat_all
from streams.storage.store.market_groups import load_market_infos

_NOTHING_SENT = Finish(ExecutionState.FLAT, "nothing was sent")
_WATCH_S = 0.25
_LEAST_WATCH_S = 0.02
_BEAT_S = 1.0
"""Time between two heartbeats of the leases of the markets."""
_LAST_STEP_S = 0.4
"""How long a step may still take once the second budget of exposure is used up: the alarm is due within a second."""
_LONGEST_WAIT_S = 5.0
"""A venue that asks to be left alone for longer is asked again after this: exposure may be open."""


class ExecutionRun:
    """One execution on one connection, under leases of all its markets.

    Args:
        connection: Where its rows are.
        context: Gateways, mode and settings.
        execution: Its row as it was read last.
        targets: Its markets by "venue:market_id".
        leases: Held on all of them.
        flatten: The command by which a person asked for all of it to be sold; None to hedge it.
    """

    def __init__(
        self,
        connection: Connection,
        context: TradingContext,
        execution: ExecutionRow,
        targets: Mapping[str, Target],
        leases: Sequence[Lease],
        *,
        flatten: int | None = None,
    ) -> None:
        detail = execution_detail(execution.detail)
        self._connection = connection
        self._context = context
        self._id = execution.execution_id
        self._held = Fence(self._id, leases[0].epoch if leases else execution.epoch)
        self._targets = dict(targets)
        self._leases = leases
        self._plan = detail.plan
        self._may_exceed_plan = not detail.has_late_fill
        self._sender = OrderSender(connection, context, leases)
        self._follower = OrderFollower(connection, context, self._held)
        self._state = execution.state
        self._exposed = self._stored_exposure = detail.exposure
        self._is_alarmed = self._is_in_distress = False
        self._is_asked = flatten is not None
        """A person asked for it to be sold: no budget ends that."""
        self._started = self._read_from = time.monotonic()
        self._read_at = context.moment()
        asked = detail.flatten or FlattenDetail()
        self._flatten = flatten
        is_same = flatten is None or flatten == asked.command_id
        # A flatten that is taken over keeps its bound: the best bids may be lower by now because of what it has sold.
        self._floors = dict(asked.floors_e4) if is_same else {}
        self._command = asked.command_id if flatten is None else flatten
        self._sales = 0
        self._day_loss_left_e6: int | None = None
        """What mending may still lose today, as it was read with the books that are mended on."""
        self._plan_until = 0.0
        """When the life of the plan's books ends (monotonic seconds)."""
        self._is_answered = False
        """The order sent last has ended by its answer: what is next is decided on that, before anything is read."""

    async def until_finished(self, decided_at: datetime | None) -> Finish | Refusal:
        """Work until the execution ends; returns the end, or the gate's refusal of its first order.

        What is done is watched meanwhile: when the first budget of exposure is used up a person is told, at the second
        one the execution ends ESCALATED, whatever is waited for.

        Args:
            decided_at: When the books of the plan were read, for the first order; None when it is taken over.

        Raises:
            LeaseLost: If someone else works on it now.
        """
        if decided_at is not None:
            self._plan_until = deadline_of(decided_at, self._context.settings.decision_ttl_ms / 1000)
        limit = asyncio.timeout(None)
        watch = asyncio.create_task(self._watch(limit))
        try:
            async with limit:
                return await self._until_end(decided_at)
        except TimeoutError:
            if not limit.expired():
                raise
            return self._give_up()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            self._note_distress()
            raise
        finally:
            watch.cancel()

    async def _until_end(self, decided_at: datetime | None) -> Finish | Refusal:
        while True:
            end = await self._advance(decided_at)
            if end is not None:
                return end

    async def _watch(self, limit: asyncio.Timeout) -> None:
        """See that the database answers while something is exposed, that the leases live, and that budgets are kept.

        Who waits for a venue does none of it. When the second budget is used up the step has a moment to end by
        itself, on what it has read; then `limit` ends it.
        """
        beat_at = time.monotonic() + _BEAT_S
        while True:
            await asyncio.sleep(self._until_budget_s())
            try:
                if time.monotonic() >= beat_at:
                    heartbeat_all(self._connection, self._leases)
                    beat_at = time.monotonic() + _BEAT_S
                if self._exposed.level_e6 > 0:
                    read_clock(self._connection)
                if self._is_used_up():
                    await asyncio.sleep(_LAST_STEP_S)
                    limit.reschedule(asyncio.get_running_loop().time())
                    return
            except LeaseLost:
                return  # who works on it now watches it
            except psycopg.Error:
                self._note_distress()

    def _note_distress(self) -> None:
        """Let the supervisor tell that nothing can be done: without the database no order leaves."""
        if self._exposed.level_e6 <= 0 or self._is_in_distress:
            return
        self._is_in_distress = True
        message = (
            f"The database does not answer while execution {self._id} stands exposed with"
            f" {self._exposed.level_e6 / CASH_SCALE:.2f} USD. Nothing is sent until it is back."
        )
        note_distress(self._context.settings.home_dir, f"execution-{self._id}", message)

    def _until_budget_s(self) -> float:
        """Return how long nothing is to be told of exposure; what is exposed may change meanwhile."""
        now = self._context.moment()
        budgets = [self._plan.exposure_budget_e6_s] + ([] if self._is_alarmed else [alarm_e6_s(self._plan)])
        left = [self._exposed.seconds_until(budget, now) for budget in budgets]
        return min([_WATCH_S, *(max(seconds, _LEAST_WATCH_S) for seconds in left if seconds is not None)])

    def _is_used_up(self) -> bool:
        """Tell a person when the first budget is used up; return whether the second one is."""
        total = self._exposed.until(self._context.moment())
        if total >= alarm_e6_s(self._plan) and not self._is_alarmed:
            message = (
                f"Execution {self._id} has been exposed for {total / CASH_SCALE:.2f} USD s, its first budget is"
                f" {alarm_e6_s(self._plan) / CASH_SCALE:.2f}. It is mended on, and escalated at"
                f" {self._plan.exposure_budget_e6_s / CASH_SCALE:.0f}."
            )
            detail = {"execution_id": self._id, "exposure_e6_s": total, "exposure_e6": self._exposed.level_e6}
            raise_alert(self._connection, "exposed", "critical", f"exposed:{self._id}", message, detail)
            self._is_alarmed = True
        return total >= self._plan.exposure_budget_e6_s and not self._is_asked

    def _give_up(self) -> Finish:
        """End an execution whose budget is used up in the middle of a step; what it has sent is followed later."""
        self._read_at = self._context.moment()
        facts = order_facts(orders.load_orders(self._connection, self._id))
        finish = Finish(ExecutionState.ESCALATED, TOO_LONG)
        self._finish(finish, facts)
        return finish

    async def _advance(self, decided_at: datetime | None) -> Finish | Refusal | None:
        """Take one step; returns the end when it was the last one."""
        heartbeat_all(self._connection, self._leases)
        self._read_from, self._read_at = time.monotonic(), self._context.moment()
        is_answered, self._is_answered = self._is_answered, False
        mark = self._context.news.mark()
        if not is_answered:
            await self._follower.resolve(orders.load_to_follow(self._connection, self._id), self._targets)
        rows = orders.load_orders(self._connection, self._id)
        facts = order_facts(rows)
        self._is_asked = self._is_flattening(facts)
        self._keep_exposure(exposure_e6(self._plan, facts), self._read_at)
        books_at = datetime.now(UTC)
        by_books = self._is_flattening(facts) or needs_books(self._plan, facts, self._conditions())
        books: Mapping[int, LegBook | None] = {}
        if by_books and all(fact.is_resolved for fact in facts):
            books, self._day_loss_left_e6 = await self._books(rows), self._read_day_loss_left()
        step = self._step(facts, books) if facts or decided_at is not None else _NOTHING_SENT
        if isinstance(step, Finish) and not self._awaits_readings(rows):
            self._finish(step, facts)
            return step
        if isinstance(step, Wait | Finish):
            # What an answer says is booked by what is read: the end waits for the fills, not for their proof.
            await self._look_again(rows, mark, 0 if is_answered else self._context.settings.order_poll_ms / 1000)
            return None
        # what is bought as planned acts on the books of the plan; every other order on the books just read
        refusal = await self._place(step, facts, books_at if by_books or decided_at is None else decided_at)
        return None if refusal is None else await self._refused(refusal, facts)

    async def _look_again(self, rows: Sequence[OrderRow], mark: int, longest_s: float) -> None:
        """Wait until it is time to read again, or until a venue says that one of these orders has changed."""
        names = {name for order in rows for name in (order.client_order_id, order.venue_order_id) if name}
        await self._context.news.wait(names, mark, longest_s)

    def _awaits_readings(self, rows: Sequence[OrderRow]) -> bool:
        """Whether all orders have ended and the fills of some were not read yet, while there is time to."""
        if self._conditions().is_overdue or not all(order.has_ended for order in rows):
            return False
        return not all(order.is_resolved for order in rows)

    async def _refused(self, refusal: Refusal, facts: Sequence[OrderFact]) -> Finish | Refusal | None:
        """End an execution whose order may not leave, or wait before it is tried again."""
        if not facts:
            self._finish(Finish(ExecutionState.FLAT, f"refused: {refusal.reason}"), facts)
            return refusal
        if self._conditions().is_overdue:
            # next_step bounds orders, not refusals: an order the gate keeps back must not be tried for ever
            step = self._abandon(f"an order that lowers exposure was refused: {refusal.reason}", facts)
            self._finish(step, facts)
            return step
        get_logger().warning(
            "an order that lowers exposure did not leave",
            execution_id=self._id,
            reason=refusal.reason.value,
            detail=refusal.detail,
        )
        wait_s = min(refusal.retry_after_s, _LONGEST_WAIT_S)
        await asyncio.sleep(max(wait_s, self._context.settings.order_poll_ms / 1000))
        return None

    def _is_flattening(self, facts: Sequence[OrderFact]) -> bool:
        return self._flatten is not None or is_flattening(facts)

    def _step(self, facts: Sequence[OrderFact], books: Mapping[int, LegBook | None]) -> Step:
        if self._is_flattening(facts):
            return flatten_step(self._plan, facts, books, self._conditions(), Bound(self._floors, self._sales))
        return next_step(self._plan, facts, books, self._conditions())

    def _abandon(self, why: str, facts: Sequence[OrderFact]) -> Finish:
        return end_of(self._plan, facts, why) if self._is_flattening(facts) else Finish(ExecutionState.ESCALATED, why)

    async def _place(
        self, step: Place | PlaceAtOnce, facts: Sequence[OrderFact], decided_at: datetime
    ) -> Refusal | None:
        places = step.places if isinstance(step, PlaceAtOnce) else (step,)
        if places[0].purpose == "flatten":
            self._sales += 1
            if self._state is not ExecutionState.UNWINDING:
                # Noted before the order exists: whoever takes over must not hold a half sold hedge for a whole one.
                self._move(ExecutionState.UNWINDING, "flatten, because a person asked for it")
        before, known = self._state, self._exposed
        under_way_e6 = exposure_e6(self._plan, [*facts, *map(under_way, places)])
        self._exposed = self._stored_exposure = known.moved(under_way_e6, self._context.moment())
        refusal = await self._send(step, decided_at)
        if refusal is not None:
            self._exposed = known
            return refusal
        rows = orders.load_orders(self._connection, self._id)
        after = state_of(order_facts(rows))
        self._is_answered = all(row.has_ended for row in rows[-len(places) :])
        marks = asdict(step.mend) if isinstance(step, Place) and step.mend is not None else {}
        if after is not before or marks:
            self._move(
                after, "; ".join(f"{place.purpose} {place.action} leg {place.leg_no}" for place in places), marks
            )
        return None

    async def _send(self, step: Place | PlaceAtOnce, decided_at: datetime) -> Refusal | None:
        if isinstance(step, PlaceAtOnce):
            legs = [self._plan.legs[place.leg_no] for place in step.places]
            targets = [self._targets[leg.market_key] for leg in legs]
            return await self._sender.place_at_once(self._id, legs, targets, step, decided_at, self._exposed)
        leg = self._plan.legs[step.leg_no]
        if step.purpose == "complement":
            leg = replace(leg, outcome="no" if leg.outcome == "yes" else "yes")
        target = self._targets[leg.market_key]
        return await self._sender.place(self._id, leg, target, step, decided_at, self._exposed)

    def _keep_exposure(self, level_e6: int, now: Moment) -> None:
        """Go on with another exposure; the execution's row says so, where it does not already."""
        if level_e6 != self._exposed.level_e6 or self._exposed.since is None:
            self._exposed = self._exposed.moved(level_e6, now)
        if level_e6 != self._stored_exposure.level_e6:
            self._stored_exposure = self._exposed
            executions.merge_detail(self._connection, self._held, self._exposed.to_json())

    def _conditions(self) -> RunConditions:
        return RunConditions(
            switch=switch_in_force(self._connection, self._context.settings.home_dir),
            exposure_usd_seconds_e6=self._exposed.until(self._read_at),
            # By when the facts were read, as exposure is: after a long wait the venue is asked once more.
            is_overdue=self._read_from - self._started > self._context.settings.execution_max_s,
            may_exceed_plan=self._may_exceed_plan,
            is_plan_fresh=self._flatten is None and time.monotonic() < self._plan_until,
            day_loss_left_e6=self._day_loss_left_e6,
        )

    def _read_day_loss_left(self) -> int:
        """Return what mending may still lose on this UTC day."""
        settings, today = self._context.settings, datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        lost = executions.mending_losses_e6(self._connection, self._context.mode, today, self._id)
        return int(settings.mending_loss_day_usd * CASH_SCALE) - lost

    async def _books(self, rows: Sequence[OrderRow]) -> dict[int, LegBook | None]:
        facts = order_facts(rows)
        is_flattening = self._is_flattening(facts)
        targets = [self._targets[leg.market_key] for leg in self._plan.legs]
        try:
            books = await fetch_books(self._context, targets)
        except StreamsError as error:
            get_logger().warning("books could not be read", execution_id=self._id, error=str(error))
            books = {}
        self._targets = self._targets | {key: on_grid(self._targets[key], book) for key, book in books.items()}
        held = holdings(self._plan, facts)
        unconfirmed = orders.unconfirmed_bought_e6(self._connection, self._id)
        for order in rows:
            if order.is_buy and order.purpose != "complement" and TRAITS[order.venue].fills_are_provisional:
                unconfirmed[order.leg_no] = unconfirmed.get(order.leg_no, 0) + order.unread_e6
        result: dict[int, LegBook | None] = {}
        for leg in self._plan.legs:
            snapshot = books.get(leg.market_key)
            sellable = max(0, held[leg.leg_no] - unconfirmed.get(leg.leg_no, 0))
            result[leg.leg_no] = (
                None
                if snapshot is None
                else leg_book(snapshot, leg.outcome, sellable, self._targets[leg.market_key].schedule)
            )
        if is_flattening:
            self._set_floors(result)
        return result

    def _set_floors(self, books: Mapping[int, LegBook | None]) -> None:
        """Bind each leg, at the first bid it shows, to a least price."""
        slippage = int(self._context.settings.flatten_slippage_usd * PRICE_SCALE)
        for leg_no, book in books.items():
            floor = floor_of(book, slippage) if book is not None and leg_no not in self._floors else None
            if floor is not None:
                self._floors[leg_no] = floor
                detail = FlattenDetail(self._command, self._floors)
                executions.merge_detail(self._connection, self._held, {"flatten": detail.to_json()})

    def _move(self, state: ExecutionState, what: str, detail: JsonDocument | None = None) -> None:
        self._state = state
        executions.change_state(self._connection, self._held, state, what, detail)

    def _finish(self, finish: Finish, facts: Sequence[OrderFact]) -> None:
        """Write the end: what is locked in, what is left unmatched, and the alarm of an escalation."""
        left = unmatched_e6(self._plan, facts)
        # Nobody works on it from here on: what it holds is priced, and exposed again when it is opened again.
        self._exposed = self._exposed.moved(exposure_e6(self._plan, facts), self._read_at).moved(0, self._read_at)
        with self._connection.transaction():
            executions.change_state(self._connection, self._held, finish.state, finish.why, {"unmatched_e6": left})
            executions.merge_detail(
                self._connection,
                self._held,
                {
                    "ended_as": finish.state,
                    "why": finish.why,
                    "unmatched_e6": left,
                    **self._exposed.to_json(),
                },
            )
            executions.note_end(self._connection, self._held, locked_e6(self._plan, facts))
            executions.close_if_empty(self._connection, self._held)
            if finish.state is ExecutionState.ESCALATED:
                raise_alert(
                    self._connection,
                    "escalated",
                    "critical",
                    f"execution:{self._id}",
                    f"Execution {self._id} is ESCALATED: {finish.why}. A person must look at it.",
                    {"execution_id": self._id, "unmatched_e6": left, "exposure_e6": exposure_e6(self._plan, facts)},
                )
            else:
                for kind in ("execution", "late_fill", "exposed"):
                    clear_alert(self._connection, f"{kind}:{self._id}")


async def fetch_books(context: TradingContext, targets: Sequence[Target]) -> dict[str, BookSnapshot]:
    """Return fresh books of all targets by "venue:market_id", all venues asked at once."""
    by_venue: dict[Venue, list[Target]] = {}
    for target in targets:
        by_venue.setdefault(target.venue, []).append(target)
    responses = await asyncio.gather(*(context.gateways[venue].books(mine) for venue, mine in by_venue.items()))
    return {
        market_key(venue, market_id): book
        for venue, books in zip(by_venue, responses, strict=True)
        for market_id, book in books.items()
    }


def targets_of(connection: Connection, plan: Plan) -> dict[str, Target]:
    """Return the markets of a plan as orders need them, by "venue:market_id"; those that are not known are left out."""
    return {key: market.target for key, market in load_market_infos(connection, plan.market_keys).items()}
