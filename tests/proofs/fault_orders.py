"""Orders under faults: what our clients report, held against what happened at the exchange.

Each case breaks one thing between a client and a sandbox exchange that lives in this process, so that what really
happened can be read off the exchange itself. A report is *true* when it says what happened, *unknown* when the client
says that it does not know, and *wrong* otherwise. Wrong must never occur.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from orchestration.execution.venues.gateway import Gateway, OrderKey, OrderReading, OrderSpec, PreparedOrder
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import (
    MalformedFrame,
    NotFound,
    OutcomeUnknown,
    PermanentError,
    TransientError,
)
from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import Target
from streams.sandbox.core.faults import FaultPlan, FaultRule, SettlementPlan
from streams.sandbox.core.profile import ZERO, Profile
from streams.sandbox.core.records import OrderRecord
from streams.venues.kalshi.types.orders import order_request
from streams.venues.polymarket.amounts import limit_amounts
from streams.venues.polymarket.signing import build_order
from tests.fixtures.sandbox_world import CONDITION, CONTRACT, TICKER, World, sandbox_world

WANTED = 60 * CONTRACT
LIMIT_E4 = 5_200
READ_FOR_S = 2.5
_ORDERS = {Venue.KALSHI: "/trade-api/v2/portfolio/events/orders", Venue.POLYMARKET: "/clob/order"}
_OF_MARKETS = ("reject", "partial_fill", "fade", "late_fill")
_FAST = SettlementPlan(mined_ms=150, confirmed_ms=400)


@dataclass(frozen=True, slots=True)
class OrderCase:
    """One fault on one venue.

    Attributes:
        what: The fault in words.
        rules: Of the fault plan; none where `set_up` does it.
        operation: `place` an order that takes, or `cancel` one that rests.
        timeout_s: How long the client waits for an answer.
    """

    what: str
    venue: Venue
    rules: tuple[FaultRule, ...] = ()
    operation: str = "place"
    behaviour: Profile = ZERO
    settlement: SettlementPlan = _FAST
    timeout_s: float = 2.0
    set_up: Callable[[World], None] = lambda _world: None


@dataclass(slots=True)
class Outcome:
    """What one run of a case came to.

    Attributes:
        said: What the client reported first: done, refused, nothing happened, unknown.
        happened: What the exchange did.
        wrong: Reports that contradict it, in words; empty is what is wanted.
    """

    said: str = ""
    happened: str = ""
    later: str = ""
    wrong: list[str] = field(default_factory=list)
    fired: int = 0


async def run_case(case: OrderCase, seed: int) -> Outcome:
    """Run one case once, in exchanges of its own."""
    plan = FaultPlan([replace(rule) for rule in case.rules], case.settlement, seed)
    async with sandbox_world(plan, case.behaviour, timeout_s=case.timeout_s) as world:
        async with asyncio.TaskGroup() as tasks:
            clock = tasks.create_task(world.run_clock())
            outcome = Outcome()
            run = _place if case.operation == "place" else _cancel
            await run(case, world, outcome)
            outcome.fired = sum(rule.fired for rule in plan.rules)
            clock.cancel()
    return outcome


async def reported(call: Awaitable[Any]) -> tuple[str, str]:
    """Return what a write reported, and its words.

    `nothing` is the promise that nothing happened at the venue and a later attempt may work.
    """
    try:
        await call
    except OutcomeUnknown as error:
        return "unknown", str(error)
    except NotFound as error:
        return "not found", str(error)
    except PermanentError as error:
        return "refused", str(error)
    except TransientError as error:
        return "nothing", str(error)
    return "done", ""


# -- an order that takes what is there --------------------------------------------------------------------------------


async def _place(case: OrderCase, world: World, outcome: Outcome) -> None:
    gateway, target = gateway_of(world, case.venue), target_of(world, case.venue)
    spend = 31_200_000 if gateway.buys_spend_dollars else None
    prepared = gateway.prepare(OrderSpec(target, "yes", "buy", LIMIT_E4, WANTED, spend))
    case.set_up(world)
    sent_at = datetime.now(UTC)
    outcome.said, words = await reported(gateway.send(prepared))
    records = _records(world, case.venue, prepared)
    outcome.happened = _state(world, records)
    if outcome.said == "done" and not records:
        outcome.wrong.append("said done, no order exists")
    if outcome.said in ("refused", "nothing", "not found") and any(_has_effect(record) for record in records):
        outcome.wrong.append(f"said {outcome.said} ({words}), the order is live or has filled")
    if outcome.said == "unknown":
        await _send_again(gateway, prepared, world, case.venue, outcome)
    key = OrderKey(prepared.client_order_id, None, target, "yes", "buy", sent_at)
    if outcome.said in ("done", "unknown"):
        await _read_until_final(gateway, key, prepared, world, case.venue, outcome)


async def _send_again(gateway: Gateway, prepared: PreparedOrder, world: World, venue: Venue, outcome: Outcome) -> None:
    """Send identical bytes once more, as OrderSender may within the decision's life: there is never a second order."""
    before = len(_records(world, venue, prepared))
    said, words = await reported(gateway.send(prepared))
    after = _records(world, venue, prepared)
    outcome.later = f"sent again: {said}"
    if len(after) > 1:
        outcome.wrong.append("two orders under one id")
    if said == "done" and not after:
        outcome.wrong.append("said done at the second sending, no order exists")
    if said == "nothing" and len(after) > before:
        outcome.wrong.append(f"said nothing happened at the second sending ({words}), the order was made")


async def _read_until_final(
    gateway: Gateway, key: OrderKey, prepared: PreparedOrder, world: World, venue: Venue, outcome: Outcome
) -> None:
    deadline = time.monotonic() + READ_FOR_S
    reading = OrderReading(is_found=False)
    while time.monotonic() < deadline:
        try:
            reading = await gateway.read(key)
        except (TransientError, MalformedFrame):
            await asyncio.sleep(0.05)
            continue
        outcome.wrong += _contradictions(reading, prepared, world, venue)
        is_settled = all(fill.state != "provisional" for fill in reading.fills)
        if reading.is_final and is_settled and len(reading.fills) == _true_fills(world, venue, prepared):
            break
        await asyncio.sleep(0.05)
    filled = sum(fill.contracts_e6 for fill in reading.fills if fill.state != "failed")
    words = "final" if reading.is_final else "open" if reading.is_found else "not seen"
    failed = " (failed)" if any(fill.state == "failed" for fill in reading.fills) else ""
    outcome.later = "; ".join(filter(None, [outcome.later, f"read: {words}, {filled / CONTRACT:g} filled{failed}"]))
    outcome.happened = _state(world, _records(world, venue, prepared))


def _contradictions(reading: OrderReading, prepared: PreparedOrder, world: World, venue: Venue) -> list[str]:
    records = _records(world, venue, prepared)
    if not records:
        return ["read as found, no order exists"] if reading.is_found else []
    record, wrong = records[0], []
    exchange = world.exchanges[venue]
    if reading.filled_e6 is not None and reading.filled_e6 > record.filled_e6:
        wrong.append("read more filled than was")
    if reading.is_final and record.status in ("resting", "delayed"):
        wrong.append("read as final, it is live")
    if reading.is_final and reading.filled_e6 not in (None, record.filled_e6):
        wrong.append("read as final with another filled size")
    for fill in reading.fills:
        trade = exchange.state.trades.get(fill.venue_fill_id)
        if trade is None or fill.venue_fill_id not in record.trade_ids:
            wrong.append("a fill that never was")
        elif fill.contracts_e6 != trade.size_e6:
            wrong.append("a fill of another size")
        elif fill.state in ("confirmed", "failed") and venue is Venue.POLYMARKET and fill.state != trade.status.lower():
            wrong.append(f"a fill read as {fill.state} that is {trade.status}")
    return wrong


def _true_fills(world: World, venue: Venue, prepared: PreparedOrder) -> int:
    records = _records(world, venue, prepared)
    return len(records[0].trade_ids) if records else 0


def _records(world: World, venue: Venue, prepared: PreparedOrder) -> list[OrderRecord]:
    """The orders that exist at the exchange under the prepared order's id."""
    wanted = prepared.client_order_id
    records = world.exchanges[venue].state.orders.values()
    return [record for record in records if wanted in (record.order_id, record.request.client_order_id)]


def _has_effect(record: OrderRecord) -> bool:
    """A fill-and-kill order that met nothing is refused, and was an order for that moment."""
    return record.filled_e6 > 0 or record.status in ("resting", "delayed")


def _state(world: World, records: list[OrderRecord]) -> str:
    if not records:
        return "no order"
    record = records[0]
    return f"order {record.status}, {record.filled_e6 / CONTRACT:g} filled"


# -- an order that rests and is to be cancelled -----------------------------------------------------------------------


async def _cancel(case: OrderCase, world: World, outcome: Outcome) -> None:
    order_id = await _rest(world, case.venue)
    case.set_up(world)
    record = world.exchanges[case.venue].state.orders[order_id]
    if case.venue is Venue.KALSHI:
        outcome.said, words = await reported(world.kalshi.cancel_order(order_id, TICKER))
    else:
        outcome.said, words = await reported(_cancel_on_polymarket(world, order_id))
    is_over = record.status not in ("resting", "delayed")
    outcome.happened = f"order {record.status}"
    if outcome.said == "done" and not is_over:
        outcome.wrong.append("said cancelled, it rests")
    if outcome.said in ("refused", "nothing") and is_over:
        outcome.wrong.append(f"said {outcome.said} ({words}), it was cancelled")
    if outcome.said == "not found" and not is_over:
        outcome.wrong.append("said that nothing rests, it does")


async def _cancel_on_polymarket(world: World, order_id: str) -> None:
    answer = await world.polymarket.cancel(order_id)
    if order_id in answer.not_canceled:
        raise NotFound(answer.not_canceled[order_id])
    if order_id not in answer.canceled:
        raise OutcomeUnknown("the answer does not account for the order")


async def _rest(world: World, venue: Venue) -> str:
    if venue is Venue.KALSHI:
        request = order_request(
            TICKER,
            outcome="yes",
            action="buy",
            price_e4=3_000,
            size_e6=10 * CONTRACT,
            client_order_id=secrets.token_hex(8),
            time_in_force="good_till_canceled",
        )
        return (await world.kalshi.create_order(request)).order_id
    listed = world.exchanges[venue].state.markets[CONDITION].market
    signed = build_order(
        world.polymarket_credentials,
        token_id=listed.yes_token,
        side="BUY",
        amounts=limit_amounts("BUY", 3_000, 10 * CONTRACT, 100),
        order_type="GTC",
        is_neg_risk=False,
        salt=secrets.randbits(52),
        timestamp_ms=time.time_ns() // 1_000_000,
    )
    return (await world.polymarket.post_order(signed)).order_id


# -- parts ------------------------------------------------------------------------------------------------------------


def gateway_of(world: World, venue: Venue) -> Gateway:
    """The gateway that trading would use."""
    if venue is Venue.KALSHI:
        return KalshiGateway(world.kalshi)
    return PolymarketGateway(world.polymarket, world.polymarket_credentials)


def target_of(world: World, venue: Venue) -> Target:
    """The world's market of a venue, as an order needs to know it."""
    listed = world.exchanges[venue].state.markets[TICKER if venue is Venue.KALSHI else CONDITION].market
    terms = MarketTerms(
        price_ranges=listed.price_ranges,
        min_size_e6=listed.min_size_e6,
        yes_token=listed.yes_token,
        no_token=listed.no_token,
        fee_schedule=listed.fee_schedule,
    )
    return Target(venue, listed.market_id, terms, from_json(venue, listed.fee_schedule))


def _both(what: str, **fields: Any) -> list[OrderCase]:
    rules = fields.pop("rules", ())
    return [OrderCase(what, venue, tuple(_at(venue, rule) for rule in rules), **fields) for venue in Venue]


def _at(venue: Venue, rule: FaultRule) -> FaultRule:
    """The rule for a venue's orders only; requests are told by their path."""
    return replace(rule, venue=venue, path="" if rule.kind in _OF_MARKETS else _ORDERS[venue])


def _mode(mode: str, venue: Venue) -> Callable[[World], None]:
    return lambda world: world.exchanges[venue].status.change(mode, time.time_ns() // 1_000_000)  # type: ignore[arg-type]


def _skew(venue: Venue, ms: int) -> Callable[[World], None]:
    def set_up(world: World) -> None:
        world.exchanges[venue].state.faults.clock_ms[venue] = ms

    return set_up


def _half(rule: FaultRule) -> FaultRule:
    return replace(rule, probability=Decimal("0.5"))


CASES: list[OrderCase] = [
    *_both("no fault"),
    *_both("no fault", operation="cancel"),
    *_both("order refused", rules=[FaultRule("reject", code="invalid_order")]),
    *_both("503 before the order is accepted", rules=[FaultRule("server_error", when="before")]),
    *_both("503 after the order was accepted", rules=[FaultRule("server_error", when="after")]),
    *_both("500, half of the requests, before or after", rules=[
        _half(FaultRule("server_error", status=500, when="before")),
        _half(FaultRule("server_error", status=500, when="after")),
    ]),
    *_both("request lost", rules=[FaultRule("lost_request", times=1)]),
    *_both("answer lost", rules=[FaultRule("lost_response", times=1)]),
    *_both("answer later than we wait", rules=[FaultRule("delay", ms=900, times=1)], timeout_s=0.3),
    *_both("makers pull part of their quotes", rules=[FaultRule("partial_fill", fraction=Decimal("0.4"))]),
    *_both("makers pull all of their quotes", rules=[FaultRule("fade")]),
    *_both("the fill comes after the answer", rules=[FaultRule("late_fill", ms=300)]),
    *_both("reads lie 400 ms behind writes", behaviour=replace(ZERO, read_lag_ms=400)),
    *_both("slow acknowledgements", behaviour=replace(ZERO, kalshi_ack_ms=(50, 90), polymarket_ack_ms=(60, 250))),
    OrderCase("settlement fails", Venue.POLYMARKET, settlement=replace(_FAST, failed_probability=Decimal(1))),
    OrderCase("settlement fails half of the time", Venue.POLYMARKET,
              settlement=replace(_FAST, failed_probability=Decimal("0.5"))),
    OrderCase("the venue's clock is a minute ahead", Venue.KALSHI, set_up=_skew(Venue.KALSHI, 60_000)),
    OrderCase("the venue's clock is a minute behind", Venue.KALSHI, set_up=_skew(Venue.KALSHI, -60_000)),
    OrderCase("trading pause", Venue.KALSHI, set_up=_mode("trading_paused", Venue.KALSHI)),
    OrderCase("trading pause", Venue.KALSHI, operation="cancel", set_up=_mode("trading_paused", Venue.KALSHI)),
    OrderCase("exchange closed", Venue.KALSHI, set_up=_mode("closed", Venue.KALSHI)),
    OrderCase("exchange closed", Venue.KALSHI, operation="cancel", set_up=_mode("closed", Venue.KALSHI)),
    *[OrderCase(what, Venue.POLYMARKET, operation=operation, set_up=_mode(mode, Venue.POLYMARKET))
      for what, mode in (("engine restarts", "restarting"), ("post-only after a restart", "post_only"),
                         ("cancel-only", "cancel_only"))
      for operation in ("place", "cancel")],
    *_both("503 before the cancel is carried out", operation="cancel", rules=[FaultRule("server_error", skip=1)]),
    *_both("503 after the cancel was carried out", operation="cancel",
           rules=[FaultRule("server_error", skip=1, when="after")]),
    *_both("request to cancel lost", operation="cancel", rules=[FaultRule("lost_request", skip=1)]),
    *_both("answer to the cancel lost", operation="cancel", rules=[FaultRule("lost_response", skip=1)]),
]  # fmt: skip
