"""Mistakes that cost money, each planted in one place of the product: the campaign must find every one of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from orchestration.execution import follow_orders, trade_signal
from orchestration.execution.armed import armed_run
from orchestration.execution.decide import absence, hedge, market_account, mending
from orchestration.execution.decide.gate.reservation import HedgeReservation, reservation_of
from orchestration.execution.decide.hedge_plan import OrderFact, Plan, holdings
from orchestration.execution.decide.risk_checks import may_send
from orchestration.execution.gate import admission
from orchestration.execution.sending import last_check, send_orders
from orchestration.execution.venues import polymarket
from orchestration.execution.venues.gateway import OrderAnswer, OrderExists, OrderKey, OrderReading, PreparedOrder
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import OutcomeUnknown, Refused
from streams.market.trading import FillState
from streams.market.venue_traits import TRAITS
from streams.storage.database import Connection, fetch_int
from streams.storage.store import leases, signals
from streams.storage.store.hedges import fences
from streams.storage.store.market_groups import load_group
from streams.storage.store.risk import current_limits

Planted = AbstractContextManager[Any]


def one_leg_reserved() -> Planted:
    """Of a hedge only the first leg is held back."""

    def first(*arguments: Any) -> HedgeReservation:
        whole = reservation_of(*arguments)
        return replace(whole, legs=whole.legs[:1])

    return patch.object(admission, "reservation_of", first)


def dollars_for_shares() -> Planted:
    """What was spent where buys spend dollars counts as so many contracts."""

    def held(plan: Plan, orders: Sequence[OrderFact]) -> dict[int, int]:
        spends = {leg.leg_no for leg in plan.legs if TRAITS[leg.venue].buys_spend_dollars}

        def as_shares(order: OrderFact) -> OrderFact:
            is_spent = order.leg_no in spends and order.action == "buy"
            return replace(order, filled_e6=order.spent_e6) if is_spent else order

        return holdings(plan, [as_shares(order) for order in orders])

    return patch.object(hedge, "holdings", held)


@contextmanager
def cancel_trusted() -> Iterator[None]:
    """What is read right after a cancel counts as the end of the order."""
    with ExitStack() as patches:
        patches.enter_context(patch.object(absence, "may_be_older_than_cancel", lambda *_: False))
        for gateway in (KalshiGateway, PolymarketGateway):
            asked: set[str] = set()

            async def cancel(
                self: Any, key: OrderKey, asked: set[str] = asked, really: Callable[..., Any] = gateway.cancel
            ) -> None:
                asked.add(key.client_order_id)
                await really(self, key)

            async def read(
                self: Any, key: OrderKey, asked: set[str] = asked, really: Callable[..., Any] = gateway.read
            ) -> OrderReading:
                reading: OrderReading = await really(self, key)
                is_over = reading.is_found and key.client_order_id in asked
                return replace(reading, is_final=True, status="canceled") if is_over else reading

            patches.enter_context(patch.object(gateway, "cancel", cancel))
            patches.enter_context(patch.object(gateway, "read", read))
        yield


@contextmanager
def resigned_retry() -> Iterator[None]:
    """An order of unknown outcome is built anew, under another id, and sent again."""

    def wrapped(send: Callable[..., Any]) -> Callable[..., Any]:
        async def again(self: Any, order: PreparedOrder) -> OrderAnswer:
            try:
                answer: OrderAnswer = await send(self, order)
            except OutcomeUnknown:
                if order.spec is None:
                    raise
                other = self.prepare(order.spec)
                answer = await send(self, replace(other, last_check=order.last_check))
            return answer

        return again

    with ExitStack() as patches:
        for gateway in (KalshiGateway, PolymarketGateway):
            patches.enter_context(patch.object(gateway, "send", wrapped(gateway.send)))
        yield


def empty_as_absent() -> Planted:
    """An order that one look does not show counts as never sent."""
    return patch.object(absence, "is_absent", lambda watch: not watch.is_seen)


def matched_final() -> Planted:
    """A match on Polymarket counts as confirmed, though it can still fail to settle."""
    states: dict[str, FillState] = {"MATCHED": "confirmed", "MINED": "confirmed", "RETRYING": "confirmed"}
    return patch.object(polymarket, "_TRADE_STATES", polymarket._TRADE_STATES | states)


def exists_as_reject() -> Planted:
    """Kalshi's "order already exists" is taken for a refusal of the order."""
    send = KalshiGateway.send

    async def refused(self: KalshiGateway, order: PreparedOrder) -> OrderAnswer:
        try:
            return await send(self, order)
        except OrderExists as error:
            raise Refused(str(error)) from error

    return patch.object(KalshiGateway, "send", refused)


@contextmanager
def no_lease() -> Iterator[None]:
    """Who has lost a lease goes on writing and sending: no epoch is asked for."""
    held = fences.HELD.replace("epoch = %(held_epoch)s", "%(held_epoch)s::bigint IS NOT NULL")
    with ExitStack() as patches:
        for module in [one for one in sys.modules.values() if getattr(one, "HELD", None) == fences.HELD]:
            patches.enter_context(patch.object(module, "HELD", held))
        patches.enter_context(patch.object(leases, "_prolong", lambda *_: True))
        for module in (send_orders, last_check):
            patches.enter_context(patch.object(module, "holds_all", lambda *_: True))
        yield


@contextmanager
def cached_limits() -> Iterator[None]:
    """Limits are read once by a process."""
    known: list[Any] = []

    def cached(*arguments: Any) -> Any:
        known[:] = known or [current_limits(*arguments)]
        return known[0]

    with patch.object(admission, "current_limits", cached), patch.object(trade_signal, "current_limits", cached):
        yield


def settled_once() -> Planted:
    """Every payout of a trade's contracts has the same key: what is due later is taken for booked."""
    return patch.object(market_account, "_numbered", lambda key, _entries: key)


def realised_only() -> Planted:
    """The daily limit counts what was realised, not what is locked as a loss or open."""

    def realised(connection: Connection, *_: Any, **__: Any) -> int:
        return fetch_int(connection, "SELECT coalesce(sum(realised_pnl_e6), 0)::bigint FROM trading.executions")

    return patch.object(admission, "daily_result_e6", realised)


@contextmanager
def early_approval() -> Iterator[None]:
    """The approval is read before the books are, and not again with the first intent."""
    known: dict[str, Any] = {}

    def early(connection: Connection, group_id: str) -> Any:
        known[group_id] = load_group(connection, group_id)
        return known[group_id]

    def late(connection: Connection, group_id: str) -> Any:
        return known.get(group_id) or load_group(connection, group_id)

    with patch.object(trade_signal, "load_group", early), patch.object(admission, "load_group", late):
        yield


def any_bid() -> Planted:
    """What is unwound is sold at any bid."""
    unwinding = mending._unwinding
    return patch.object(mending, "_unwinding", lambda leg, size, _stop: unwinding(leg, size, 0))


@contextmanager
def taken_again() -> Iterator[None]:
    """A signal that has bought and unwound is taken again."""

    def actionable(connection: Connection, retry_after_s: float, attempts: int, limit: int) -> Any:
        rows = connection.execute(
            """SELECT s.signal_id, s.group_id FROM trading.signals AS s WHERE s.closed_at IS NULL AND NOT EXISTS (
                   SELECT FROM trading.executions AS e WHERE e.signal_id = s.signal_id AND e.state <> 'FLAT')
               AND (SELECT count(*) FROM trading.executions AS e WHERE e.signal_id = s.signal_id) < %s
               ORDER BY s.signal_id LIMIT %s""",
            (attempts, limit),
        ).fetchall()
        return [signals.ActionableSignal(**row) for row in rows]

    with (
        patch.object(signals, "load_actionable", actionable),
        patch.object(armed_run, "has_traded", lambda *_: False),
    ):
        yield


def over_fill_ignored() -> Planted:
    """What an order has filled beyond what was ordered is not counted, and nobody is told."""
    record = follow_orders.record_fill

    def clipped(connection: Connection, scope: Any, order: Any, fill: Any) -> bool:
        most = fill.contracts_e6 if order.spend_e6 is not None else order.size_e6
        part = min(fill.contracts_e6, most)
        cut = replace(fill, contracts_e6=part, cash_e6=fill.cash_e6 * part // max(fill.contracts_e6, 1))
        return record(connection, scope, order, cut)

    return patch.object(follow_orders, "record_fill", clipped)


@contextmanager
def reduce_blocks() -> Iterator[None]:
    """`pause` and `reduce` keep back what lowers exposure too."""

    def blocks(*, purpose: str, **known: Any) -> Any:
        return may_send(purpose="open", **known)

    with patch.object(send_orders, "may_send", blocks), patch.object(last_check, "may_send", blocks):
        yield


def kill_ignored() -> Planted:
    """The switch is not looked at as the last act before an order leaves."""
    return patch.object(last_check, "switch_in_force", lambda *_: "run")


def endless_wait() -> Planted:
    """A turn in a request budget is waited for however long it takes, and the order leaves then."""
    return patch.object(send_orders, "deadline_of", lambda *_: time.monotonic() + 3_600.0)


def late_fill_ignored() -> Planted:
    """A fill of a hedge that has ended is booked, and nothing follows from it."""
    return patch.object(follow_orders, "follow_change", lambda connection, held, change, now: None)


BUGS: dict[str, Callable[[], Planted]] = {
    "reservation of one leg": one_leg_reserved,
    "equal dollars for shares": dollars_for_shares,
    "read after cancel trusted": cancel_trusted,
    "re-signed retry": resigned_retry,
    "empty list read as flat": empty_as_absent,
    "MATCHED final": matched_final,
    "409 as reject": exists_as_reject,
    "writes without lease": no_lease,
    "limits cached": cached_limits,
    "settlement key used twice": settled_once,
    "loss on realised only": realised_only,
    "approval read before books": early_approval,
    "unwind at any bid": any_bid,
    "re-take after an unwind": taken_again,
    "over-fill ignored": over_fill_ignored,
    "pause or reduce blocks what lowers exposure": reduce_blocks,
    "an order leaves under kill": kill_ignored,
    "token wait unbounded": endless_wait,
    "late fill after the window": late_fill_ignored,
}
"""By the name under which `make campaign-bugs` prints them."""
