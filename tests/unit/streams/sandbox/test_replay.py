"""Recorded books played as acts: after each frame the house orders add up to the recorded book."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streams.market.errors import ConfigurationError
from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.model import ParticipantFill, PlaceOrder
from streams.sandbox.replay.recorded_books import Level, read_recording
from streams.sandbox.replay.replay import REPLAY, ReplayFlow
from tests.calibration.offline import OfflineExchange

START_MS = 1_795_200_000_000


def polymarket_file(folder: Path, rows: list[tuple[str, str, str, str, int]]) -> Path:
    """A file of rows (event type, price, side, size, time) of the YES token, with one mirrored row of the other."""
    path = folder / "mlb-aaa-bbb-2025-06-19.csv.gz"
    with gzip.open(path, "wt", newline="") as target:
        writer = csv.writer(target)
        writer.writerow(
            ["market_slug", "asset_id", "market_id", "event_type", "price", "side", "size", "hash", "timestamp"]
        )
        for kind, price, side, size, at in rows:
            writer.writerow(["mlb-aaa-bbb-2025-06-19", "111", "5", kind, price, side, size, f"h{at}", at])
        writer.writerow(["mlb-aaa-bbb-2025-06-19", "222", "5", "price_change", "0.6", "bid", "1", "x", rows[-1][4]])
    return path


SNAPSHOT = [("book", "0.40", "bid", "100", 0), ("book", "0.42", "ask", "50", 0), ("book", "0.43", "ask", "70", 0)]


def sizes(exchange: OfflineExchange, ref: MarketRef) -> dict[Level, int]:
    book = exchange.books[ref]
    return {("bid", price): size for price, size in book.levels("bid")} | {
        ("ask", price): size for price, size in book.levels("ask")
    }


def play(path: Path, until_ms: int, speed: float = 1.0) -> tuple[ReplayFlow, OfflineExchange, MarketRef]:
    flow, exchange = ReplayFlow(path, speed), OfflineExchange()
    fills: list[ParticipantFill] = []
    for now in range(START_MS, START_MS + until_ms + 1, 100):
        fills = exchange.apply(flow.step(now, fills))
    return flow, exchange, next(iter(exchange.books))


def test_a_lost_best_level_is_played_as_a_match(tmp_path: Path) -> None:
    after = [("book", "0.40", "bid", "100", 500), ("book", "0.43", "ask", "20", 500)]
    flow, exchange, ref = play(polymarket_file(tmp_path, SNAPSHOT + after), 600)
    assert exchange.trades == 2  # 50 at 0.42 and 50 of the 70 at 0.43
    assert flow.counts["fill"] == 1
    assert sizes(exchange, ref) == {("bid", 4_000): 100_000_000, ("ask", 4_300): 20_000_000}


def test_level_changes_set_absolute_sizes(tmp_path: Path) -> None:
    after = [("price_change", "0.40", "bid", "130", 200), ("price_change", "0.43", "ask", "0", 300)]
    flow, exchange, ref = play(polymarket_file(tmp_path, SNAPSHOT + after), 400)
    assert sizes(exchange, ref) == {("bid", 4_000): 130_000_000, ("ask", 4_200): 50_000_000}
    assert flow.is_finished


def test_a_level_that_would_cross_waits_until_it_can_stand(tmp_path: Path) -> None:
    after = [("price_change", "0.42", "bid", "10", 200), ("price_change", "0.42", "ask", "0", 400)]
    _, exchange, ref = play(polymarket_file(tmp_path, SNAPSHOT + after), 300)
    assert ("bid", 4_200) not in sizes(exchange, ref)
    _, exchange, ref = play(polymarket_file(tmp_path, SNAPSHOT + after), 500)
    assert sizes(exchange, ref)["bid", 4_200] == 10_000_000
    assert exchange.trades == 0


def test_what_an_outside_order_took_is_put_back(tmp_path: Path) -> None:
    flow, exchange, ref = play(polymarket_file(tmp_path, SNAPSHOT), 100)
    order = next(order for order in exchange.books[ref].orders.values() if order.side == "bid")
    acts = flow.step(
        START_MS + 200, [ParticipantFill(ref, REPLAY, order.key, "bid", 4_000, 30_000_000, 70_000_000, False)]
    )
    assert [(act.price_e4, act.size_e6) for act in acts if isinstance(act, PlaceOrder)] == [(4_000, 30_000_000)]


def test_a_restored_replay_goes_on_where_it_was(tmp_path: Path) -> None:
    after = [("price_change", "0.39", "bid", "5", 500), ("price_change", "0.40", "bid", "0", 900)]
    path = polymarket_file(tmp_path, SNAPSHOT + after)
    flow, _, _ = play(path, 600)
    restored = ReplayFlow(path)
    restored.restore(json.loads(json.dumps(flow.snapshot())))
    assert restored.step(START_MS + 1_000, []) == flow.step(START_MS + 1_000, [])
    assert restored.snapshot() == flow.snapshot()


def test_speed_shortens_the_recorded_time(tmp_path: Path) -> None:
    path = polymarket_file(tmp_path, [*SNAPSHOT, ("price_change", "0.39", "bid", "5", 10_000)])
    assert not play(path, 900)[0].is_finished
    assert play(path, 1_000, speed=10.0)[0].is_finished


def test_a_file_of_no_known_form_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "kalshi_ws_x.json.gz").write_bytes(b"no gzip")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ReplayFlow(tmp_path / "kalshi_ws_x.json.gz")
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigurationError, match="no recorded books"):
        ReplayFlow(tmp_path / "other")


@pytest.mark.parametrize("name", ["kalshi_ws_2026-08-07.json.gz", "polymarket_mlb_2025/mlb-bal-tex-2025-07-01.csv.gz"])
def test_real_recordings_are_reproduced_level_by_level(shared_dir: Path, name: str) -> None:
    path = shared_dir / "data" / "books" / name
    flow, exchange = ReplayFlow(path, speed=100.0), OfflineExchange()
    fills: list[ParticipantFill] = []
    now, compared = START_MS, 0
    while not flow.is_finished:
        fills = exchange.apply(flow.step(now, fills))
        now += 50
        for ref in exchange.books:
            if not flow.is_holding_back(ref):
                assert sizes(exchange, ref) == flow.recorded_book(ref)
                compared += 1
    assert compared > 10
    assert exchange.crossed == 0


def test_a_kalshi_recording_folds_to_the_sum_of_its_frames(shared_dir: Path) -> None:
    path = shared_dir / "data" / "books" / "kalshi_ws_2026-08-07.json.gz"
    books: dict[str, dict[tuple[str, str], int]] = {}
    for entry in json.loads(gzip.decompress(path.read_bytes()))["frames"]:
        message = entry["frame"].get("msg", {})
        if entry["frame"]["type"] == "orderbook_snapshot":
            books[message["market_ticker"]] = {
                (side, price): round(float(size) * 100)
                for side in ("yes", "no")
                for price, size in message.get(f"{side}_dollars_fp") or []
            }
        elif entry["frame"]["type"] == "orderbook_delta":
            book, key = books[message["market_ticker"]], (message["side"], message["price_dollars"])
            book[key] = book.get(key, 0) + round(float(message["delta_fp"]) * 100)
    flow = ReplayFlow(path, speed=1e6)
    flow.step(START_MS, [])
    flow.step(START_MS + 1_000, [])
    for ticker, book in books.items():
        played = flow.recorded_book(MarketRef(Venue.KALSHI, ticker))
        assert sum(size // 10_000 for size in played.values()) == sum(book.values())
        assert len(played) == sum(size > 0 for size in book.values())


def test_the_catalogue_of_a_replay_says_what_is_derived(shared_dir: Path) -> None:
    flow = ReplayFlow(shared_dir / "data" / "books" / "polymarket_mlb_2025" / "mlb-bal-tex-2025-07-01.csv.gz")
    (market,) = flow.catalogue(datetime(2026, 11, 20, tzinfo=UTC)).markets
    assert market.outcomes == ("Orioles", "Rangers")
    assert market.yes_token.startswith("41269832683296687990")
    assert market.price_ranges == ((0, 10_000, 10),)
    assert "rules" in market.derived_fields


def test_all_recorded_books_can_be_read(shared_dir: Path) -> None:
    books = shared_dir / "data" / "books"
    assert len(read_recording(books / "polymarket_mlb_2025").markets) == 7
    assert len(read_recording(books / "kalshi_nba_mvp_l2_2025-12").markets) == 2


def test_whole_books_of_both_venues_are_shown_as_they_were(tmp_path: Path) -> None:
    kalshi = {"yes_dollars": [["0.4100", "600.00"]], "no_dollars": [["0.5000", "500.00"], ["0.5100", "800.00"]]}
    levels = {"bids": [{"price": "0.24", "size": "100"}], "asks": [{"price": "0.785", "size": "10.5"}]}
    rows = [
        {
            "contract_id": "KXLOL-1",
            "venue": "kalshi",
            "ts": "2026-07-23T05:55:55.463Z",
            "raw": {"orderbook_fp": kalshi},
        },
        {
            "contract_id": "0x" + "ab" * 32,
            "venue": "polymarket",
            "ts": "2026-07-23T05:55:12.148Z",
            "raw": {"asset_id": "345", **levels},
        },
    ]
    path = tmp_path / "lol_both_venues.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    recording = read_recording(path)
    polymarket, first = (MarketRef(Venue.POLYMARKET, "0x" + "ab" * 32), MarketRef(Venue.KALSHI, "KXLOL-1"))
    assert recording.markets[polymarket].yes_token == "345"
    assert recording.markets[polymarket].no_token
    assert recording.markets[polymarket].is_fine
    _, exchange, _ = play(path, 44_000)
    assert sizes(exchange, polymarket) == {("bid", 2_400): 100_000_000, ("ask", 7_850): 10_500_000}
    assert sizes(exchange, first) == {
        ("bid", 4_100): 600_000_000,
        ("ask", 5_000): 500_000_000,
        ("ask", 4_900): 800_000_000,
    }
