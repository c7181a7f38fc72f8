"""The chain from two fake venues' lists to groups, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from app.operator_actions import decide_group
from orchestration.discovery.sources.kalshi import KalshiSource
from orchestration.discovery.sources.polymarket import PolymarketSource
from orchestration.discovery.sweep import PageFailed, sweep
from orchestration.pairing.steps import build_groups, judge_candidates, refresh_candidates
from streams.market.errors import NotFound, TransientError
from streams.market.identity import Venue
from streams.settings import Settings
from streams.storage.database import Connection, connect
from streams.storage.discovered.listings import load_events, load_markets, load_series
from streams.storage.discovered.sweeps import last_watermark
from streams.storage.store.decisions.group_decisions import pair_group_id
from streams.storage.store.pairs import approve_in_sandbox, find_pairs, list_pairs, propose_pairs
from streams.venues.common.paging import Page
from streams.venues.kalshi.types.catalogue import (
    Event,
    FeeChange,
    Series,
    parse_event,
    parse_event_fee_change,
    parse_series,
    parse_series_fee_change,
)

NOW = datetime.now(UTC).replace(microsecond=0)
CLOSE = NOW + timedelta(days=40)
DAY = f"{CLOSE:%b} {CLOSE.day}, {CLOSE.year}"
LONG_DAY = f"{CLOSE:%B} {CLOSE.day}"


def kalshi_market(ticker: str, event: str, title: str, rules: str, **more: Any) -> dict[str, Any]:
    """A market in the shape of `GET /markets`."""
    return {
        "ticker": ticker, "event_ticker": event, "title": title, "rules_primary": rules, "rules_secondary": "",
        "yes_sub_title": "", "no_sub_title": "", "status": "active", "open_time": "2026-01-01T00:00:00Z",
        "close_time": CLOSE.isoformat().replace("+00:00", "Z"), "result": "", "settlement_timer_seconds": 300,
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}], "yes_bid_dollars": "0.4000",
        "yes_ask_dollars": "0.4200", "volume_fp": "10.00", "market_type": "binary", **more,
    }  # fmt: skip


def gamma_market(number: int, title: str, rules: str, **more: Any) -> dict[str, Any]:
    """A market in the shape of Gamma's `/markets/keyset`."""
    return {
        "id": str(number), "conditionId": f"0x{number:064x}", "question": title, "slug": f"market-{number}",
        "description": rules, "outcomes": '["Yes", "No"]', "outcomePrices": '["0.41", "0.59"]',
        "clobTokenIds": f'["{number}1", "{number}2"]', "active": True, "closed": False, "acceptingOrders": True,
        "startDate": "2026-01-01T00:00:00Z", "endDate": CLOSE.isoformat().replace("+00:00", "Z"),
        "orderPriceMinTickSize": 0.01, "orderMinSize": 5, "negRisk": False, "enableOrderBook": True,
        "events": [{"id": f"e{number}", "slug": f"event-{number}", "title": title}], **more,
    }  # fmt: skip


class FakeKalshi:
    """Serves events of a dict by pages of two; `failing` cursors fail so many times."""

    def __init__(self) -> None:
        self.events: dict[str, dict[str, Any]] = {}
        self.failing: dict[str, int] = {}
        self.changed: list[dict[str, Any]] = []
        self.fee_changes: list[dict[str, Any]] = []
        self.series_changes: list[dict[str, Any]] = []

    def put(self, event: str, title: str, *markets: dict[str, Any], exclusive: bool = False) -> None:
        self.events[event] = {
            "event_ticker": event, "series_ticker": "KXS", "title": title, "category": "Politics",
            "mutually_exclusive": exclusive, "markets": list(markets),
        }  # fmt: skip

    async def events_page(self, cursor: str = "", *, status: str | None = None) -> Page[dict[str, Any]]:
        if self.failing.get(cursor, 0) > 0:
            self.failing[cursor] -= 1
            raise TransientError("503")
        if status != "open":
            return Page([], "")
        start = int(cursor or 0)
        found = list(self.events.values())
        return Page(found[start : start + 2], str(start + 2) if start + 2 < len(found) else "")

    async def markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[dict[str, Any]]:
        if "series_ticker" in filters and filters["status"] == "open":
            theirs = [e for e in self.events.values() if e["series_ticker"] == filters["series_ticker"]]
            return Page([market for event in theirs for market in event["markets"]], "")
        return Page(self.changed if "min_updated_ts" in filters else [], "")

    async def series_list(self) -> list[Series]:
        return [await self.series("KXS")]

    async def series(self, series_ticker: str) -> Series:
        if series_ticker != "KXS":
            raise NotFound(series_ticker)
        return parse_series(
            {"ticker": "KXS", "title": "S", "category": "Politics", "fee_type": "quadratic", "fee_multiplier": 1}
        )

    async def event(self, event_ticker: str) -> Event:
        return parse_event(self.events[event_ticker])

    async def event_fee_changes(self) -> list[FeeChange]:
        return [parse_event_fee_change(change) for change in self.fee_changes]

    async def series_fee_changes(self, *, show_historical: bool = False) -> list[FeeChange]:
        assert show_historical, "the venue's list of scheduled changes leaves out those that have just begun"
        return [parse_series_fee_change(change) for change in self.series_changes]


class FakeGamma:
    """Serves markets in one page."""

    def __init__(self) -> None:
        self.markets: list[dict[str, Any]] = []

    async def gamma_markets_page(self, cursor: str = "", *, limit: int = 100, **filters: Any) -> Page[dict[str, Any]]:
        return Page([] if "condition_ids" in filters else self.markets, "")


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    with connect(database) as opened:
        yield opened


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None)


async def no_wait(_: float) -> None:
    return None


def run_kalshi(connection: Connection, fake: FakeKalshi, *, full: bool, now: datetime = NOW) -> Any:
    source = KalshiSource(fake, {}, lambda _: {}, lambda: now)
    return asyncio.run(sweep(connection, source, full=full, now=now, retries=2, wait=no_wait))


def run_gamma(connection: Connection, fake: FakeGamma, *, full: bool = True) -> Any:
    return asyncio.run(sweep(connection, PolymarketSource(fake, lambda: NOW), full=full, now=NOW, retries=0))


def visit(country: str, ticker: str) -> dict[str, Any]:
    return kalshi_market(
        ticker, ticker.rsplit("-", 1)[0], f"Will Ada Lovelace visit {country} before {DAY}?",
        f"If Ada Lovelace visits {country} before {DAY}, then the market resolves to Yes.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("minutes", "multiplier"),
    [(1, "1"), (-5, "1"), (30, "0.5"), (-60, "0.5")],
    ids=["soon", "now", "later", "long ago"],
)
def test_an_event_whose_fees_change_is_read_anew_though_nothing_else_of_it_changed(
    connection: Connection, minutes: int, multiplier: str
) -> None:
    fake = FakeKalshi()
    fake.put("KXV-1", "Visits", visit("France", "KXV-1-A"))
    fake.events["KXV-1"]["fee_multiplier_override"] = 0.5
    run_kalshi(connection, fake, full=True)
    at = NOW + timedelta(minutes=minutes)
    fake.fee_changes = [
        {"id": "1", "event_ticker": "KXV-1", "fee_type_override": "quadratic", "fee_multiplier_override": 1,
         "scheduled_ts": at.isoformat().replace("+00:00", "Z")}
    ]  # fmt: skip
    run_kalshi(connection, fake, full=False)
    row = connection.execute("SELECT terms FROM raw.market_versions ORDER BY version_id DESC LIMIT 1").fetchone()
    assert row is not None
    assert row["terms"]["fee_schedule"]["fee_multiplier"] == multiplier


def test_a_series_whose_fees_change_takes_its_markets_with_it_and_later_sweeps_keep_the_new_fees(
    connection: Connection,
) -> None:
    fake = FakeKalshi()
    fake.put("KXV-1", "Visits", visit("France", "KXV-1-A"))
    run_kalshi(connection, fake, full=True)
    fake.series_changes = [
        {"id": "1", "series_ticker": "KXS", "fee_type": "quadratic_with_maker_fees", "fee_multiplier": 2,
         "scheduled_ts": NOW.isoformat().replace("+00:00", "Z")}
    ]  # fmt: skip
    run_kalshi(connection, fake, full=False)
    [stored] = load_markets(connection, venue=Venue.KALSHI)
    fake.series_changes = []
    fake.changed = [visit("Norway", "KXV-1-A")]
    source = KalshiSource(
        fake, load_series(connection, Venue.KALSHI), lambda ids: load_events(connection, Venue.KALSHI, ids), lambda: NOW
    )
    asyncio.run(sweep(connection, source, full=False, now=NOW + timedelta(minutes=1), retries=0))
    [later] = load_markets(connection, venue=Venue.KALSHI)
    schedules = [market.terms.fee_schedule for market in (stored, later)]
    assert [(fees["fee_type"], fees["fee_multiplier"]) for fees in schedules] == [
        ("quadratic_with_maker_fees", "2")
    ] * 2


def gamma_visit(number: int, country: str) -> dict[str, Any]:
    day = CLOSE - timedelta(days=1)
    title = f"Will Ada Lovelace visit {country} by {day:%B} {day.day}?"
    return gamma_market(number, title, f"This market resolves to Yes if Ada Lovelace visits {country} in time.")


@pytest.fixture
def venues(connection: Connection) -> tuple[FakeKalshi, FakeGamma]:
    kalshi, gamma = FakeKalshi(), FakeGamma()
    for country, ticker in (("France", "KXVIS-FR"), ("Norway", "KXVISN-NO"), ("Brazil", "KXVISB-BR")):
        kalshi.put(ticker.rsplit("-", 1)[0], f"Ada Lovelace visits {country}", visit(country, ticker))
    gamma.markets = [gamma_visit(7, "France"), gamma_visit(8, "Norway"), gamma_visit(9, "Peru")]
    run_kalshi(connection, kalshi, full=True)
    run_gamma(connection, gamma)
    return kalshi, gamma


def match(connection: Connection, settings: Settings, *, only_new: bool = False) -> tuple[int, int]:
    refresh_candidates(connection, settings, only_new=only_new)
    judge_candidates(connection, settings, only_new=only_new)
    return propose_pairs(connection, "sandbox")


def test_a_sweep_takes_all_pages_and_a_second_one_changes_nothing(
    connection: Connection, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    assert len(load_markets(connection, venue=Venue.KALSHI)) == 3
    again = run_kalshi(connection, venues[0], full=True, now=NOW + timedelta(minutes=1))
    assert (again.counts.seen, again.counts.new, again.counts.changed, again.gone) == (3, 0, 0, 0)


def test_a_page_that_fails_a_few_times_is_fetched_in_the_end(connection: Connection) -> None:
    fake = FakeKalshi()
    fake.put("KXA", "A", visit("France", "KXA-1"))
    fake.failing = {"": 2}
    assert run_kalshi(connection, fake, full=True).counts.new == 1


def test_a_page_that_fails_finally_names_its_cursor_and_keeps_what_was_fetched(connection: Connection) -> None:
    fake = FakeKalshi()
    for name in "ABCD":
        fake.put(f"KX{name}", name, visit("France", f"KX{name}-1"))
    fake.failing = {"2": 99}
    with pytest.raises(PageFailed, match=r"cursor 'open:2'"):
        run_kalshi(connection, fake, full=True)
    assert len(load_markets(connection)) == 2
    assert last_watermark(connection, Venue.KALSHI) is None


def test_an_incremental_sweep_takes_what_changed_and_finds_its_event(
    connection: Connection, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    fake = venues[0]
    fake.put("KXNEW", "New event", visit("Chile", "KXNEW-CL"))
    fake.changed = [visit("Chile", "KXNEW-CL")]
    summary = run_kalshi(connection, fake, full=False, now=NOW + timedelta(minutes=1))
    assert (summary.kind, summary.counts.new) == ("incremental", 1)
    assert load_markets(connection, market_ids=["KXNEW-CL"])[0].listing.event_title == "New event"


def test_a_malformed_market_becomes_a_dead_letter_and_the_rest_is_kept(connection: Connection) -> None:
    fake = FakeGamma()
    fake.markets = [gamma_visit(1, "France"), {"question": "no id"}]
    summary = run_gamma(connection, fake)
    assert (summary.counts.new, summary.malformed) == (1, 1)
    assert connection.execute("SELECT count(*) AS n FROM raw.dead_letters").fetchone() == {"n": 1}


def test_every_kind_of_id_resolves_to_the_market(connection: Connection, venues: tuple[FakeKalshi, FakeGamma]) -> None:
    condition = f"0x{7:064x}"
    rows = connection.execute("SELECT id, id_kind, venue, market_id FROM raw.market_ids").fetchall()
    found = {row["id"]: (row["id_kind"], row["venue"], row["market_id"]) for row in rows}
    kinds = {"7": "gamma_id", "market-7": "slug", "71": "token", condition: "condition_id"}
    assert {any_id: found[any_id] for any_id in kinds} == {
        any_id: (kind, "polymarket", condition) for any_id, kind in kinds.items()
    }
    assert found["KXVIS-FR"] == ("ticker", "kalshi", "KXVIS-FR")


def test_equal_markets_become_pairs_and_others_do_not(
    connection: Connection, settings: Settings, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    assert match(connection, settings) == (2, 0)
    assert {row.kalshi_market_id for row in list_pairs(connection)} == {"KXVIS-FR", "KXVISN-NO"}
    assert match(connection, settings) == (0, 0)


def test_the_sandbox_approves_above_the_threshold_and_makes_tradable_groups(
    connection: Connection, settings: Settings, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    match(connection, settings)
    assert approve_in_sandbox(connection, Decimal("0.99"), NOW) == (0, 0)
    assert approve_in_sandbox(connection, Decimal("0.85"), NOW) == (2, 0)
    kinds, _, _ = build_groups(connection, settings)
    assert kinds["pair"] == 2
    tradable = connection.execute("SELECT outcomes FROM trading.groups WHERE is_tradable").fetchall()
    assert [len(row["outcomes"]) for row in tradable] == [2, 2]
    assert build_groups(connection, settings)[1:] == (0, 0)


def test_a_persons_rejection_is_never_overwritten_and_ends_the_group(
    connection: Connection, settings: Settings, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    match(connection, settings)
    approve_in_sandbox(connection, Decimal("0.85"), NOW)
    build_groups(connection, settings)
    [pair] = find_pairs(connection, "market-7")
    decide_group(connection, pair_group_id(pair.pair_id), "reject", who="mara", reason="no")
    assert approve_in_sandbox(connection, Decimal("0.85"), NOW) == (0, 0)
    assert [row.state for row in find_pairs(connection, "KXVIS-FR")] == ["rejected"]
    assert build_groups(connection, settings)[2] == 1


def test_an_approval_lapses_when_a_text_changes(
    connection: Connection, settings: Settings, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    match(connection, settings)
    [pair] = find_pairs(connection, "KXVIS-FR")
    decide_group(connection, pair_group_id(pair.pair_id), "approve", who="mara")
    changed = visit("France", "KXVIS-FR") | {"rules_secondary": "Layovers do not count."}
    venues[0].put("KXVIS", "Ada Lovelace visits France", changed)
    run_kalshi(connection, venues[0], full=True, now=NOW + timedelta(minutes=1))
    match(connection, settings, only_new=True)
    [pair] = find_pairs(connection, "KXVIS-FR")
    assert (pair.state, pair.decided_by) == ("lapsed", "mara")
    assert approve_in_sandbox(connection, Decimal("0.85"), NOW)[0] == 1  # the other pair; a person's one is left alone
    assert find_pairs(connection, "KXVIS-FR")[0].state == "lapsed"


def test_a_light_refresh_pairs_a_market_that_appeared_on_either_side(
    connection: Connection, settings: Settings, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    match(connection, settings)
    venues[1].markets.append(gamma_visit(10, "Brazil"))
    run_gamma(connection, venues[1], full=False)
    assert match(connection, settings, only_new=True) == (1, 0)


def test_a_new_price_grid_or_status_asks_no_judge_again(
    connection: Connection, settings: Settings, venues: tuple[FakeKalshi, FakeGamma]
) -> None:
    match(connection, settings)
    venues[1].markets[0] |= {"orderPriceMinTickSize": 0.001, "acceptingOrders": False}
    assert run_gamma(connection, venues[1]).counts.changed == 1
    assert refresh_candidates(connection, settings, only_new=True).candidates == 0
    assert judge_candidates(connection, settings, only_new=True).judged == 0
    assert refresh_candidates(connection, settings, only_new=True).candidates == 0


def test_strikes_of_one_event_make_a_ladder_in_order(connection: Connection, settings: Settings) -> None:
    fake = FakeKalshi()
    rungs = [
        kalshi_market(
            f"KXBTC-T{strike}", "KXBTC", f"Bitcoin price on {DAY} at 5pm EST?",
            f"If the price of Bitcoin per CF Benchmarks is at or above ${strike:,} at 5 PM EST on {DAY}, then the "
            "market resolves to Yes.",
            yes_sub_title=f"${strike:,} or above", strike_type="greater_or_equal", floor_strike=strike,
        )
        for strike in (90_000, 110_000, 100_000)
    ]  # fmt: skip
    fake.put("KXBTC", "Bitcoin price", *rungs)
    run_kalshi(connection, fake, full=True)
    build_groups(connection, settings)
    row = connection.execute("SELECT outcomes, is_tradable FROM trading.groups WHERE kind = 'ladder'").fetchone()
    low, middle, high = (f"kalshi:KXBTC-T{strike}" for strike in (90_000, 100_000, 110_000))
    assert row == {"outcomes": [[], [low], [low, middle], [low, middle, high]], "is_tradable": True}


def test_an_exclusive_event_is_recorded_with_the_outcome_of_none(connection: Connection, settings: Settings) -> None:
    fake = FakeKalshi()
    fake.put("KXE", "Who wins?", visit("France", "KXE-1"), visit("Norway", "KXE-2"), exclusive=True)
    run_kalshi(connection, fake, full=True)
    build_groups(connection, settings)
    row = connection.execute("SELECT outcomes, is_tradable FROM trading.groups WHERE kind = 'event'").fetchone()
    assert row == {"outcomes": [["kalshi:KXE-1"], ["kalshi:KXE-2"], []], "is_tradable": True}


def test_thousands_of_markets_are_stored_in_few_calls(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("execute", "executemany"):
        real = getattr(psycopg.Cursor, name)

        def counted(*arguments: Any, name: str = name, real: Any = real, **options: Any) -> Any:
            calls.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(psycopg.Cursor, name, counted)
    fake = FakeGamma()
    fake.markets = [gamma_visit(number, f"Country{number}") for number in range(1, 2001)]
    assert run_gamma(connection, fake).counts.new == 2000
    assert 0 < len(calls) < 200
