"""Sending orders: an intent in Postgres, then one sending.

An order is built and signed once. Its row exists before it leaves; `sent` is noted before the call, so that a row still
`prepared` was never sent. The last act before its bytes leave is a look at the leases, the switch, the kills on disk
and the decision's life: an intent that commits after a kill is never sent, and neither is one whose switch cannot be
read. A kill that comes after that look does not reach the one order whose bytes are leaving. Identical bytes are sent
again only within the decision's life; later there are only reads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg

from orchestration.execution.decide.exposure import ExposureSum
from orchestration.execution.decide.gate.reservation import pieces_of
from orchestration.execution.decide.hedge import Place, PlaceAtOnce
from orchestration.execution.decide.hedge_plan import PlanLeg
from orchestration.execution.decide.risk_checks import Refusal, may_send
from orchestration.execution.gate.admission import LOCK_WAIT_S, admit
from orchestration.execution.sending.last_check import Departures, LastCheck, LookCopy, deadline_of
from orchestration.execution.trading_context import TradingContext
from orchestration.execution.venues.answers import fault_of
from orchestration.execution.venues.gateway import Gateway, HeldBack, OrderExists, OrderSpec, PreparedOrder
from streams.logs import get_logger
from streams.market.errors import (
    InvalidAmount,
    OutcomeUnknown,
    RateLimited,
    StreamsError,
    TooLate,
    TransientError,
    Unavailable,
)
from streams.market.fees import fee_bound_e6, spend_fee_bound_e6
from streams.market.identity import MarketRef
from streams.market.trading import RefusalReason, Target
from streams.market.units import PRICE_SCALE, cash_e6_of
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection
from streams.storage.kill_files import switch_in_force
from streams.storage.reader.watchdog import end_readers
from streams.storage.store import executions, orders
from streams.storage.store.gate.breakers import note_fault
from streams.storage.store.hedges.fences import Fence
from streams.storage.store.leases import Lease, holds_all
from streams.storage.store.ledger import is_held_against
from streams.storage.store.risk import lock_acting

_CENT_E6 = 10_000


@dataclass(frozen=True, slots=True)
class _Built:
    """An order that is built and signed, where it goes, and its intent."""

    gateway: Gateway
    prepared: PreparedOrder
    intent: orders.NewIntent


class OrderSender:
    """Sends orders of executions on one connection, under leases of their markets."""

    def __init__(self, connection: Connection, context: TradingContext, leases: Sequence[Lease]) -> None:
        self._connection = connection
        self._context = context
        self._leases = leases
        self._home = context.settings.home_dir

    async def place(
        self,
        execution_id: int,
        leg: PlanLeg,
        target: Target,
        step: Place,
        decided_at: datetime,
        exposed: ExposureSum,
    ) -> Refusal | None:
        """Write the intent of a step and send its order.

        Args:
            execution_id: Whose step it is.
            leg: What is traded.
            target: Its market.
            step: What to send.
            decided_at: When the books it was decided on were read.
            exposed: What is exposed once it is under way; stands in the execution's row before it leaves.

        Returns:
            None when it was sent: whatever the venue answered is in the order's row then. Else why nothing happened:
            the gate's refusal, or that the venue takes no order now.
        """
        deadline = deadline_of(decided_at, self._context.settings.decision_ttl_ms / 1000)
        built = self._build(execution_id, leg, target, step, decided_at)
        if isinstance(built, Refusal):
            return built
        is_first = not orders.load_orders(self._connection, execution_id)
        written = self._write([built.intent], deadline, exposed, is_first=is_first)
        if isinstance(written, Refusal):
            return written
        purpose = "open" if is_first else "complete"
        check = LastCheck(self._connection, self._home, self._leases_of(purpose), purpose, deadline)
        return await self._send(built, check, written[0])

    async def place_at_once(
        self,
        execution_id: int,
        legs: Sequence[PlanLeg],
        targets: Sequence[Target],
        step: PlaceAtOnce,
        decided_at: datetime,
        exposed: ExposureSum,
    ) -> Refusal | None:
        """Write the intents of all legs in one transaction and send their orders so that they match together.

        The order that takes longest leaves first; no other leaves before it, and none once the first is answered: what
        is next is decided on that answer then. What one last look has seen covers all that leave within 100 ms.

        Args:
            execution_id: Whose step it is.
            legs: What is traded, in the order of the step.
            targets: Their markets.
            step: What to send.
            decided_at: When the books it was decided on were read.
            exposed: What is exposed once all are under way.

        Returns:
            None when an order was sent that may have filled; else why nothing happened.
        """
        deadline = deadline_of(decided_at, self._context.settings.decision_ttl_ms / 1000)
        built: list[_Built] = []
        for leg, target, place in zip(legs, targets, step.places, strict=True):
            one = self._build(execution_id, leg, target, place, decided_at)
            if isinstance(one, Refusal):
                return one
            built.append(one)
        written = self._write([one.intent for one in built], deadline, exposed, is_first=True)
        if isinstance(written, Refusal):
            return written
        return await self._send_at_once(built, written, step.holds_ms, deadline)

    async def _send_at_once(
        self, built: Sequence[_Built], written: Sequence[int], holds_ms: Sequence[int], deadline: float
    ) -> Refusal | None:
        copy, departures = LookCopy(), Departures()
        first = holds_ms.index(min(holds_ms))
        longest_hold_s = (max(holds_ms) - holds_ms[first]) / 1000

        def check_of(index: int) -> LastCheck:
            purpose = "open" if index == first else "complete"
            on_leaving = partial(departures.note, built[index].intent.leg_no)
            leases = self._leases_of(purpose)
            # the first leaves only while the last one still can
            until = deadline - longest_hold_s if index == first else deadline
            return LastCheck(self._connection, self._home, leases, purpose, until, copy, on_leaving)

        async def lead() -> Refusal | None:
            try:
                return await self._send(built[first], check_of(first), written[first])
            finally:
                departures.give_up()

        async def follow(index: int) -> Refusal | None:
            has_left = await departures.first_left()
            if has_left:
                await asyncio.wait({leader}, timeout=(holds_ms[index] - holds_ms[first]) / 1000)
            if not has_left or leader.done():
                self._drop(built[index], written[index])
                return None
            return await self._send(built[index], check_of(index), written[index])

        leader = asyncio.create_task(lead())
        tasks = [leader, *(asyncio.create_task(follow(index)) for index in range(len(built)) if index != first)]
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        for error in filter(None, [task.exception() for task in tasks]):
            raise error
        self._note_departures(built, holds_ms, departures)
        return leader.result() if set(departures.left_at) <= {built[first].intent.leg_no} else None

    def _drop(self, built: _Built, order_id: int) -> None:
        """Note that an order of several was not sent, as the first one did not leave or was answered already."""
        held = Fence(built.intent.execution_id, built.intent.epoch)
        reason = "it was never sent: the first leg was answered before"
        orders.update_order(self._connection, held, order_id, "expired", reason=reason)

    def _note_departures(self, built: Sequence[_Built], holds_ms: Sequence[int], departures: Departures) -> None:
        """Keep how far after the first each order has left, beside what was planned."""
        if not departures.left_at:
            return
        began, left = min(departures.left_at.values()), departures.left_at
        left_ms = [
            None if one.intent.leg_no not in left else round(1000 * (left[one.intent.leg_no] - began), 1)
            for one in built
        ]
        held = Fence(built[0].intent.execution_id, built[0].intent.epoch)
        sends = {"planned_ms": list(holds_ms), "left_ms": left_ms}
        executions.merge_detail(self._connection, held, {"sends": sends})

    def _build(
        self, execution_id: int, leg: PlanLeg, target: Target, step: Place, decided_at: datetime
    ) -> _Built | Refusal:
        """Build and sign the order of a step, with its intent; no I/O but a look at what is held."""
        gateway = self._context.gateways[leg.venue]
        spec = _spec(gateway, target, leg, step)
        if step.action == "sell" and TRAITS[leg.venue].pays_matched_early:
            spec = replace(spec, is_reduce_only=self._is_reducing(execution_id, leg))
        try:
            prepared = gateway.prepare(spec)
        except InvalidAmount as error:
            return Refusal(RefusalReason.BELOW_MINIMUM, str(error))
        except HeldBack as error:
            return error.refusal
        intent = orders.NewIntent(
            execution_id=execution_id,
            leg_no=leg.leg_no,
            purpose=step.purpose,
            venue=leg.venue.value,
            market_id=leg.market_id,
            outcome=leg.outcome,
            action=step.action,
            limit_price_e4=step.limit_price_e4,
            size_e6=step.size_e6,
            spend_e6=spec.spend_e6,
            reserved_e6=reserved_e6(spec),
            epoch=self._leases[0].epoch if self._leases else 0,
            environment=self._context.environment,
            decided_at=decided_at,
            expires_at=decided_at + timedelta(milliseconds=self._context.settings.decision_ttl_ms),
            client_order_id=prepared.client_order_id,
            request=prepared.request,
        )
        return _Built(gateway, prepared, intent)

    def _leases_of(self, purpose: str) -> Sequence[Lease]:
        """Return what must be held for an order to leave: whoever opens for an armed run needs its account too.

        What lowers exposure is finished by who began it, also while the next run is armed already.
        """
        account = self._context.account() if purpose == "open" else None
        return self._leases if account is None else [*self._leases, account]

    def _is_reducing(self, execution_id: int, leg: PlanLeg) -> bool:
        """Whether a sale brings the account's own position towards zero, so that the venue may be held to that.

        The venue nets an account's outcomes: where other executions hold more of the other one, it would cut a sale of
        what this one holds to nothing.
        """
        market = MarketRef(leg.venue, leg.market_id)
        return not is_held_against(self._connection, self._context.mode, market, leg.outcome, execution_id)

    def _write(
        self, intents: Sequence[orders.NewIntent], deadline: float, exposed: ExposureSum, *, is_first: bool
    ) -> Refusal | list[int]:
        """Write intents and orders under the lock of those who write intents; returns the ids of the orders.

        The first intents of an execution pass the whole gate inside; every other lowers exposure and passes less.
        """
        new = intents[0]
        try:
            with self._connection.transaction():
                left_s = max(0.0, deadline - time.monotonic())
                lock_acting(self._connection, min(left_s, LOCK_WAIT_S) if is_first else left_s)
                now = datetime.now(UTC)
                is_within_life = now < new.expires_at and time.monotonic() < deadline
                if is_first:
                    refusal = admit(
                        self._connection,
                        self._context,
                        new.execution_id,
                        self._leases_of("open"),
                        now,
                        is_within_life=is_within_life,
                    )
                else:
                    refusal = may_send(
                        switch=switch_in_force(self._connection, self._home),
                        purpose="complete",
                        has_leases=holds_all(self._connection, self._leases),
                        is_within_life=is_within_life,
                    )
                if refusal is not None:
                    return refusal
                written = [orders.write_intent(self._connection, intent) for intent in intents]
                executions.merge_detail(self._connection, Fence(new.execution_id, new.epoch), exposed.to_json())
                return written
        except psycopg.errors.LockNotAvailable:
            end_readers(self._connection, None)
            return Refusal(RefusalReason.STALE_BOOK, "the decision outlived its books waiting for a lock")

    async def _send(self, built: _Built, check: LastCheck, order_id: int) -> Refusal | None:
        """Send an order whose rows are written; returns why it did not leave, None where it may have filled."""
        gateway, expires_at = built.gateway, built.intent.expires_at
        held = Fence(built.intent.execution_id, built.intent.epoch)
        prepared = replace(built.prepared, last_check=check, deadline=check.deadline)
        if not orders.mark_sent(self._connection, order_id, datetime.now(UTC), self._context.boot_clock()):
            orders.update_order(self._connection, held, order_id, "expired", reason="it was never sent")
            return Refusal(RefusalReason.STALE_BOOK, "the decision outlived its books before its order left")
        first = True
        while True:
            try:
                check.look()
                answer = await gateway.send(prepared)
            except HeldBack as error:
                return self._held_back(held, order_id, error.refusal, was_sent=not first)
            except TooLate as error:
                refusal = Refusal(RefusalReason.STALE_BOOK, str(error))
                return self._held_back(held, order_id, refusal, was_sent=not first)
            except OrderExists as error:
                orders.mark_seen(self._connection, held, order_id)
                orders.update_order(self._connection, held, order_id, "unknown", reason=str(error))
                return None
            except OutcomeUnknown as error:
                get_logger().warning("outcome of an order is unknown", order_id=order_id, error=str(error))
                note_fault(self._connection, held, order_id, fault_of(error))
                if first and datetime.now(UTC) < expires_at:
                    first = False
                    continue
                orders.update_order(self._connection, held, order_id, "unknown", reason=str(error))
                return None
            except StreamsError as error:
                if first:
                    note_fault(self._connection, held, order_id, fault_of(error))
                # After a first sending of unknown outcome a refusal says nothing about that one: only reads do.
                orders.update_order(
                    self._connection, held, order_id, "rejected" if first else "unknown", reason=str(error)
                )
                return _unavailable(error) if first else None
            stated = orders.StatedAnswer(
                answer.venue_order_id, answer.is_final, answer.filled_e6, answer.cash_e6, answer.fee_e6
            )
            orders.note_answer(self._connection, held, order_id, stated, datetime.now(UTC))
            return None

    def _held_back(self, held: Fence, order_id: int, refusal: Refusal, *, was_sent: bool) -> Refusal | None:
        """Note that an order did not leave; where it has left once before, only reads tell what became of it."""
        if was_sent:
            orders.update_order(self._connection, held, order_id, "unknown", reason=f"not sent again: {refusal.reason}")
            return None
        orders.update_order(self._connection, held, order_id, "expired", reason=f"it was never sent: {refusal.reason}")
        return refusal


def _unavailable(error: StreamsError) -> Refusal | None:
    """Return that a venue takes no order now; None for an error that says something about this order."""
    if not isinstance(error, TransientError):
        return None
    wait_s = error.retry_after_s if isinstance(error, RateLimited | Unavailable) else 0.0
    return Refusal(RefusalReason.VENUE_UNAVAILABLE, str(error), wait_s)


def reserved_e6(spec: OrderSpec) -> int:
    """Return the most cash an order can take: price and fees of a buy, the fees of a sale."""
    if spec.spend_e6 is not None:
        return spec.spend_e6 + spend_fee_bound_e6(spec.spend_e6, spec.target.schedule)
    fee = fee_bound_e6(_dearest_price(spec), spec.size_e6, spec.target.schedule, fills=pieces_of(spec.size_e6))
    return fee + (cash_e6_of(spec.limit_price_e4, spec.size_e6, paying=True) if spec.action == "buy" else 0)


def _dearest_price(spec: OrderSpec) -> int:
    """Return the price with the highest fee that the order may be filled at (fees peak at one half)."""
    half = PRICE_SCALE // 2
    return min(spec.limit_price_e4, half) if spec.action == "buy" else max(spec.limit_price_e4, half)


def _spec(gateway: Gateway, target: Target, leg: PlanLeg, step: Place) -> OrderSpec:
    spend = None
    if gateway.buys_spend_dollars and step.action == "buy":
        # The walked cost floored to a cent, never size times limit; the next step levels what that leaves unmatched.
        spend = max(step.cost_e6 // _CENT_E6, 1) * _CENT_E6
    return OrderSpec(target, leg.outcome, step.action, step.limit_price_e4, step.size_e6, spend)
