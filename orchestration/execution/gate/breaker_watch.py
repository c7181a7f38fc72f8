"""Circuit breakers watched: rows read, each breaker judged, and what trips put on `reduce` with an alarm.

It looks after every signal that was traded, and in each settlement cycle. Only a person lets go on what a breaker has
stopped: `crossbook trade resume` or `crossbook trade reopen VENUE`, both with a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from orchestration.execution.decide.gate.breakers import (
    Breaker,
    BreakerName,
    BreakerState,
    Sample,
    Trip,
    judge_breaker,
)
from orchestration.execution.trading_context import TradingContext
from streams.logs import get_logger
from streams.market.identity import Venue
from streams.market.trading import ExecutionState
from streams.settings import Settings
from streams.storage.database import Connection
from streams.storage.store.alerts import clear_other_alerts, raise_alert
from streams.storage.store.gate.breakers import (
    BREAKER,
    HedgeOutcome,
    NewTrip,
    OrderOutcome,
    last_trips,
    load_hedge_outcomes,
    load_order_outcomes,
    write_account_trip,
    write_switch_trip,
)
from streams.storage.store.guards.locks import hold_all
from streams.storage.store.risk import last_switch, renew_missed_kill

_Subject = tuple[BreakerName, Venue | None]


def watch_breakers(connection: Connection, context: TradingContext, now: datetime) -> list[Trip]:
    """Judge every breaker on what is stored; what trips is on `reduce` when this returns. Returns what tripped."""
    breakers = breakers_of(context.settings)
    since = now - max(breaker.window for breaker in breakers)
    kills_to_renew: list[tuple[int, int]] = []
    tripped: list[Trip] = []
    with connection.transaction():
        hold_all(connection, [f"breakers:{context.mode}"])
        states = _states(connection, context.mode)
        samples = {
            **_order_samples(load_order_outcomes(connection, context.mode, since)),
            **_hedge_samples(load_hedge_outcomes(connection, context.mode, since)),
        }
        for breaker, venue in _subjects(breakers):
            subject = (breaker.name, venue)
            trip = judge_breaker(breaker, states.get(subject, BreakerState()), samples.get(subject, []), now)
            if trip is None:
                continue
            new = _new_trip(trip, venue, context)
            if venue is not None:
                write_account_trip(connection, new, now)
            else:
                seen = last_switch(connection)
                # what a person stopped is theirs: the breaker looks again when they let trading run
                if seen is None or not (seen.state == "run" or (seen.set_by, seen.state) == (BREAKER, "reduce")):
                    continue
                switch_id = write_switch_trip(connection, new, seen, now)
                if switch_id is None:
                    continue
                kills_to_renew.append((seen.switch_id, switch_id))
            tripped.append(trip)
    for seen_id, switch_id in kills_to_renew:
        renew_missed_kill(connection, seen_id, switch_id)
    for trip in tripped:
        get_logger().error("a circuit breaker tripped", breaker=trip.breaker.name, why=trip.why)
    _alarm(connection, context.mode)
    return tripped


def breakers_of(settings: Settings) -> tuple[Breaker, ...]:
    """Return the breakers with their settings."""

    def seconds(value: float) -> timedelta:
        return timedelta(seconds=value)

    return (
        Breaker(
            name="reject_rate",
            is_of_account=True,
            is_share=True,
            what="share of orders that the venue refused",
            of="orders",
            window=seconds(settings.breaker_reject_window_s),
            least=settings.breaker_reject_count,
            threshold=settings.breaker_reject_share,
        ),
        Breaker(
            name="venue_errors",
            is_of_account=True,
            is_share=True,
            what="share of orders without an answer of use",
            of="orders",
            window=seconds(settings.breaker_venue_errors_window_s),
            least=settings.breaker_venue_errors_count,
            threshold=settings.breaker_venue_errors_share,
        ),
        Breaker(
            name="slippage",
            is_of_account=False,
            is_share=True,
            what="share of the dollars bought by which hedges locked less than planned",
            of="hedges",
            window=seconds(settings.breaker_slippage_window_s),
            least=settings.breaker_slippage_count,
            threshold=settings.breaker_slippage_share,
        ),
        Breaker(
            name="gap_rate",
            is_of_account=False,
            is_share=True,
            what="share of hedges that were sold again or escalated",
            of="hedges",
            window=seconds(settings.breaker_gap_window_s),
            least=settings.breaker_gap_count,
            threshold=settings.breaker_gap_share,
        ),
        Breaker(
            name="loss",
            is_of_account=False,
            is_share=False,
            what="what hedges lost together",
            of="hedges",
            window=seconds(settings.breaker_loss_window_s),
            least=settings.breaker_loss_count,
            threshold=settings.breaker_loss_usd,
        ),
    )


def _subjects(breakers: Sequence[Breaker]) -> Iterable[tuple[Breaker, Venue | None]]:
    for breaker in breakers:
        venues: Sequence[Venue | None] = tuple(Venue) if breaker.is_of_account else (None,)
        yield from ((breaker, venue) for venue in venues)


def _states(connection: Connection, mode: str) -> dict[tuple[str, Venue | None], BreakerState]:
    return {
        (row.breaker, None if row.venue is None else Venue(row.venue)): BreakerState(
            row.resumed_at is None, row.resumed_at
        )
        for row in last_trips(connection, mode)
    }


def _order_samples(orders: Sequence[OrderOutcome]) -> Mapping[_Subject, list[Sample]]:
    found: dict[_Subject, list[Sample]] = {}
    for order in orders:
        venue = Venue(order.venue)
        found.setdefault(("reject_rate", venue), []).append(Sample(order.at, int(order.fault == "refused")))
        found.setdefault(("venue_errors", venue), []).append(Sample(order.at, int(order.fault == "venue")))
    return found


def _hedge_samples(hedges: Sequence[HedgeOutcome]) -> Mapping[_Subject, list[Sample]]:
    return {
        ("slippage", None): [Sample(h.at, h.planned_e6 - h.locked_e6, h.bought_e6) for h in hedges],
        ("gap_rate", None): [Sample(h.at, int(h.ended_as != ExecutionState.HEDGED)) for h in hedges],
        ("loss", None): [Sample(h.at, -h.locked_e6) for h in hedges],
    }


def _new_trip(trip: Trip, venue: Venue | None, context: TradingContext) -> NewTrip:
    return NewTrip(
        context.mode,
        trip.breaker.name,
        None if venue is None else venue.value,
        trip.reading,
        trip.breaker.threshold,
        trip.counted,
        trip.since,
        trip.why,
        context.environment,
    )


def _alarm(connection: Connection, mode: str) -> None:
    """Open an alert for each trip that waits for a person; close those that a person has ended."""
    keys: list[str] = []
    for row in last_trips(connection, mode):
        if row.resumed_at is not None:
            continue
        keys.append(f"breaker:{row.breaker}:{row.venue or 'everything'}")
        what = "All trading" if row.venue is None else f"The account at {row.venue}"
        message = f"{what} only reduces: {row.why}. See docs/gate.md."
        raise_alert(connection, "breaker", "critical", keys[-1], message, {"breaker": row.breaker, "venue": row.venue})
    clear_other_alerts(connection, "breaker", keys)
