"""Every plan, and every refusal of one, is kept with what it was decided on, and is decided the same way from it."""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.execution.decide.plan import Decision
from orchestration.execution.decide.plan_record import (
    UnreadableRecord,
    inputs_from_json,
    inputs_to_json,
    result_to_json,
)
from orchestration.execution.settlement import ensure_deposits
from orchestration.execution.trade_signal import SignalTrader
from orchestration.execution.trading_context import TradingContext
from streams.market.documents import JsonDocument
from streams.market.identity import Venue
from streams.storage.database import Connection, connect
from streams.storage.store.gate.plan_decisions import PlanDecision, forget_plan_decisions, list_plan_decisions
from tests.support.fake_venue import FakeVenue, fake_settings, seed_group, seed_signal, set_books

SIGNALS = 25


@pytest.fixture(scope="module")
def played(postgres_dsn: str, migrated_template: str) -> list[PlanDecision]:
    """Decisions on signals over random books, some of which no plan can be made on."""
    from tests.conftest import new_database

    with new_database(postgres_dsn, migrated_template) as address, connect(address) as connection:
        return asyncio.run(_play(connection))


async def _play(connection: Connection) -> list[PlanDecision]:
    seed_group(connection)
    kept: list[PlanDecision] = []
    for number in range(1, SIGNALS + 1):
        venues = {venue: FakeVenue(venue, connection, 100 * number + i, {}) for i, venue in enumerate(Venue)}
        set_books(venues, random.Random(number))
        is_dear = number % 3 == 0
        if is_dear:  # nothing is left of the edge
            for venue in venues.values():
                for levels in venue.asks.values():
                    for level in levels:
                        level[0] = min(9_900, level[0] + 2_000)
        context = TradingContext(fake_settings(), "live", venues)
        await ensure_deposits(connection, context)
        signal = seed_signal(connection, number)
        for _ in range(1 + is_dear):
            await SignalTrader(connection, context, "run").trade(signal)
        kept += list_plan_decisions(connection, signal)
    return kept


def as_stored(document: JsonDocument) -> JsonDocument:
    return json.loads(json.dumps(document))  # type: ignore[no-any-return]


def test_the_same_decision_is_made_again_from_the_row(played: list[PlanDecision]) -> None:
    assert {bool(kept.reason) for kept in played} == {True, False}, "plans and refusals both"
    for kept in played:
        inputs = inputs_from_json(kept.inputs)
        result = inputs.decide()
        assert as_stored(result_to_json(result)) == kept.result
        assert (kept.execution_id is not None) is isinstance(result, Decision)
        assert as_stored(inputs_to_json(inputs)) == kept.inputs
        assert inputs.asked_at <= inputs.read_at == kept.last_decided_at


def test_equal_refusals_of_one_episode_are_one_row_with_a_count(played: list[PlanDecision]) -> None:
    refused = [kept for kept in played if kept.reason == "edge_gone"]
    assert {kept.decisions for kept in refused} == {2}
    assert len({(kept.signal_id, kept.reason) for kept in refused}) == len(refused)


def test_another_book_makes_another_decision(played: list[PlanDecision]) -> None:
    """What is kept is what is read: a changed book in the row changes what follows from it."""
    kept = next(kept for kept in played if not kept.reason)
    document = as_stored(kept.inputs)
    for _, book in document["books"]["m"]:
        book["v"]["bids"], book["v"]["asks"] = [], []
    assert result_to_json(inputs_from_json(document).decide()) != kept.result


@pytest.mark.parametrize(
    "change",
    [{"format": 99}, {"format": None}, {"request": {"k": "Path", "v": "/"}}, {"books": 7}, {"headroom": {}}],
)
def test_a_row_that_cannot_be_read_is_said_to_be_none(played: list[PlanDecision], change: JsonDocument) -> None:
    with pytest.raises(UnreadableRecord):
        inputs_from_json({**played[0].inputs, **change}).decide()


def test_decisions_are_forgotten_after_their_time(database: str) -> None:
    with connect(database) as connection:
        asyncio.run(_play_one(connection))
        now = datetime.now(UTC)
        assert forget_plan_decisions(connection, now - timedelta(days=30)) == 0
        assert forget_plan_decisions(connection, now + timedelta(seconds=1)) == 1


async def _play_one(connection: Connection) -> None:
    seed_group(connection)
    venues = {venue: FakeVenue(venue, connection, index, {}) for index, venue in enumerate(Venue)}
    set_books(venues, random.Random(5))
    context = TradingContext(fake_settings(), "live", venues)
    await ensure_deposits(connection, context)
    await SignalTrader(connection, context, "run").trade(seed_signal(connection, 1))
