"""Every amount that any interface shows is the mart's, and what the facts add up to; a field not compared fails."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel
from typer.testing import CliRunner

import app.cli
import app.queries
from app.api import execution_schemas, schemas
from app.api.main import create_app
from app.cli import system
from app.cli.main import cli
from app.queries import opportunities, portfolio, risk, trades
from app.queries.quality import execution
from app.queries.status import system_status
from app.supervisor.service import Supervisor
from app.supervisor.state import RunningState
from streams.settings import Settings, load_settings
from streams.storage.access.reader_limits import ReaderLimits
from streams.storage.database import Connection, connect
from streams.storage.reader.watchdog import ReaderWatchdog
from tests.conftest import new_database
from tests.fixtures.execution_sums import capital_sums, execution_sums, fill_sums, funnel_sums, order_sums
from tests.fixtures.facts import MIDS, START, Plain, plain_sums, write_facts

D = Decimal
Amounts = dict[tuple[Any, ...], Decimal | None]
"""What is shown, or expected, by (field, key of the row)."""

SETTINGS_USD = {"market", "pair", "total", "daily_loss"}
"""Limits: what a person or a setting says, and no figure."""
FROM_ARGUMENTS = {"fee_usd", "least_usd"}
"""Fields of commands that compute from their arguments or from books of the moment: `fee`, `trade flatten`."""
OFFERED = {
    "FlattenOffer.slippage_usd", "FlattenOfferAnswer.slippage_usd", "FlattenOfferAnswer.least_usd",
    "TradeRow.exit_value_usd", "Trade.exit_value_usd", "OpenValues.floor_usd", "OpenValues.exit_usd",
    "OpenValues.settled_usd", "ForeignThing.cash_usd", "AccountReading.cash_usd", "AccountReading.low_usd",
    "AccountReading.booked_usd", "AccountReading.high_usd",
}  # fmt: skip
"""What a sale would bring, of books of the moment, and what accounts show: no figure of what was traded."""


@pytest.fixture(scope="module")
def facts(postgres_dsn: str, warehouse_template: str) -> Iterator[str]:
    """The address of a warehouse with the facts in it."""
    with new_database(postgres_dsn, warehouse_template) as dsn:
        with connect(dsn) as connection:
            write_facts(connection)
        yield dsn


@pytest.fixture
def connection(facts: str) -> Iterator[Connection]:
    with connect(facts) as opened:
        yield opened


@pytest.fixture
def settings(facts: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATABASE_URL", facts)
    monkeypatch.setenv("CROSSBOOK_HOME", str(tmp_path))
    return load_settings(database_url=facts, home=tmp_path)


@pytest.fixture(scope="module")
def plain() -> Plain:
    return plain_sums()


def _usd_fields(record: type) -> set[str]:
    names = record.model_fields if issubclass(record, BaseModel) else (f.name for f in dataclasses.fields(record))
    return {f"{record.__name__}.{name}" for name in names if name.endswith("_usd")}


_OF_BIDS = "exit_value_usd"
"""What a trade brings if it is sold now follows from bids and fee schedules: test_trade_values.py."""


def _of(kind: str, rows: Any, *keys: str) -> Amounts:
    """Return every amount of rows (objects or dicts) by (record.field, key)."""
    amounts: Amounts = {}
    for row in rows:
        values = row if isinstance(row, dict) else {f.name: getattr(row, f.name) for f in dataclasses.fields(row)}
        for name, value in values.items():
            if name.endswith("_usd") and name != _OF_BIDS:
                key = tuple(values[part] for part in keys)
                amounts[f"{kind}.{name}", *key] = None if value is None else D(value)
    return amounts


# -- what the facts add up to --------------------------------------------------------------------------------------


def _expected_trades(plain: Plain, kind: str) -> Amounts:
    shown = {"edge_usd": "expected_edge_usd", "cost_usd": "cost_usd", "fees_usd": "fees_usd",
             "expected_pnl_usd": "expected_pnl_usd", "realised_pnl_usd": "realised_pnl_usd",
             "locked_floor_usd": "locked_floor_usd", "settled_cash_usd": "settled_cash_usd"}  # fmt: skip
    return {
        (f"{kind}.{name}", number): trade[mart]
        for number, trade in plain.trades.items()
        for name, mart in shown.items()
    }


def _expected_signals(plain: Plain, kind: str) -> Amounts:
    renamed = {"fees_usd": "fee_usd"}
    return {
        (f"{kind}.{renamed.get(name, name)}", number): amount
        for number, signal in plain.signals.items()
        for name, amount in signal.items()
    }


def _expected_summary(plain: Plain) -> dict[str, Decimal]:
    return {
        "realised_usd": sum((day["realised_pnl_usd"] for day in plain.days.values()), D(0)),
        "expected_open_usd": sum(
            (trade["expected_pnl_usd"] or D(0)) for trade in plain.trades.values() if trade["realised_pnl_usd"] is None
        ),
        "fees_usd": sum((day["fees_usd"] for day in plain.days.values()), D(0)),
    }


def _expected_execution(plain: Plain) -> Amounts:
    rows = {
        "FunnelReason": funnel_sums(plain),
        "ExecutionStatistics": execution_sums(),
        "OrderStatistics": order_sums(),
        "FillStatistics": fill_sums(),
        "VenueCapital": capital_sums(plain),
    }
    return {
        (f"{record}.{name}", *key): amount
        for record, sums in rows.items()
        for key, row in sums.items()
        for name, amount in row.items()
    }


def _shown_execution(report: Any) -> Amounts:
    """Return every amount of a report of execution: the dataclass of the reads or the API's document."""
    parts = (
        report if isinstance(report, dict) else {f.name: getattr(report, f.name) for f in dataclasses.fields(report)}
    )
    return (
        _of("FunnelReason", parts["funnel"], "stage", "reason")
        | _of("ExecutionStatistics", parts["executions"], "mode")
        | _of("OrderStatistics", parts["orders"], "mode", "venue")
        | _of("FillStatistics", parts["fills"], "mode", "venue")
        | _of("VenueCapital", parts["capital"], "mode", "venue")
    )


def _expected_exposure(plain: Plain, connection: Connection) -> dict[str, Decimal]:
    stakes = {key: stake for key, stake in plain.at_stake.items() if key[0] == "live"}
    tied = {key: max(D(0), stake["spent_usd"] + stake["reserved_usd"]) for key, stake in stakes.items()}
    by_group, by_market = {}, {}
    for (_, group, market), amount in tied.items():
        by_group[group] = by_group.get(group, D(0)) + amount
        by_market[market] = by_market.get(market, D(0)) + amount
    row = connection.execute("SELECT (now() AT TIME ZONE 'UTC')::date AS today").fetchone()
    is_today = row is not None and row["today"] == START.date()
    return {
        "total_usd": sum(tied.values(), D(0)),
        "largest_market_usd": max(by_market.values()),
        "largest_group_usd": max(by_group.values()),
        "realised_today_usd": plain.days["live"]["realised_pnl_usd"] if is_today else D(0),
        "reserved_usd": sum((stake["reserved_usd"] for stake in stakes.values()), D(0)),
        "unconfirmed_usd": sum((stake["unconfirmed_usd"] for stake in stakes.values()), D(0)),
    }


# -- the marts -----------------------------------------------------------------------------------------------------


def _mart(connection: Connection, name: str, *keys: str) -> Amounts:
    return _of(name, connection.execute(f"SELECT * FROM analytics.{name}").fetchall(), *keys)


def test_the_marts_of_amounts_are_what_the_facts_add_up_to(connection: Connection, plain: Plain) -> None:
    sums: list[tuple[str, dict[Any, Any], tuple[str, ...]]] = [
        ("trades", {(key,): row for key, row in plain.trades.items()}, ("execution_id",)),
        ("orders", {(key,): row for key, row in plain.orders.items()}, ("order_id",)),
        (
            "fills",
            {(key,): row | {"computed_fee_usd": plain.computed_fees[key]} for key, row in plain.fills.items()},
            ("fill_id",),
        ),
        ("signals", {(key,): row for key, row in plain.signals.items()}, ("signal_id",)),
        ("positions", plain.positions, ("mode", "venue", "market_id", "outcome")),
    ]
    for name, rows, keys in sums:
        expected = {
            (f"{name}.{amount}", *key): value
            for key, row in rows.items()
            for amount, value in row.items()
            if amount.endswith("_usd")
        }
        assert _mart(connection, name, *keys) == expected, name
    days = {row["mode"]: row for row in connection.execute("SELECT * FROM analytics.pnl_daily")}
    for mode, day in plain.days.items():
        assert days[mode]["kalshi_cash_change_usd"] + days[mode]["polymarket_cash_change_usd"] == day["cash_change_usd"]
        assert {name: days[mode][name] for name in day} == dict(day)
    stakes = {
        (r["mode"], r["group_id"], r["market_id"]): r for r in connection.execute("SELECT * FROM analytics.exposure")
    }
    assert {key for key, row in stakes.items() if row["tied_up_usd"] or row["unconfirmed_usd"]} <= set(plain.at_stake)
    for key, stake in plain.at_stake.items():
        tied = max(D(0), stake["spent_usd"] + stake["reserved_usd"])
        found = tuple(stakes[key][name] for name in ("spent_usd", "reserved_usd", "unconfirmed_usd", "tied_up_usd"))
        assert found == (stake["spent_usd"], stake["reserved_usd"], stake["unconfirmed_usd"], tied), key


def test_one_of_two_legs_bought_is_hedged_by_nothing(connection: Connection) -> None:
    hedged = {
        row["execution_id"]: row["hedged_contracts"]
        for row in connection.execute("SELECT execution_id, hedged_contracts FROM analytics.trades")
    }
    assert (hedged[1], hedged[2], hedged[5], hedged[6]) == (0, 4, 0, 10)


# -- the dashboard's reads -----------------------------------------------------------------------------------------


def test_every_amount_the_dashboard_reads_is_the_marts_and_the_facts(connection: Connection, plain: Plain) -> None:
    shown: Amounts = {}
    expected: Amounts = {}
    rows = trades.load_trades(connection, limit=100).rows
    shown |= _of("TradeRow", rows, "execution_id")
    expected |= _expected_trades(plain, "TradeRow")
    for row in rows:
        detail = trades.load_trade(connection, row.execution_id)
        assert detail is not None
        shown |= _of("OrderRow", detail.orders, "order_id") | _of("FillRow", detail.fills, "fill_id")
    for number, order in plain.orders.items():
        expected |= {(f"OrderRow.{name}", number): amount for name, amount in order.items()}
    for number, fill in plain.fills.items():
        expected |= {(f"FillRow.{name}", number): amount for name, amount in fill.items()}
    shown |= _of("OpportunityRow", opportunities.load_opportunities(connection).rows, "signal_id")
    expected |= _expected_signals(plain, "OpportunityRow")
    held = portfolio.load_positions(connection)
    shown |= _of("PositionRow", held, "mode", "venue", "market_id", "outcome")
    open_names = ("cost_usd", "value_usd", "unrealised_pnl_usd")
    expected |= {
        (f"PositionRow.{name}", *key): position[name]
        for key, position in plain.positions.items()
        if position["contracts"]
        for name in open_names
    }
    assert {(row.market_id, row.outcome, row.mark) for row in held} == {
        (key[2], key[3], MIDS[key[2]] if key[3] == "yes" else 1 - MIDS[key[2]])
        for key, position in plain.positions.items()
        if position["contracts"]
    }
    shown |= _of("PnlSummary", [portfolio.load_pnl_summary(connection)])
    expected |= {(f"PnlSummary.{name}",): amount for name, amount in _expected_summary(plain).items()}
    shown |= _of("PnlDay", portfolio.load_pnl_days(connection), "mode")
    for mode, day in plain.days.items():
        expected |= {(f"PnlDay.{name}", mode): day[name] for name in ("realised_pnl_usd", "fees_usd")}
    shown |= _of("PnlPoint", portfolio.load_pnl_curve(connection), "execution_id")
    total = D(0)
    for number, trade in plain.trades.items():
        if trade["realised_pnl_usd"] is not None:
            total += trade["realised_pnl_usd"]
            expected |= {("PnlPoint.realised_pnl_usd", number): trade["realised_pnl_usd"]}
            expected |= {("PnlPoint.total_usd", number): total}
    shown |= _of("Exposure", [risk.load_exposure(connection, "live")])
    expected |= {(f"Exposure.{name}",): amount for name, amount in _expected_exposure(plain, connection).items()}
    shown |= _of("BalanceRow", portfolio.load_balances(connection), "venue")
    for venue in ("kalshi", "polymarket"):
        expected |= {("BalanceRow.cash_usd", venue): D("91.5"), ("BalanceRow.ledger_cash_usd", venue): D("92.75"),
                     ("BalanceRow.difference_usd", venue): D("-1.25")}  # fmt: skip
    shown |= _shown_execution(execution.load_execution_report(connection))
    expected |= _expected_execution(plain)
    assert shown == expected
    assert {key[0] for key in shown} == {name for record in _read_types() for name in _usd_fields(record)} - OFFERED


def _read_types() -> Iterator[type]:
    """Yield every dataclass of app.queries, wherever it is defined."""
    for found in pkgutil.walk_packages(app.queries.__path__, "app.queries."):
        module = importlib.import_module(found.name)
        for _, record in inspect.getmembers(module, inspect.isclass):
            if dataclasses.is_dataclass(record) and record.__module__ == module.__name__:
                yield record


def test_the_amounts_of_a_trades_legs_are_those_of_its_fills(connection: Connection, plain: Plain) -> None:
    shown = {
        (row.execution_id, leg["market_id"], leg["outcome"]): {
            name: D(amount) for name, amount in leg.items() if name.endswith("_usd")
        }
        for row in trades.load_trades(connection, limit=100).rows
        for leg in row.legs
    }
    assert shown == plain.legs


# -- API, commands, closing summary --------------------------------------------------------------------------------


def test_every_amount_the_api_answers_is_the_marts_and_the_facts(settings: Settings, plain: Plain) -> None:
    with TestClient(create_app(settings), base_url="http://127.0.0.1:8000") as client:
        shown = _of("Trade", client.get("/api/trades").json()["items"], "execution_id")
        shown |= _of("Opportunity", client.get("/api/opportunities").json()["items"], "signal_id")
        shown |= _of("Health", [client.get("/api/health").json()])
        shown |= _shown_execution(client.get("/api/execution").json())
    expected = _expected_trades(plain, "Trade") | _expected_signals(plain, "Opportunity")
    expected |= {("Health.pnl_usd",): _expected_summary(plain)["realised_usd"]} | _expected_execution(plain)
    assert shown == expected
    modules = (schemas, execution_schemas)
    answers = [
        r for module in modules for _, r in inspect.getmembers(module, inspect.isclass) if issubclass(r, BaseModel)
    ]
    assert {key[0] for key in shown} == {name for record in answers for name in _usd_fields(record)} - OFFERED


def _in_document(document: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of every field of a document that ends in _usd, wherever it stands."""
    if isinstance(document, dict):
        for name, value in document.items():
            if name.endswith("_usd"):
                yield f"{path}{name}", value
            else:
                yield from _in_document(value, f"{path}{name}.")
    elif isinstance(document, (list, tuple)):
        for number, value in enumerate(document):
            yield from _in_document(value, f"{path}{number}.")


def _check_summary(document: dict[str, Any], plain: Plain) -> None:
    expected: dict[str, Decimal | None] = {"pnl_usd": _expected_summary(plain)["realised_usd"]}
    for place, trade in enumerate(document["trades"]):
        sums = plain.trades[trade["id"]]
        expected |= {f"trades.{place}.edge_usd": sums["expected_edge_usd"],
                     f"trades.{place}.pnl_usd": sums["realised_pnl_usd"]}  # fmt: skip
        for number, leg in enumerate(trade["legs"]):
            amounts = plain.legs[trade["id"], leg["market_id"], leg["outcome"]]
            expected |= {f"trades.{place}.legs.{number}.{name}": amount for name, amount in amounts.items()}
    shown = {path: None if value is None else D(value) for path, value in _in_document(document)}
    assert len(document["trades"]) == len(plain.trades)
    assert shown == expected


def test_every_amount_of_the_closing_summary_is_the_marts_and_the_facts(settings: Settings, plain: Plain) -> None:
    supervisor = Supervisor(settings, print)
    supervisor._watchdog = ReaderWatchdog(lambda: "", ReaderLimits(), 1.0)  # as once the database is ready
    _check_summary(supervisor._summary(), plain)
    with connect(str(settings.database_url and settings.database_url.get_secret_value())) as connection:
        _check_summary(system_status(connection), plain)


def test_every_amount_the_commands_print_is_the_marts_and_the_facts(
    settings: Settings, connection: Connection, plain: Plain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system, "read_state", lambda home: RunningState(pid=1, addresses={}, is_ready=True))
    status = CliRunner().invoke(cli, ["status", "--json"])
    assert status.exit_code == 0, status.output
    _check_summary(json.loads(status.stdout), plain)
    trade_status = CliRunner().invoke(cli, ["trade", "status", "--json"])
    assert trade_status.exit_code == 0, trade_status.output
    document = json.loads(trade_status.stdout)
    assert set(document.pop("limits_usd")) == SETTINGS_USD
    expected = _expected_exposure(plain, connection)
    shown = {path: D(value) for path, value in _in_document(document)}
    assert shown == {
        "tied_up_usd": expected["total_usd"],
        "unconfirmed_usd": expected["unconfirmed_usd"],
        "realised_today_usd": expected["realised_today_usd"],
    }
    compared = {path.rsplit(".", 1)[-1] for path in shown} | {"limits_usd", "pnl_usd", "edge_usd"}
    assert _named_in_commands() == compared | FROM_ARGUMENTS


def _named_in_commands() -> set[str]:
    """Return every name ending in _usd that the source of a command names."""
    files = Path(app.cli.__path__[0]).glob("*.py")
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text())))
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith("_usd")
    }
