"""Whatever one execution or one command fails with, the others of a cycle are worked on, and a person is told."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from orchestration.execution import operator_commands, reconcile, trade_signal
from streams.market.errors import InvalidAmount, TransientError
from streams.storage.store.leases import LeaseLost

TOLD = [InvalidAmount("unknown Kalshi fee type: 'cubic'"), KeyError("kalshi:M"), ValueError("x"), ZeroDivisionError()]
TOLD += [psycopg.errors.NumericValueOutOfRange("bigint out of range"), TypeError("None")]
UNTOLD = [TransientError("away"), LeaseLost("another run has it")]


def context() -> Any:
    return SimpleNamespace(mode="live", settings=SimpleNamespace(lease_ttl_s=1.0), gateways={}, boot_clock=lambda: None)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else reconciles, and no order is looked for."""
    for name in ("release_dead", "acquire", "heartbeat", "release"):
        monkeypatch.setattr(reconcile, name, lambda *_args, **_more: object())
    monkeypatch.setattr(reconcile, "looks_due", lambda *_args: [])


@pytest.mark.parametrize("error", [*TOLD, *UNTOLD], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_open", [True, False])
def test_one_execution_costs_itself(monkeypatch: pytest.MonkeyPatch, error: Exception, is_open: bool) -> None:
    rows = [SimpleNamespace(execution_id=n, is_open=is_open, state="COMPLETING") for n in (1, 2)]
    done: list[int] = []
    alerts: list[str] = []

    async def work(_connection: object, _context: object, _trader: object, row: Any, _result: object) -> None:
        if row.execution_id == 1:
            raise error
        done.append(row.execution_id)

    monkeypatch.setattr(reconcile.executions, "load_unfinished", lambda *_args, **_more: rows)
    monkeypatch.setattr(reconcile, "_reconcile_one", work)
    monkeypatch.setattr(reconcile, "SignalTrader", lambda *_args: None)
    monkeypatch.setattr(reconcile, "raise_alert", lambda _c, kind, _grave, key, *_rest: alerts.append(f"{kind} {key}"))
    result = asyncio.run(reconcile.reconcile(None, context(), "run"))  # type: ignore[arg-type]
    assert (done, result.failed) == ([2], 1)
    assert alerts == (["escalated execution:1"] if is_open and error in TOLD else [])


def test_a_warehouse_that_goes_away_ends_the_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(*_args: object) -> None:
        raise psycopg.OperationalError("gone")

    monkeypatch.setattr(reconcile.executions, "load_unfinished", lambda *_a, **_m: [SimpleNamespace(execution_id=1)])
    monkeypatch.setattr(reconcile, "_reconcile_one", work)
    monkeypatch.setattr(reconcile, "SignalTrader", lambda *_args: None)
    with pytest.raises(psycopg.OperationalError):
        asyncio.run(reconcile.reconcile(None, context(), "run"))  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [*TOLD, *UNTOLD], ids=lambda error: type(error).__name__)
def test_one_command_costs_itself(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    waiting = [SimpleNamespace(command_id=1), SimpleNamespace(command_id=2), None]
    finished: list[int] = []

    async def flatten(_connection: object, _context: object, _trader: object, command: Any) -> str:
        if command.command_id == 1:
            raise error
        return "FLAT"

    monkeypatch.setattr(operator_commands.commands, "take", lambda *_args: waiting.pop(0))
    monkeypatch.setattr(
        operator_commands.commands, "finish", lambda _c, command_id, _result: finished.append(command_id)
    )
    monkeypatch.setattr(operator_commands, "_flatten", flatten)
    monkeypatch.setattr(operator_commands, "SignalTrader", lambda *_args: None)
    assert asyncio.run(operator_commands.obey(None, context(), "run")) == 1  # type: ignore[arg-type]
    assert finished == [2]


@pytest.mark.parametrize("error", [*TOLD, *UNTOLD], ids=lambda error: type(error).__name__)
def test_one_signal_costs_itself(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    refused: list[str] = []

    async def fail(_trader: object, _signal: object, _leases: object) -> None:
        raise error

    monkeypatch.setattr(trade_signal, "load_signal", lambda *_args: SimpleNamespace(legs=[]))
    monkeypatch.setattr(trade_signal.SignalTrader, "_trade", fail)
    monkeypatch.setattr(trade_signal, "write_refusal", lambda _connection, new: refused.append(str(new.reason)))
    settings = SimpleNamespace(venues="sandbox")
    trader = trade_signal.SignalTrader(None, SimpleNamespace(settings=settings), "run")  # type: ignore[arg-type]
    result = asyncio.run(trader.trade(7))
    assert (result.signal_id, result.state) == (7, None)
    assert len(refused) == 1
