"""A sweep over mutated real listings: it never ends, what is whole is stored, and each bad entry is one dead letter."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestration.discovery.sources.kalshi import KalshiSource
from orchestration.discovery.sources.polymarket import PolymarketSource
from orchestration.discovery.sweep import PageFailed, SweepSummary, sweep
from orchestration.discovery.venue_sweep import alarm_dead_letters
from streams.market.errors import MalformedFrame, NotFound, StreamsError, TransientError, UnreadableAnswer
from streams.market.identity import Venue
from streams.storage.database import Connection, connect
from streams.storage.discovered.listings import load_markets, unfinished_markets
from streams.storage.discovered.sweeps import last_watermark
from streams.storage.store.wanted import resolve_wanted
from streams.venues.common.paging import Page
from streams.venues.kalshi.types.catalogue import Series, parse_series
from streams.venues.kalshi.types.listings import parse_market as parse_kalshi
from streams.venues.polymarket.gamma.listings import parse_market

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def gamma(number: int, **more: Any) -> dict[str, Any]:
    return {
        "id": str(number), "conditionId": f"0x{number:064x}", "question": f"Will {number} win?", "slug": f"m-{number}",
        "description": "Rules.", "outcomes": '["Yes", "No"]', "outcomePrices": '["0.41", "0.59"]',
        "clobTokenIds": f'["{number}1", "{number}2"]', "active": True, "closed": False, "acceptingOrders": True,
        "startDate": "2026-01-01T00:00:00Z", "endDate": "2026-12-01T00:00:00Z", "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5, "negRisk": False, "enableOrderBook": True,
        "events": [{"id": f"e{number}", "title": "T"}], **more,
    }  # fmt: skip


def kalshi(ticker: str, **more: Any) -> dict[str, Any]:
    return {
        "ticker": ticker, "event_ticker": "KXE", "title": "T", "rules_primary": "R", "status": "active",
        "close_time": "2026-12-01T00:00:00Z", "result": "", "settlement_timer_seconds": 300, **more,
    }  # fmt: skip


class Gamma:
    def __init__(self, *pages: list[Any], repeats: bool = False) -> None:
        self.pages, self.repeats = list(pages), repeats

    async def gamma_markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[Any]:
        if "condition_ids" in filters:
            return Page([], "")
        number = int(cursor or 0)
        last = number + 1 >= len(self.pages)
        return Page(self.pages[number], str(number) if last and self.repeats else "" if last else str(number + 1))


class Kalshi:
    def __init__(self, *events: Any) -> None:
        self.entries = list(events)

    async def events_page(self, cursor: str = "", *, status: str | None = None) -> Page[Any]:
        return Page(self.entries if status == "open" else [], "")

    async def markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[Any]:
        return Page([], "")

    async def series_list(self) -> list[Series]:
        return [parse_series({"ticker": "KXS"})]

    async def series(self, series_ticker: str) -> Series:
        return parse_series({"ticker": series_ticker})


@pytest.fixture(scope="module")
def stored(postgres_dsn: str, migrated_template: str) -> Iterator[Connection]:
    from tests.conftest import new_database  # a database of its own for the module

    with new_database(postgres_dsn, migrated_template) as address, connect(address) as opened:
        yield opened


@pytest.fixture
def connection(stored: Connection) -> Connection:
    empty(stored)
    return stored


def empty(connection: Connection) -> None:
    connection.execute(
        "TRUNCATE raw.market_state, raw.market_versions, raw.market_ids, raw.events, raw.series, raw.dead_letters,"
        " raw.discovery_sweeps, trading.alerts CASCADE"
    )


def take(connection: Connection, lists: Gamma | Kalshi) -> SweepSummary:
    clock = lambda: NOW  # noqa: E731
    source: Any = (
        PolymarketSource(lists, clock) if isinstance(lists, Gamma) else KalshiSource(lists, {}, lambda _: {}, clock)  # type: ignore[arg-type]
    )
    return asyncio.run(sweep(connection, source, full=True, now=NOW, retries=0))


def letters(connection: Connection) -> list[tuple[bytes, str]]:
    rows = connection.execute("SELECT raw, reason FROM raw.dead_letters ORDER BY dead_letter_id").fetchall()
    return [(bytes(row["raw"]), row["reason"]) for row in rows]


BAD = [
    {"question": "X\x00"}, {"question": "X\ud800"}, {"image": "X\x00"}, {"events": [None]}, {"events": {}},
    {"endDate": "9999-12-31T23:59:59Z"}, {"customLiveness": 10**15}, {"customLiveness": 10**30}, {"deep": 10**30},
    {"conditionId": 1.0446573723467221e77}, {"conditionId": "0x12"}, {"outcomes": '["Yes", "yes"]'},
    {"outcomes": '["No", "Other"]'}, {"outcomes": '["Yes"]'}, {"outcomes": "Yes"}, {"clobTokenIds": '["31", "31"]'},
    {"clobTokenIds": [1.0446573723467221e77, 2.0]}, {"clobTokenIds": '["31"]'}, {"clobTokenIds": '["a", "b"]'},
    {"clobTokenIds": '["11", "99"]'}, {"outcomePrices": '["0.5"]'}, {"closed": "perhaps"}, {"negRisk": 7},
    {"endDate": "soon"}, {"endDate": 1_800_000_000}, {"orderMinSize": "1_000"}, {"orderMinSize": " 5 "},
    {"question": ["list"]}, {"orderPriceMinTickSize": float("inf")}, {"volume": {"x": float("inf")}},
]  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=repr)
def test_a_bad_market_is_a_dead_letter_and_the_sweep_goes_on(connection: Connection, change: dict[str, Any]) -> None:
    summary = take(connection, Gamma([gamma(1), gamma(2) | change], [gamma(3)]))
    assert {market.listing.market_id for market in load_markets(connection)} == {f"0x{n:064x}" for n in (1, 3)}
    assert (summary.counts.seen, summary.malformed) == (2, 1)
    [(raw, reason)] = letters(connection)
    assert b"m-2" in raw
    assert reason


@pytest.mark.parametrize(
    "change",
    [
        {"volume": "many"}, {"category": 7}, {"slug": 5}, {"bestBid": []}, {"outcomePrices": '["x", "y"]'},
        {"id": {}}, {"updatedAt": 4}, {"question": "C:\\u0000"}, {"startDate": "0001-01-01T00:00:00Z"},
        {"endDate": "0001-01-01T00:00:00Z"}, {"endDate": ""}, {"startDate": "soon"}, {"slug": "long-" * 2_000},
        {"id": "9" * 5_000},
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_only_shown_costs_its_field(connection: Connection, change: dict[str, Any]) -> None:
    assert take(connection, Gamma([gamma(1, **change)])).malformed == 0
    [market] = load_markets(connection)
    assert (market.status, market.terms.yes_token) == ("open", "11")


@pytest.mark.parametrize(
    "entry",
    [
        None, 7, [], {"event_ticker": "KXB", "markets": "list"}, {"event_ticker": "KXB", "title": "X\x00"},
        {"event_ticker": "KXB", "title": ["x"]}, {"event_ticker": "KXE", "markets": [None]},
        {"event_ticker": "KXE", "markets": [kalshi("KXE-2", title="X\x00")]},
        {"event_ticker": "KXE", "markets": [kalshi("KXE-2", event_ticker="KXOTHER")]},
        {"event_ticker": "KXE", "markets": [kalshi("KXE 2;")]},
        {"event_ticker": "KXE", "markets": [kalshi("KXE-2", settlement_timer_seconds=10**18)]},
    ],
    ids=lambda entry: repr(entry)[:60],
)  # fmt: skip
def test_a_bad_event_or_market_of_kalshi_costs_itself(connection: Connection, entry: Any) -> None:
    good = {"event_ticker": "KXE", "series_ticker": "KXS", "title": "E", "markets": [kalshi("KXE-1")]}
    summary = take(connection, Kalshi(entry, good))
    assert [market.listing.market_id for market in load_markets(connection)] == ["KXE-1"]
    assert summary.malformed == len(letters(connection)) == 1


@pytest.mark.parametrize("error", [UnreadableAnswer(b"<html>", "a page"), TransientError("500"), NotFound("gone")])
def test_a_list_of_series_that_cannot_be_had_costs_itself(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, error: StreamsError
) -> None:
    async def fail(_lists: Kalshi) -> list[Series]:
        raise error

    monkeypatch.setattr(Kalshi, "series_list", fail)
    event = {"event_ticker": "KXE", "series_ticker": "KXS", "title": "T", "markets": [kalshi("KXE-1")]}
    summary = take(connection, Kalshi(event))
    assert [market.listing.market_id for market in load_markets(connection)] == ["KXE-1"]
    assert summary.malformed == 1
    assert "the list of series" in letters(connection)[0][1]


class Spoiled(Gamma):
    """A list whose page of a number comes as nonsense, with or without a word on where the list goes on."""

    def __init__(self, *pages: list[Any], page: int, told: str | None) -> None:
        super().__init__(*pages)
        self.page, self.told = page, told

    async def gamma_markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[Any]:
        if "condition_ids" not in filters and int(cursor or 0) == self.page:
            raise UnreadableAnswer(b"{nonsense", "answer is not JSON", self.told)
        return await super().gamma_markets_page(cursor, limit=limit, **filters)


def test_a_page_that_cannot_even_be_taken_apart_costs_itself(connection: Connection) -> None:
    summary = take(connection, Spoiled([gamma(1)], [gamma(2)], [gamma(3)], page=1, told="2"))
    assert {market.listing.market_id for market in load_markets(connection)} == {f"0x{n:064x}" for n in (1, 3)}
    assert (summary.lost_pages, summary.malformed, summary.gone) == (1, 1, 0)
    alarm_dead_letters(connection, Venue.POLYMARKET, summary, 1.0)
    row = connection.execute("SELECT message FROM trading.alerts WHERE cleared_at IS NULL").fetchone()
    assert row is not None
    assert "1 of its pages cannot be read" in row["message"]
    with pytest.raises(PageFailed):
        take(connection, Spoiled([gamma(1)], [gamma(2)], page=0, told=None))


@pytest.mark.parametrize("told", ["1", ""])
def test_kalshi_goes_on_behind_such_a_page(connection: Connection, told: str) -> None:
    class Lists(Kalshi):
        async def events_page(self, cursor: str = "", *, status: str | None = None) -> Page[Any]:
            if status == "open" and not cursor:
                raise UnreadableAnswer(b"{nonsense", "answer is not JSON", told)
            ticker = f"KX{status or ''}{cursor}".upper()
            return Page([{"event_ticker": ticker, "title": "T", "markets": [kalshi("M", event_ticker=ticker)]}], "")

    summary = take(connection, Lists())
    assert summary.lost_pages == 1
    rows = connection.execute("SELECT event_id FROM raw.events ORDER BY 1").fetchall()
    expected = ["KXOPEN1", "KXUNOPENED"] if told else ["KXUNOPENED"]
    assert [row["event_id"] for row in rows] == expected


def test_markets_that_are_never_shown_again_do_not_keep_out_the_others(connection: Connection) -> None:
    over = {"endDate": "2026-11-02T00:00:00Z"}
    take(connection, Gamma([gamma(number, **over) for number in range(1, 6)]))
    later = NOW + timedelta(days=20)
    asked = [tuple(unfinished_markets(connection, Venue.POLYMARKET, later, 2)) for _ in range(100)]
    assert all(len(ids) == 2 for ids in asked)
    assert {market_id for ids in asked for market_id in ids} == {f"0x{number:064x}" for number in range(1, 6)}


def test_a_list_that_gives_its_cursor_again_is_stored_and_read_again_later(connection: Connection) -> None:
    summary = take(connection, Gamma([gamma(1)], [gamma(2), gamma(2)], repeats=True))
    assert (summary.counts.seen >= 2, summary.repeated_cursors, len(load_markets(connection))) == (True, 1, 2)
    assert last_watermark(connection, Venue.POLYMARKET) is None
    assert letters(connection)[0][1] == "the venue repeats a page cursor"


class CutShort(Gamma):
    """Pages of which the second's cursor cannot be read, for some attempts."""

    def __init__(self, attempts: int) -> None:
        super().__init__([gamma(1)], [gamma(2)], [gamma(3)])
        self.attempts = attempts

    async def gamma_markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[Any]:
        page = await super().gamma_markets_page(cursor, limit=limit, **filters)
        if cursor != "1" or not self.attempts:
            return page
        self.attempts -= 1
        return Page(page.items, "", (), UnreadableAnswer(b'"c\\u0000"', "next_cursor: an escaped NUL"))


def test_an_unreadable_cursor_keeps_its_page_and_is_reported(connection: Connection) -> None:
    summary = take(connection, CutShort(attempts=1))
    assert (summary.unreadable_cursors, summary.gone, len(load_markets(connection))) == (1, 0, 2)
    assert last_watermark(connection, Venue.POLYMARKET) is None
    assert letters(connection) == [(b'"c\\u0000"', "next_cursor: an escaped NUL")]
    alarm_dead_letters(connection, Venue.POLYMARKET, summary, 0.9)
    [row] = connection.execute("SELECT message FROM trading.alerts WHERE cleared_at IS NULL").fetchall()
    assert "1 of its lists broke off" in row["message"]


def test_an_unreadable_cursor_is_asked_for_again(connection: Connection) -> None:
    source: Any = PolymarketSource(CutShort(attempts=1), lambda: NOW)

    async def wait(_: float) -> None:
        return None

    summary = asyncio.run(sweep(connection, source, full=True, now=NOW, retries=1, wait=wait))
    assert (summary.unreadable_cursors, len(load_markets(connection)), letters(connection)) == (0, 3, [])


def test_kalshi_goes_on_with_the_next_list_where_one_breaks_off(connection: Connection) -> None:
    class Broken(Kalshi):
        async def events_page(self, cursor: str = "", *, status: str | None = None) -> Page[Any]:
            if status == "open":
                return Page(self.entries[:1], "", (), UnreadableAnswer(b"", "cursor: odd"))
            return Page(self.entries[1:], "")

    events = [{"event_ticker": "KXE", "markets": [kalshi(f"KXE-{n}")]} for n in (1, 2)]
    summary = take(connection, Broken(*events))
    assert (summary.unreadable_cursors, len(load_markets(connection))) == (1, 2)


def test_above_a_share_it_is_an_alert_which_a_good_sweep_closes(connection: Connection) -> None:
    open_ones = "SELECT message FROM trading.alerts WHERE cleared_at IS NULL AND kind = 'dead_letters'"
    alarm_dead_letters(connection, Venue.POLYMARKET, take(connection, Gamma([gamma(1), None])), 0.1)
    [row] = connection.execute(open_ones).fetchall()
    assert "1 of 2" in row["message"]
    alarm_dead_letters(connection, Venue.POLYMARKET, take(connection, Gamma([gamma(1)])), 0.1)
    assert connection.execute(open_ones).fetchall() == []


def test_an_unknown_status_is_kept_and_not_matched(connection: Connection) -> None:
    take(connection, Kalshi({"event_ticker": "KXE", "markets": [kalshi("KXE-1", status="suspended_by_regulator")]}))
    assert load_markets(connection) == []
    assert [market.status for market in load_markets(connection, statuses=["unknown"])] == ["unknown"]


def test_a_market_without_tokens_is_not_open_and_never_recorded(connection: Connection) -> None:
    take(connection, Gamma([gamma(1, clobTokenIds=None)]))
    [market] = load_markets(connection)
    assert (market.status, market.terms.yes_token) == ("unopened", "")
    assert resolve_wanted(connection, [f"0x{1:064x}"]) == ([], [f"0x{1:064x}"])


def test_outcomes_are_mapped_by_their_names() -> None:
    market = parse_market(
        gamma(1, outcomes='["No", "Yes"]', outcomePrices='["0", "1"]', closed=True, bestBid=0.9), now=NOW
    )
    assert (market.terms.yes_token, market.terms.no_token, market.listing.outcomes) == ("12", "11", ("Yes", "No"))
    assert (market.result, market.settlement_e4) == ("yes", 10_000)
    assert "yes_bid" not in market.volatile
    upper = parse_market(gamma(171) | {"conditionId": f"0x{171:064X}"}, now=NOW)
    assert upper.listing.market_id == f"0x{171:064x}"
    assert parse_market(gamma(1, clobTokenIds="[11, 12]"), now=NOW).terms.yes_token == "11"


@pytest.mark.parametrize("word", ["resolved", "settled", None])
def test_a_traded_price_settles_nothing(word: str | None) -> None:
    shown = gamma(1, outcomePrices='["0.9995", "0.0005"]', closed=True, umaResolutionStatus=word)
    assert parse_market(shown, now=NOW).settlement_e4 is None
    assert parse_market(shown, now=NOW).status == "closed"
    twice = gamma(1, outcomePrices='["1", "1"]', closed=True, umaResolutionStatus=word)
    assert parse_market(twice, now=NOW).settlement_e4 is None
    final = kalshi("KXE-1", status="finalized", result="yes")
    assert parse_kalshi(final).settlement_e4 == 10_000
    assert parse_kalshi(final | {"settlement_value_dollars": "0.9995"}).settlement_e4 is None
    odd = parse_kalshi(final | {"result": "a_new_word"})
    assert (odd.result, odd.settlement_e4) == (None, None)
    with pytest.raises(MalformedFrame):
        parse_kalshi(final | {"result": "scalar", "settlement_value_dollars": "1.5"})


ODD = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1.5,
        1e300,
        10**30,
        "",
        "x",
        "X\x00",
        "\ud800",
        "9999-12-31T23:59:59Z",
        [],
        [None],
        {},
        {"a": 1},
    ]
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(sorted(gamma(2))), ODD, min_size=1, max_size=3))
def test_whatever_one_market_says_the_others_are_stored(stored: Connection, changes: dict[str, Any]) -> None:
    empty(stored)
    mutated = copy.deepcopy(gamma(2)) | changes
    summary = take(stored, Gamma([gamma(1), mutated, gamma(3)]))
    ids = {row["market_id"] for row in stored.execute("SELECT market_id FROM raw.market_state").fetchall()}
    assert {f"0x{n:064x}" for n in (1, 3)} <= ids
    assert summary.counts.seen == len(ids)
    assert summary.counts.seen + summary.malformed == 3
    assert len(letters(stored)) == summary.malformed
