"""An account that does not answer costs what is to be done on it; the other is served, and the run still says so."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from orchestration.execution import settlement, settlement_cycle
from streams.market.errors import StreamsError, TransientError, UnreadableAnswer
from streams.market.identity import Venue


class Account:
    is_simulated = False

    def __init__(self, venue: Venue, cash: int | StreamsError) -> None:
        self.venue, self.cash = venue, cash

    async def cash_e6(self) -> int:
        if isinstance(self.cash, StreamsError):
            raise self.cash
        return self.cash

    async def cash_by_shard(self) -> dict[int | None, int]:
        return {None: await self.cash_e6()}


def context(first: int | StreamsError, second: int | StreamsError) -> Any:
    gateways = {Venue.KALSHI: Account(Venue.KALSHI, first), Venue.POLYMARKET: Account(Venue.POLYMARKET, second)}
    return SimpleNamespace(gateways=gateways, mode="live", environment="live", settings=SimpleNamespace(home_dir=""))


@pytest.fixture
def booked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was written: deposits by key, balances by venue, unreadable answers."""
    found: dict[str, Any] = {"deposits": {}, "balances": {}, "kept": []}
    monkeypatch.setattr(settlement, "has_entry", lambda _c, key, _mode: key in found["deposits"])
    monkeypatch.setattr(
        settlement,
        "book_facts",
        lambda _c, _context, facts, _at: found["deposits"].update({f.key: sum(f.by_shard_e6.values()) for f in facts}),
    )
    monkeypatch.setattr(settlement, "keep_unreadable", lambda _c, venue, error: found["kept"].append((venue, error)))
    monkeypatch.setattr(settlement, "count_in_flight", lambda *_args: 0)
    monkeypatch.setattr(
        settlement, "ledger_cash_e6", lambda _c, venue, _mode: found["deposits"][f"deposit:{venue}:first"]
    )
    monkeypatch.setattr(settlement, "write_balance", lambda _c, new: found["balances"].update({new.venue: new.cash_e6}))
    return found


@pytest.mark.parametrize("error", [TransientError("away"), UnreadableAnswer(b"<html>", "a page")])
@pytest.mark.parametrize("is_first", [True, False])
def test_the_other_account_is_booked_and_compared(booked: dict[str, Any], error: StreamsError, is_first: bool) -> None:
    other = Venue.POLYMARKET if is_first else Venue.KALSHI
    found = context(error, 5) if is_first else context(5, error)
    with pytest.raises(type(error)):
        asyncio.run(settlement.ensure_deposits(None, found))  # type: ignore[arg-type]
    assert booked["deposits"] == {f"deposit:{other}:first": 5}
    # The account without a deposit has a ledger that says nothing yet.
    balances = asyncio.run(settlement.compare_balances(None, found))  # type: ignore[arg-type]
    assert [balance.venue for balance in balances] == [other]
    booked["deposits"] |= {f"deposit:{venue}:first": 5 for venue in Venue}
    with pytest.raises(type(error)):
        asyncio.run(settlement.compare_balances(None, found))  # type: ignore[arg-type]
    assert booked["balances"] == {other: 5}
    assert len(booked["kept"]) == 2


def test_a_cycle_does_everything_else_first(booked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def step(name: str) -> Any:
        async def run(*_args: object) -> str:
            done.append(name)
            return name

        return run

    for name in ("obey_resolutions", "reconcile", "obey", "settle", "check_accounts"):
        monkeypatch.setattr(settlement_cycle, name, step(name))
    for name in (
        "alarm_kill",
        "alarm_overdue",
        "alarm_restated",
        "alarm_unredeemed",
        "alarm_suspense",
        "clear_settled_alerts",
        "compact_totals",
        "watch_breakers",
    ):
        monkeypatch.setattr(settlement_cycle, name, lambda *_args: None)
    monkeypatch.setattr(settlement_cycle, "switch_in_force", lambda *_args: "run")
    with pytest.raises(TransientError, match="away"):
        asyncio.run(settlement_cycle.run_cycle(None, context(TransientError("away"), 7), "run"))  # type: ignore[arg-type]
    assert done == ["obey_resolutions", "reconcile", "obey", "settle", "check_accounts"]
    assert booked["balances"] == {Venue.POLYMARKET: 7}
