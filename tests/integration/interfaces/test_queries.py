"""The reads of the interfaces on a real server, seeded and empty."""

from __future__ import annotations

import inspect
from decimal import Decimal

import pytest

from app.queries import books, health, markets, opportunities, pairs, portfolio, risk, spreads, trades
from app.queries.quality import execution
from app.queries.rows import InvalidCursor
from app.queries.status import system_status
from streams.storage.database import Connection, connect
from tests.fixtures.seed_warehouse import PAIR_IDS, as_json

STATUS_KEYS = {"mode", "markets", "candidates", "verdicts", "pairs", "deltas", "gaps", "marts", "signals", "trades"}


def test_every_read_without_arguments_works_on_an_empty_database(database: str) -> None:
    with connect(database) as connection:
        for module in (markets, pairs, opportunities, trades, portfolio, execution, risk, health, spreads):
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_"):
                    required = [
                        parameter
                        for parameter in list(inspect.signature(function).parameters.values())[1:]
                        if parameter.default is parameter.empty
                    ]
                    if not required:
                        function(connection)


def test_the_status_of_an_empty_database_has_every_key(database: str) -> None:
    with connect(database) as connection:
        status = system_status(connection, trading_mode="paper")
    assert set(status) >= STATUS_KEYS | {"pnl_usd"}
    assert status["mode"] == {"venues": "sandbox", "trading": "paper"}
    assert status["gaps"] == {"open": 0, "total": 0}
    assert status["marts"] == []
    assert {view["age_s"] for view in status["views"]} == {None}


def test_the_status_counts_what_is_there(connection: Connection) -> None:
    status = system_status(connection)
    assert status["markets"] == {"kalshi": 46, "polymarket": 46}
    assert status["pairs"] == {"approved": 2, "paused": 1, "proposed": 2, "rejected": 1}
    assert status["deltas"] == 214_523
    assert status["gaps"] == {"open": 0, "total": 12}
    assert status["pnl_usd"] == Decimal("3.09")  # 1.31 - 0.24 - 0.12 + 2.14
    assert [trade["id"] for trade in status["trades"]] == [6, 5, 4, 3, 2, 1]
    assert {mart["name"] for mart in status["marts"]} == {"quotes_1m", "rolling_prices", "pair_spreads_1m"}
    assert all(mart["rows"] > 0 for mart in status["marts"])
    assert {"trades", "positions", "pnl_daily"} <= {view["name"] for view in status["views"]}
    assert all(view["age_s"] is not None for view in status["views"])
    assert sum(status["refusals"].values()) == 16


def test_paging_through_markets_gives_each_once(connection: Connection) -> None:
    seen: list[tuple[str, str]] = []
    cursor = None
    while True:
        page = markets.load_markets(connection, limit=17, cursor=cursor)
        seen += [(row.venue, row.market_id) for row in page.rows]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 92


@pytest.mark.parametrize("cursor", ["nonsense", "bm9wZQ", "WzFd", "", "é", "WyJhXHUwMDAwIiwiYiJd"])
def test_a_cursor_of_another_list_is_refused(connection: Connection, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        markets.load_markets(connection, cursor=cursor)


def test_search_takes_signs_of_patterns_literally(connection: Connection) -> None:
    assert markets.load_markets(connection, markets.MarketFilter(search="%")).rows[0].title.count("%") == 1
    assert markets.load_markets(connection, markets.MarketFilter(search="bitcoin")).rows
    assert not markets.load_markets(connection, markets.MarketFilter(search="no such words")).rows


SEARCHES: list[tuple[str, bool, str]] = [
    ("as it is written", True, "Bitcoin above $100,000 at noon?"),
    ("any case", True, "bITCOIN"),
    ("how a word begins", True, "bitc"),
    ("how several words begin, in any order", True, "noo abov bitc"),
    ("words of title, subtitle, event and id at once", True, "crypto noon yearly kxt"),
    ("the whole id", True, "KXTST-26DEC-B100"),
    ("a part of the id", True, "26dec"),
    ("a number with its sign", True, "$100,000"),
    ("a word that is not English", True, "são"),
    ("between typographic quotes", True, "“Bitcoin”"),
    ("what only the event of its own says", True, "prices"),
    ("signs alone that stand in the title", True, "$"),
    ("a percent sign with words", True, "% bitcoin"),
    ("one word that is not there", False, "bitcoin below"),
    ("the inside of a word", False, "itcoin"),
    ("another sign alone", True, ")"),
    ("several signs alone that stand apart", False, "?$"),
    ("signs alone that stand nowhere", False, "$$"),
    ("quotes and backslashes", False, "'\\'"),
    ("operators of a query", False, "!"),
    ("operators with words", True, "bitcoin & !above | (noon:*) <-> '' \\"),
    ("a word longer than any", False, "b" * 200),
]  # fmt: skip


@pytest.mark.parametrize(("is_found", "search"), [case[1:] for case in SEARCHES], ids=[case[0] for case in SEARCHES])
def test_a_search_finds_markets_by_how_their_words_begin(database: str, is_found: bool, search: str) -> None:
    with connect(database) as connection:
        _list_market(connection, "KXTST-26DEC-B100", "Bitcoin above $100,000 at noon?", "Yearly (São Paulo)")
        connection.execute(
            "INSERT INTO raw.events (venue, event_id, title, category, payload, first_seen_at, last_seen_at)"
            " VALUES ('kalshi', 'E', 'Crypto prices', 'Crypto', '{}', now(), now())"
        )
        assert [
            row.market_id for row in markets.load_markets(connection, markets.MarketFilter(search=search)).rows
        ] == (["KXTST-26DEC-B100"] if is_found else [])


@pytest.mark.parametrize("search", ["\x00", " ", "\x00 \t"])
def test_a_search_for_nothing_finds_all(connection: Connection, search: str) -> None:
    assert len(markets.load_markets(connection, markets.MarketFilter(search=search), limit=200).rows) == 92


def test_a_market_is_listed_by_what_it_and_its_event_say_last(database: str) -> None:
    event = (
        "INSERT INTO raw.events (venue, event_id, title, category, payload, first_seen_at, last_seen_at)"
        " VALUES ('kalshi', 'E', %s, %s, '{}', now(), now())"
        " ON CONFLICT (venue, event_id) DO UPDATE SET title = excluded.title, category = excluded.category"
    )
    with connect(database) as connection:
        connection.execute(event, ("Weather of today", "Weather"))
        _list_market(connection, "M", "Rain?")
        assert markets.load_markets(connection, markets.MarketFilter(category="Weather", search="today")).rows[
            0
        ].event_title == ("Weather of today")
        connection.execute(event, ("Climate", "Science"))
        assert markets.load_categories(connection) == ["Science"]
        assert markets.load_markets(connection, markets.MarketFilter(category="Science", search="climate")).rows
        assert not markets.load_markets(connection, markets.MarketFilter(search="weather")).rows
        _list_market(connection, "M", "Snow?", category="Winter")
        (row,) = markets.load_markets(connection, markets.MarketFilter(category="Winter", search="snow climate")).rows
        assert (row.title, row.event_title) == ("Snow?", "Climate")
        assert not markets.load_markets(connection, markets.MarketFilter(search="rain")).rows
        assert markets.load_categories(connection) == ["Winter"]


def _list_market(connection: Connection, market_id: str, title: str, subtitle: str = "", category: str = "") -> None:
    connection.execute(
        "WITH v AS (INSERT INTO raw.market_versions (venue, market_id, version_hash, text_hash, event_id, title,"
        " subtitle, category, outcomes, status, terms, payload, seen_at) VALUES ('kalshi', %(id)s, %(title)s, 'h', 'E',"
        " %(title)s, %(subtitle)s, %(category)s, '[]', 'open', '{}', '{}', now()) RETURNING version_id)"
        " INSERT INTO raw.market_state (venue, market_id, version_id, status, first_seen_at, last_seen_at)"
        " SELECT 'kalshi', %(id)s, version_id, 'open', now(), now() FROM v"
        " ON CONFLICT (venue, market_id) DO UPDATE SET version_id = excluded.version_id",
        {"id": market_id, "title": title, "subtitle": subtitle, "category": category},
    )


def test_a_recorded_market_shows_its_last_quote(connection: Connection) -> None:
    found = markets.load_markets(connection, markets.MarketFilter(recorded_only=True, venue="kalshi")).rows
    assert len(found) == 6
    assert all(row.bid is not None and row.ask is not None and row.bid < row.ask for row in found)


def test_a_book_is_the_snapshot_with_later_changes_laid_over(connection: Connection) -> None:
    book = books.load_book(connection, "kalshi", "KXFED-26DEC-H0")
    assert book is not None
    assert book.bids[0] == (Decimal("0.6100"), Decimal("77.000000"))
    assert book.updated_at > book.snapshot_at
    assert [price for price, _ in book.bids] == sorted((price for price, _ in book.bids), reverse=True)


def test_a_polled_book_says_so_also_after_it_was_kept_without_a_new_poll(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO raw.book_snapshots (received_at, venue, market_id, reason, bids, asks, is_polled) "
        "VALUES (clock_timestamp(), 'kalshi', 'KXFED-26DEC-H0', 'periodic', '[[4000, 1000000]]', '[]', true)"
    )
    connection.execute(
        "INSERT INTO raw.quotes (received_at, venue, market_id, bid_e4, bid_size_e6, state, is_polled) "
        "VALUES (clock_timestamp(), 'kalshi', 'KXFED-26DEC-H0', 4000, 1000000, 'live', true)"
    )
    connection.execute("UPDATE raw.connections SET is_polled = true WHERE venue = 'kalshi'")
    book = books.load_book(connection, "kalshi", "KXFED-26DEC-H0")
    assert book is not None
    assert book.is_polled
    shown = {
        row.market_id: row.is_polled
        for row in markets.load_markets(connection, markets.MarketFilter(recorded_only=True)).rows
    }
    assert [market_id for market_id, is_polled in shown.items() if is_polled] == ["KXFED-26DEC-H0"]
    assert {row.venue: row.is_polled for row in health.load_connections(connection)} == {
        "kalshi": True,
        "polymarket": False,
    }
    assert markets.load_recent_quotes(connection, "kalshi", "KXFED-26DEC-H0")[-1].is_polled


def test_a_level_that_fell_to_nothing_leaves_the_book(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO raw.book_deltas (received_at, venue, market_id, side, price_e4, size_change_e6, size_after_e6, "
        "segment_id, frame_offset, entry_index, payload) "
        "VALUES (now(), 'kalshi', 'KXFED-26DEC-H0', 'bid', 6100, -77000000, 0, 1, 300, 0, '{}')"
    )
    book = books.load_book(connection, "kalshi", "KXFED-26DEC-H0")
    assert book is not None
    assert book.bids[0][0] == Decimal("0.6000")


def test_a_mart_with_other_columns_is_a_problem_and_not_a_crash(connection: Connection) -> None:
    connection.execute("ALTER TABLE analytics.pair_spreads_1m DROP COLUMN half_life_minutes")
    found = spreads.load_spread_history(connection, PAIR_IDS[0], 6)
    assert found.rows == ()
    assert found.problem is not None
    assert "half_life_minutes" in found.problem


def test_spread_statistics_are_null_until_there_are_enough_observations(connection: Connection) -> None:
    first = spreads.load_spread_history(connection, PAIR_IDS[0], 12).rows[0]
    assert first.z_score is None
    assert first.stddev_60m is None


def test_a_trade_has_its_legs_orders_fills_and_timeline(connection: Connection) -> None:
    detail = trades.load_trade(connection, 4)
    assert detail is not None
    assert detail.trade.state == "ESCALATED"
    assert [leg["filled"] for leg in detail.trade.legs] == ["50.000000", "38.000000"]
    assert len(detail.orders) == len(detail.fills) == 2
    assert detail.events[0].happened_at < detail.events[-1].happened_at
    assert trades.load_trade(connection, 999) is None


def test_opportunities_say_what_became_of_them(connection: Connection) -> None:
    found = opportunities.load_opportunities(connection, limit=100).rows
    assert {row.outcome for row in found} == {"traded", "refused", "passed"} | {"open"} & {row.outcome for row in found}
    assert all(row.refusals for row in found if row.outcome == "refused")
    page = opportunities.load_opportunities(connection, opportunities.OpportunityFilter(reason="cooldown"), limit=1)
    assert page.rows[0].refusals == {"cooldown": 1}


def test_a_no_position_is_marked_at_one_minus_the_mid(connection: Connection) -> None:
    row = next(row for row in portfolio.load_positions(connection) if row.outcome == "no" and row.venue == "polymarket")
    assert row.mark is not None
    assert row.value_usd is not None
    assert Decimal(0) < row.mark < Decimal(1)
    assert row.unrealised_pnl_usd == row.value_usd - row.cost_usd


def test_the_status_is_plain_enough_for_json(connection: Connection) -> None:
    assert "0.0164" in as_json(system_status(connection))
