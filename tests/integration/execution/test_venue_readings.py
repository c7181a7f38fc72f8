"""What the gate reads of the venues is asked for when it is half as old as allowed, and refuses once it is too old."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from orchestration.execution.armed import fresh_readings
from orchestration.execution.armed.fresh_readings import kept_fresh, refresh_once
from orchestration.execution.gate.readings import refresh_cash, refresh_states, venue_facts
from orchestration.execution.trading_context import TradingContext
from streams.market.errors import Unavailable
from streams.market.identity import Venue
from streams.market.trading import MarketInfo
from streams.storage.database import Connection, connect
from streams.storage.store.gate.readings import load_readings, write_cash
from streams.storage.store.market_groups import load_market_infos
from tests.support.fake_venue import fake_settings, make_context, markets_of, rows, seed_group, seed_signal

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
KALSHI, POLYMARKET = (f"{venue}:{name}" for venue, name in zip(Venue, markets_of(1), strict=True))


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        seed_group(opened)
        yield opened


def context_of(connection: Connection) -> TradingContext:
    return make_context(connection, {}, 1, fake_settings())[0]


def markets(connection: Connection) -> list[MarketInfo]:
    return list(load_market_infos(connection, [KALSHI, POLYMARKET]).values())


def read_at(connection: Connection, context: TradingContext) -> dict[str, datetime]:
    facts = venue_facts(connection, context)
    return {
        **{venue.value: at for venue, (at, _) in facts.accounts.items()},
        **{k: v[0] for k, v in facts.markets.items()},
    }


async def test_readings_are_asked_for_when_they_are_half_as_old_as_allowed(connection: Connection) -> None:
    context = context_of(connection)
    for after_s in (0, 29, 31):
        now = NOW + timedelta(seconds=after_s)
        await refresh_states(connection, context, markets(connection), lambda now=now: now)  # type: ignore[misc]
        expected = NOW if after_s < 30 else now
        assert read_at(connection, context) == dict.fromkeys(("kalshi", "polymarket", KALSHI, POLYMARKET), expected)


async def test_a_venue_that_does_not_answer_leaves_its_readings_to_grow_old(connection: Connection) -> None:
    context = context_of(connection)
    await refresh_states(connection, context, markets(connection), lambda: NOW)

    async def away(*_: object) -> None:
        raise Unavailable("away")

    for name in ("account_state", "market_state"):
        setattr(context.gateways[Venue.KALSHI], name, away)
    later = NOW + timedelta(seconds=60)
    await refresh_states(connection, context, markets(connection), lambda: later)
    found = read_at(connection, context)
    assert (found["kalshi"], found[KALSHI]) == (NOW, NOW)
    assert (found["polymarket"], found[POLYMARKET]) == (later, later)


async def test_readings_of_before_a_clock_was_set_back_are_made_anew(connection: Connection) -> None:
    context = context_of(connection)
    venues = list(context.gateways)
    await refresh_states(connection, context, markets(connection), lambda: NOW + timedelta(hours=1))
    await refresh_cash(connection, context, venues, lambda: NOW + timedelta(hours=1))
    await refresh_states(connection, context, markets(connection), lambda: NOW)
    await refresh_cash(connection, context, venues, lambda: NOW)
    assert read_at(connection, context) == dict.fromkeys(("kalshi", "polymarket", KALSHI, POLYMARKET), NOW)
    assert {row.read_at for row in load_readings(connection, context.mode)} == {NOW}


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer_one(connection: Connection) -> None:
    for at, cash in ((NOW, 1), (NOW - timedelta(seconds=59), 2), (NOW - timedelta(seconds=61), 3)):
        write_cash(connection, "live", "kalshi", {2: cash}, at)
        found = [(row.subject, row.amount_e6) for row in load_readings(connection, "live") if row.kind == "cash"]
        assert found == [("2", 3 if cash == 3 else 1)]
    write_cash(connection, "live", "kalshi", {None: 4}, NOW - timedelta(seconds=61))
    assert [row.subject for row in load_readings(connection, "live") if row.kind == "cash"] == [""]


async def test_markets_that_nobody_asks_for_are_forgotten(connection: Connection) -> None:
    context = context_of(connection)
    await refresh_states(connection, context, markets(connection), lambda: NOW)
    await refresh_states(connection, context, [], lambda: NOW + timedelta(hours=3))
    assert sorted(read_at(connection, context)) == ["kalshi", "polymarket"]


async def test_the_armed_run_keeps_the_markets_of_late_signals_fresh(connection: Connection) -> None:
    context = context_of(connection)
    await refresh_once(connection, context, datetime.now(UTC))
    assert read_at(connection, context) == {}
    seed_signal(connection, 1)
    async with kept_fresh(connection, context):
        pass  # a look that was begun is given up with the block
    await refresh_once(connection, context, datetime.now(UTC))
    assert len(read_at(connection, context)) == 4
    assert {row["kind"] for row in rows(connection, "SELECT kind FROM trading.venue_readings")} == {
        "account",
        "cash",
        "market",
    }


async def test_a_look_that_fails_in_any_way_is_made_again_and_ends_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = asyncio.Queue[int]()

    async def odd(*_: object) -> None:
        looks.put_nowait(1)
        raise ValueError("odd")

    monkeypatch.setattr(fresh_readings, "refresh_once", odd)
    monkeypatch.setattr(fresh_readings, "_EVERY_S", 0.0)
    async with kept_fresh(connection, context_of(connection)):
        async with asyncio.timeout(30):
            for _ in range(3):
                await looks.get()
