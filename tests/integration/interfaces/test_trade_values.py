"""Locked floor, value if sold now and settled cash of a trade, side by side, and what its capital brought."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from app.cli.main import cli
from app.queries.trades import TradeFilter, TradeRow, load_open_values, load_trades
from orchestration.execution.booking import book_facts
from orchestration.execution.decide.ledger import ConfirmedFill, FillFact, Payment
from orchestration.execution.decide.postings import Subject
from streams.market.identity import Venue
from streams.storage.database import Connection, connect
from streams.storage.store.executions import close_if_empty
from streams.storage.store.hedges.fences import Fence
from tests.support.fake_venue import KALSHI_MARKET, POLYMARKET_MARKET, seed_group, seed_signal

ONE = 1_000_000
NOW = datetime.now(UTC)
DAYS = 10


class Scope:
    mode, environment = "live", "sandbox"

    def payout_step_e6(self, venue: Venue) -> int:
        return 1


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    """A hedge of ten contracts at 0.45 and 0.50, ten days old; its second leg is not confirmed."""
    with connect(database) as opened:
        seed_group(opened)
        opened.execute(
            """INSERT INTO trading.executions (signal_id, attempt, group_id, environment, mode, state, epoch, edge_usd,
                   contracts_e6, started_at, expected_pnl_e6, updated_at)
                   VALUES (%s, 1, 'g1', 'sandbox', 'live', 'HEDGED', 1, 0.05,
                   10000000, %s, 150000, now())""",
            (seed_signal(opened, 1), NOW - timedelta(days=DAYS)),
        )
        for fact in (kalshi(), polymarket()):
            _order(opened, fact)
            book_facts(opened, Scope(), [fact], NOW - timedelta(days=DAYS))
        yield opened


def kalshi() -> FillFact:
    return FillFact("k", Venue.KALSHI, KALSHI_MARKET, "yes", "buy", 10 * ONE, 4_500_000, 173_300, 1, 1)


def polymarket() -> FillFact:
    return FillFact("p", Venue.POLYMARKET, POLYMARKET_MARKET, "no", "buy", 10 * ONE, 5_000_000, 100_000, 1, 2, True)


def _order(connection: Connection, fact: FillFact) -> None:
    connection.execute(
        """WITH i AS (INSERT INTO trading.intents (execution_id, leg_no, purpose, venue, market_id, outcome, action,
               limit_price_e4, size_e6, reserved_e6, epoch, environment, decided_at, expires_at, created_at)
               VALUES (1, %(leg)s, 'open', %(venue)s, %(market)s, %(outcome)s, 'buy', 5000, %(size)s, 1, 1, 'sandbox',
               now(), now(), now()) RETURNING intent_id),
           o AS (INSERT INTO trading.orders (intent_id, venue, client_order_id, state, request, environment,
           prepared_at)
               SELECT intent_id, %(venue)s, %(key)s, 'filled', '{}', 'sandbox', now() FROM i RETURNING order_id)
           INSERT INTO trading.fills (order_id, venue, venue_fill_id, market_id, outcome, action, contracts_e6, cash_e6,
               fee_e6, state, filled_at, payload, environment, recorded_at)
           SELECT order_id, %(venue)s, %(key)s, %(market)s, %(outcome)s, 'buy', %(size)s, %(cash)s, %(fee)s,
               'confirmed', now(), '{}', 'sandbox', now() FROM o""",
        {
            "leg": 0 if fact.venue is Venue.KALSHI else 1,
            "venue": fact.venue.value,
            "market": fact.market_id,
            "outcome": fact.outcome,
            "size": fact.contracts_e6,
            "key": fact.fill_key,
            "cash": fact.cash_e6,
            "fee": fact.fee_e6,
        },
    )


def quote(connection: Connection, venue: str, market: str, bid: int, ask: int) -> None:
    connection.execute("SELECT raw.ensure_day('quotes', current_date, now())")
    connection.execute(
        """INSERT INTO raw.quotes (received_at, venue, market_id, bid_e4, bid_size_e6, ask_e4, ask_size_e6, state,
               segment_id, frame_offset) VALUES (clock_timestamp(), %s, %s, %s, 1000000, %s, 1000000, 'live', 1, 1)""",
        (venue, market, bid, ask),
    )


def trade(connection: Connection) -> TradeRow:
    return load_trades(connection, TradeFilter(execution_id=1)).rows[0]


def test_what_is_locked_what_a_sale_would_bring_and_what_is_final_stand_side_by_side(connection: Connection) -> None:
    found = trade(connection)
    assert found.locked_floor_usd == Decimal("0.15")
    assert found.exit_value_usd is None, "nobody bids"
    # What Polymarket has matched and not confirmed is not final.
    assert found.settled_cash_usd == Decimal("-4.6733")
    quote(connection, "kalshi", KALSHI_MARKET, 4_800, 4_900)
    assert trade(connection).exit_value_usd is None, "nobody bids for the other leg"
    quote(connection, "polymarket", POLYMARKET_MARKET, 4_500, 4_900)
    # YES sells at 0.48 and NO at 0.51. Fees: 0.07 x 10 x 0.48 x 0.52 = 0.17472, rounded up to 0.1748;
    # 0.04 x 10 x 0.51 x 0.49 = 0.09996.
    assert trade(connection).exit_value_usd == Decimal("-9.7733") + Decimal("9.9") - Decimal("0.1748") - Decimal(
        "0.09996"
    )
    book_facts(connection, Scope(), [ConfirmedFill(polymarket())], NOW)
    assert trade(connection).settled_cash_usd == Decimal("-9.7733")
    values = load_open_values(connection)
    assert (values.trades, values.floor_usd, values.without_exit) == (1, Decimal("0.15"), 0)
    assert values.settled_usd == Decimal("-9.7733")


def test_what_capital_brought_is_measured_by_the_days_it_was_tied_up(connection: Connection) -> None:
    found = trade(connection)
    assert found.return_on_capital is None, "it is not settled"
    assert found.capital_dollar_days == pytest.approx(Decimal("97.733"), abs=Decimal("0.1"))
    book_facts(connection, Scope(), [ConfirmedFill(polymarket())], NOW)
    yes = Subject(Venue.KALSHI, KALSHI_MARKET, "yes", 1)
    no = Subject(Venue.POLYMARKET, POLYMARKET_MARKET, "no", 1)
    paid = [Payment("s1", yes, 10 * ONE, -10 * ONE), Payment("s2", no, 0, -10 * ONE)]
    book_facts(connection, Scope(), paid, NOW)
    assert close_if_empty(connection, Fence(1, 1))
    found = trade(connection)
    assert found.realised_pnl_usd == found.exit_value_usd == found.locked_floor_usd == Decimal("0.2267")
    # 9.7733 dollars for ten days: 0.2267 / 97.733 x 365.
    assert found.return_on_capital == pytest.approx(Decimal("0.8466"), abs=Decimal("0.01"))


def test_on_the_command_line(database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database)
    result = CliRunner().invoke(cli, ["trade", "list", "--json"])
    (found,) = json.loads(result.stdout)
    assert (found["locked_floor_usd"], found["settled_cash_usd"]) == ("0.150000", "-4.673300")
    assert found["exit_value_usd"] is None
