"""Kalshi's public lists, caches, limits, signatures, historical tier and fee changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.sandbox.core.profile import ZERO
from streams.sandbox.kalshi.settings import KalshiVenueSettings
from tests.support.kalshi_venue import CRYPTO, RAIN, START_MS, OfflineKalshi, order

_NOW_S = START_MS // 1000
_BASIC = replace(ZERO, kalshi_tier="basic")
_IOC = {"time_in_force": "immediate_or_cancel", "price": "0.5200"}


def tickers(venue: OfflineKalshi, query: str) -> list[str]:
    """The markets a list has."""
    return [market["ticker"] for market in venue.public(f"/markets?{query}")["markets"]]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", [RAIN, CRYPTO]),
        (f"tickers={RAIN},{CRYPTO}", [RAIN, CRYPTO]),
        ("event_ticker=KXRAIN-26DEC01", [RAIN]),
        ("series_ticker=KXBTCD", [CRYPTO]),
        ("status=open", [RAIN]),
        ("status=settled", [CRYPTO]),
        ("status=paused", []),
        ("status=closed", []),
        ("status=unopened", []),
        ("mve_filter=only", []),
        ("mve_filter=exclude", [RAIN, CRYPTO]),
        (f"min_close_ts={_NOW_S + 86_400}", [RAIN]),
        (f"status=closed&max_close_ts={_NOW_S}", []),
        (f"min_settled_ts={_NOW_S - 1}&max_settled_ts={_NOW_S}", [CRYPTO]),
        (f"min_created_ts={_NOW_S + 1}", []),
        (f"min_updated_ts={_NOW_S}&series_ticker=KXRAIN&mve_filter=exclude", [RAIN]),
    ],
)
def test_markets_are_filtered(query: str, found: list[str]) -> None:
    venue = OfflineKalshi()
    venue.settle(ticker=CRYPTO)
    assert tickers(venue, query) == found


@pytest.mark.parametrize(
    "path",
    [
        "/markets?limit=1001",
        "/markets?limit=-1",
        "/markets?limit=ten",
        "/markets?status=active",
        "/markets?status=open,closed",
        "/markets?event_ticker=A,B",
        "/markets?min_close_ts=1&min_settled_ts=1",
        "/markets?min_close_ts=1&status=open",
        "/markets?min_settled_ts=1&status=closed",
        "/markets?min_updated_ts=1&status=open",
        "/markets?min_updated_ts=1&event_ticker=A",
        "/markets?min_updated_ts=1&series_ticker=A",
        "/markets?min_close_ts=soon",
        "/events?limit=201",
        "/events?status=finalized",
        "/markets/trades?limit=1001",
        f"/markets/{RAIN}/orderbook?depth=101",
        f"/markets/{RAIN}/orderbook?depth=-1",
        "/markets/orderbooks",
        f"/series/KXRAIN/markets/{RAIN}/candlesticks?start_ts=1&end_ts=2&period_interval=5",
        f"/series/KXRAIN/markets/{RAIN}/candlesticks?start_ts=1&end_ts=2",
        f"/series/KXRAIN/markets/{RAIN}/candlesticks?start_ts=1&end_ts=1000000&period_interval=1",
        "/events/fee_changes?limit=1001",
    ],
)
def test_parameters_out_of_range_get_a_bare_message(path: str) -> None:
    response = OfflineKalshi().ask("GET", path)
    assert (response.status, list(response.body)) == (400, ["msg"])


def test_a_limit_over_the_maximum_is_answered_word_for_word() -> None:
    message = "Key: 'GetMarketsParams.Limit' Error:Field validation for 'Limit' failed on the 'lte' tag"
    response = OfflineKalshi().ask("GET", "/markets?limit=5000")
    assert response.body == {"msg": f"Parameter validation failed for GetMarkets: {message}"}


@pytest.mark.parametrize(
    "path",
    [
        "/markets/NONE",
        "/events/NONE",
        "/series/NONE",
        "/markets/NONE/orderbook",
        "/historical/markets/NONE",
        f"/historical/markets/{RAIN}",
        f"/series/KXOTHER/markets/{RAIN}/candlesticks?start_ts=1&end_ts=2&period_interval=1",
        "/exchange/announcements",
        "/nothing",
    ],
)
def test_what_is_not_there_is_the_same_404(path: str) -> None:
    response = OfflineKalshi().ask("GET", path)
    assert (response.status, response.body) == (404, {"error": {"code": "not_found", "message": "not found"}})


def test_trades_page_without_gaps_while_new_ones_arrive() -> None:
    venue = OfflineKalshi()
    for number in range(5):
        venue.quote("bid", 5_100, 1, key=f"t{number}", now=True)
    first = venue.public("/markets/trades?limit=2")
    venue.quote("bid", 5_100, 1, key="late", now=True)
    second = venue.public(f"/markets/trades?limit=2&cursor={first['cursor']}")
    third = venue.public(f"/markets/trades?limit=2&cursor={second['cursor']}")
    seen = [trade["trade_id"] for page in (first, second, third) for trade in page["trades"]]
    assert (len(seen), len(set(seen)), third["cursor"]) == (5, 5, "")
    everything = venue.public("/markets/trades")["trades"]
    assert [trade["trade_id"] for trade in everything][1:] == seen
    assert venue.public("/markets/trades?limit=2&cursor=garbage")["trades"] == everything[:2]


def test_repeated_tickers_are_many_books_and_a_comma_is_one() -> None:
    venue = OfflineKalshi()
    both = venue.public(f"/markets/orderbooks?tickers={RAIN}&tickers={CRYPTO}")["orderbooks"]
    one = venue.public(f"/markets/orderbooks?tickers={RAIN},{CRYPTO}")["orderbooks"]
    assert ([book["ticker"] for book in both], [book["ticker"] for book in one]) == ([RAIN, CRYPTO], [RAIN])
    book = venue.public(f"/markets/{RAIN}/orderbook?depth=1")["orderbook_fp"]
    assert book == {"yes_dollars": [["0.4900", "50.00"]], "no_dollars": [["0.4900", "50.00"]]}


def test_an_empty_book_reads_zero_and_one() -> None:
    venue = OfflineKalshi()
    venue.settle()
    market = venue.public(f"/markets/{RAIN}")["market"]
    assert (market["yes_bid_dollars"], market["yes_ask_dollars"]) == ("0.0000", "1.0000")
    assert venue.public(f"/markets/{RAIN}/orderbook")["orderbook_fp"] == {"yes_dollars": [], "no_dollars": []}


def test_candles_of_several_markets_come_apart_and_the_one_before_is_carried() -> None:
    venue = OfflineKalshi()
    span = f"start_ts={_NOW_S - 7_200}&end_ts={_NOW_S}&period_interval=60"
    rows = venue.public(f"/markets/candlesticks?market_tickers={RAIN},{CRYPTO}&{span}")["markets"]
    assert [row["market_ticker"] for row in rows] == [RAIN, CRYPTO]
    path = f"/series/KXRAIN/markets/{RAIN}/candlesticks?{span}"
    plain = venue.public(path)["candlesticks"]
    carried = venue.public(f"{path}&include_latest_before_start=true")["candlesticks"]
    assert carried[1:] == plain
    assert list(carried[0]["price"]) == ["previous_dollars"]
    event = venue.public(f"/series/KXRAIN/events/KXRAIN-26DEC01/candlesticks?{span}")
    assert event["market_candlesticks"] == [plain]


def test_lists_are_up_to_fifteen_seconds_old_and_books_are_not() -> None:
    venue = OfflineKalshi(replace(ZERO, list_cache_ms=15_000))
    before = venue.public("/markets")
    venue.public("/series")
    venue.quote("bid", 5_000, 7)
    venue.wait(14_999)
    assert venue.public("/markets") == before
    assert venue.public(f"/markets/{RAIN}/orderbook")["orderbook_fp"]["yes_dollars"][-1] == ["0.5000", "7.00"]
    venue.wait(1)
    assert venue.public("/markets")["markets"][0]["yes_bid_dollars"] == "0.5000"


def test_settled_markets_move_to_the_historical_tier() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(archive_after_ms=60_000, archive_orders_after_ms=30_000))
    venue.placed(**_IOC)
    venue.settle()
    venue.wait(59_000)
    assert venue.public(f"/markets/{RAIN}")["market"]["status"] == "finalized"
    assert venue.own("/portfolio/orders")["orders"] == []
    assert len(venue.own("/historical/orders")["orders"]) == 1
    venue.wait(2_000)
    assert venue.ask("GET", f"/markets/{RAIN}").status == 404
    assert tickers(venue, "") == [CRYPTO]
    assert venue.public(f"/historical/markets/{RAIN}")["market"]["settlement_value_dollars"] == "1.0000"
    assert len(venue.public("/historical/markets")["markets"]) == 1
    assert venue.public("/markets/trades")["trades"] == []
    assert len(venue.public(f"/historical/trades?ticker={RAIN}")["trades"]) == 1
    assert venue.own("/portfolio/fills")["fills"] == []
    assert len(venue.own("/historical/fills")["fills"]) == 1
    assert venue.own("/portfolio/positions?settlement_status=all")["market_positions"] == []
    assert len(venue.own("/historical/positions")["market_positions"]) == 1


def test_a_fee_change_is_announced_and_takes_effect_on_time() -> None:
    venue = OfflineKalshi()
    line = venue.open_line()
    line.command(1, "subscribe", channels=["market_lifecycle_v2"])
    venue.app.kalshi.fees.schedule("KXRAIN", START_MS + 1_000, "quadratic", 500_000)
    venue.app.kalshi.fees.schedule("KXRAIN-26DEC01", START_MS + 2_000, None, 0, is_event=True)
    assert venue.public("/series/fee_changes")["series_fee_change_arr"][0]["fee_multiplier"] == 0.5
    assert venue.public("/series/KXRAIN")["series"]["fee_multiplier"] == 1
    fees = []
    for number in range(3):
        fees.append(venue.place(client_order_id=f"f{number}", **_IOC).body["average_fee_paid"])
        venue.wait(1_000)
    assert fees == ["0.0175", "0.0087", "0.0000"]
    assert venue.public("/series/fee_changes")["series_fee_change_arr"] == []
    assert len(venue.public("/series/fee_changes?show_historical=true")["series_fee_change_arr"]) == 1
    assert venue.public("/events/KXRAIN-26DEC01")["event"]["fee_multiplier_override"] == 0
    assert venue.public("/series/KXRAIN")["series"]["fee_multiplier"] == 0.5
    update = next(frame for frame in line.taken() if frame["type"] == "event_fee_update")
    assert update["msg"] == {
        "event_ticker": "KXRAIN-26DEC01", "fee_type_override": None, "fee_multiplier_override": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("off_ms", "status"), [(0, 200), (-10_000, 200), (10_000, 200), (-10_001, 401), (10_001, 401), (-300_000, 401)]
)
def test_signatures_count_within_the_clock_window(off_ms: int, status: int) -> None:
    venue = OfflineKalshi()
    request = venue.request("GET", "/portfolio/balance", key="key-1", at_ms=venue.now_ms + off_ms)
    response = venue.app.handle(request)
    assert response.status == status
    if status == 401:
        assert response.body == {"error": {"code": "header_timestamp_expired", "message": "header timestamp expired"}}


def test_the_query_is_not_signed_and_the_path_and_method_are() -> None:
    venue = OfflineKalshi()
    assert venue.own("/portfolio/orders?limit=5&status=resting") == {"cursor": "", "orders": []}
    for change in (
        {"path": "/trade-api/v2/portfolio/fills"},
        {"method": "DELETE", "path": "/trade-api/v2/portfolio/events/orders"},
    ):
        request = venue.request("GET", "/portfolio/orders", key="key-1")
        for name, value in change.items():
            setattr(request, name, value)
        response = venue.app.handle(request)
        assert (response.status, response.body["error"].get("details")) == (401, "INCORRECT_API_KEY_SIGNATURE")


def test_a_socket_without_or_with_an_unknown_key_is_refused_with_the_flat_bodies() -> None:
    venue = OfflineKalshi()
    request = venue.request("GET", "", key="key-1")
    request.path = "/trade-api/ws/v2"
    request.headers["kalshi-access-key"] = "unknown"
    refused: Any = venue.app.open_session(request)
    assert (refused.status, refused.body) == (401, {"code": "authentication_error", "details": "NOT_FOUND"})
    request.headers.clear()
    refused = venue.app.open_session(request)
    assert (refused.status, refused.body) == (401, {"code": "token_authentication_failure"})


def test_an_account_lists_its_own_keys_and_none_of_them_ends() -> None:
    listed = OfflineKalshi().own("/api_keys")
    assert listed == {"api_keys": [{"api_key_id": "key-1", "name": "key-1", "scopes": ["read", "write"]}]}


def test_reads_and_writes_have_buckets_of_their_own_that_fill_again() -> None:
    venue = OfflineKalshi(_BASIC)
    limits = venue.own("/account/limits")
    assert limits["usage_tier"] == "basic"
    assert limits["read"] == {"refill_rate": 200, "bucket_capacity": 600}
    assert limits["write"] == {"refill_rate": 100, "bucket_capacity": 100}
    statuses = [venue.ask("GET", "/portfolio/balance", key="key-1").status for _ in range(60)]
    assert statuses == [200] * 59 + [429]
    response = venue.ask("GET", "/portfolio/balance", key="key-1")
    assert response.body == {"error": {"code": "too_many_requests", "message": "too many requests"}}
    assert "retry-after" not in {name.lower() for name in response.headers}
    assert venue.own("/portfolio/balance", "key-2")
    assert venue.place().status == 201
    venue.wait(50)
    assert venue.own("/portfolio/balance")


def test_the_other_429_body_is_a_setting() -> None:
    venue = OfflineKalshi(_BASIC, KalshiVenueSettings(rate_limit_body="documented"))
    responses = [venue.ask("GET", "/portfolio/balance", key="key-1") for _ in range(61)]
    assert (responses[-1].status, responses[-1].body) == (429, {"error": "too many requests"})


def test_writes_are_charged_to_shards_and_routed_ones_to_all() -> None:
    venue = OfflineKalshi(_BASIC)

    def burst(**changes: Any) -> int:
        names = [f"{sorted(changes.items())}{number}" for number in range(12)]
        return [venue.place(client_order_id=name, count="0.01", **changes).status for name in names].count(201)

    assert burst(exchange_index=0) == 10
    assert burst(ticker=CRYPTO, exchange_index=2) == 10
    assert burst() == 0
    venue.wait(1_000)
    assert burst() == 10
    assert burst(ticker=CRYPTO, exchange_index=2) == 0


def test_cancels_are_cheap_and_a_batch_must_fit_as_a_whole() -> None:
    venue = OfflineKalshi(_BASIC)
    path = "/portfolio/events/orders"
    orders = {"orders": [order(client_order_id=str(number)) for number in range(11)]}
    assert venue.ask("POST", f"{path}/batched", orders, key="key-1").status == 429
    orders["orders"].pop()
    made = venue.ask("POST", f"{path}/batched", orders, key="key-1").body["orders"]
    assert [entry["error"] for entry in made] == [None] * 10
    venue.wait(200)
    gone = [venue.ask("DELETE", f"{path}/{one['order_id']}", key="key-1").status for one in made[:10]]
    assert gone == [200] * 10
    assert venue.ask("DELETE", f"{path}/none", key="key-1").status == 429


def test_unsigned_reads_share_a_limit() -> None:
    venue = OfflineKalshi(_BASIC, KalshiVenueSettings(unsigned_reads_per_s=5))
    statuses = [venue.ask("GET", "/events").status for _ in range(16)]
    assert statuses == [200] * 15 + [429]


def test_unknown_fields_and_words_come_on_request() -> None:
    market = OfflineKalshi(settings=KalshiVenueSettings(has_novelties=True)).public(f"/markets/{RAIN}")["market"]
    assert market["x_new_field"]
    assert market["price_level_structure"] == "something_new"


def test_balances_are_truncated_to_cents_and_split_by_shard() -> None:
    venue = OfflineKalshi()
    venue.placed(count="0.01", **_IOC)
    balance = venue.own("/portfolio/balance")
    assert (balance["balance"], balance["balance_dollars"]) == (999_999, "9999.9947")
    assert [row["balance"] for row in balance["balance_breakdown"]] == [
        "3999.9947", "2000.0000", "2000.0000", "2000.0000",
    ]  # fmt: skip
    for shard, cash in ((0, "3999.9947"), (2, "2000.0000")):
        one = venue.own(f"/portfolio/balance?exchange_index={shard}")
        assert one["balance_breakdown"] == [{"exchange_index": shard, "balance": cash}]


def test_a_void_settles_at_any_value_in_integer_cents() -> None:
    venue = OfflineKalshi()
    venue.placed(**_IOC)
    venue.settle(3_700, "scalar")
    row = venue.own("/portfolio/settlements")["settlements"][0]
    assert (row["market_result"], row["revenue"], row["value"]) == ("scalar", 370, 37)
    assert venue.own("/portfolio/positions")["market_positions"] == []
    assert venue.own("/portfolio/positions?settlement_status=settled")["market_positions"]


def test_portfolio_lists_are_filtered_and_paged() -> None:
    venue = OfflineKalshi()
    for number in range(3):
        venue.placed(client_order_id=f"a{number}", **_IOC)
        venue.placed(client_order_id=f"b{number}", ticker=CRYPTO)
        venue.wait(1_000)
    for path, name, key in (("/portfolio/fills", "fills", "fill_id"), ("/portfolio/orders", "orders", "order_id")):
        seen, cursor = [], ""
        while True:
            page = venue.own(f"{path}?limit=2&cursor={cursor}")
            seen += [row[key] for row in page[name]]
            cursor = page["cursor"]
            if not cursor:
                break
        assert len(seen) == len(set(seen)) == (3 if name == "fills" else 6)
    assert len(venue.own("/portfolio/orders?status=resting")["orders"]) == 3
    assert len(venue.own("/portfolio/orders?event_ticker=KXRAIN-26DEC01,KXNONE")["orders"]) == 3
    assert len(venue.own("/portfolio/orders?exchange_index=2")["orders"]) == 3
    assert len(venue.own(f"/portfolio/orders?min_ts={_NOW_S + 2}")["orders"]) == 2
    assert venue.own("/portfolio/orders?subaccount=1")["orders"] == []
    assert len(venue.own(f"/portfolio/fills?ticker={RAIN},{CRYPTO}")["fills"]) == 3
    assert venue.ask("GET", "/portfolio/orders?limit=1001", key="key-1").status == 400
    assert venue.ask("GET", "/portfolio/orders?status=open", key="key-1").status == 400
    counted = venue.own("/portfolio/positions?count_filter=position,total_traded")["market_positions"]
    assert [row["ticker"] for row in counted] == [RAIN]


def test_deprecated_fields_can_be_left_out() -> None:
    venue = OfflineKalshi(settings=KalshiVenueSettings(sends_deprecated_fields=False))
    venue.placed(**_IOC)
    fill, trade = venue.own("/portfolio/fills")["fills"][0], venue.public("/markets/trades")["trades"][0]
    assert not {"side", "action"} & set(fill)
    assert "taker_side" not in trade


def test_markets_page_without_gaps_while_others_go() -> None:
    venue = OfflineKalshi()
    venue.list_another()
    first = venue.public("/markets?limit=1")
    venue.exchange.evict_market(RAIN)
    second = venue.public(f"/markets?limit=1&cursor={first['cursor']}")
    assert [market["ticker"] for market in second["markets"]] == [CRYPTO]
    venue.exchange.evict_market(CRYPTO)
    rest = venue.public(f"/markets?limit=1&cursor={second['cursor']}")
    assert [market["ticker"] for market in rest["markets"]] == ["KXBTCD-26DEC02-T90000"]
    assert rest["cursor"] == ""
    assert venue.public("/events")["events"][0]["event_ticker"] == "KXBTCD-26DEC02"
    assert venue.ask("GET", "/series/KXRAIN").status == 404


def test_queue_positions_count_what_trades_first() -> None:
    venue = OfflineKalshi()
    behind = venue.placed(price="0.4800", count="3")
    last = venue.placed(price="0.4800", client_order_id="two")
    for order_id, ahead in ((behind, "100.00"), (last, "103.00")):
        assert venue.own(f"/portfolio/orders/{order_id}/queue_position") == {"queue_position_fp": ahead}
    rows = venue.own(f"/portfolio/orders/queue_positions?market_tickers={RAIN}")["queue_positions"]
    assert {row["order_id"]: row["queue_position_fp"] for row in rows} == {behind: "100.00", last: "103.00"}
    assert venue.ask("GET", "/portfolio/orders/queue_positions", key="key-1").status == 400


def test_there_is_a_primary_subaccount_and_no_other() -> None:
    venue = OfflineKalshi()
    venue.placed(**_IOC)
    paths = {"orders": "orders", "fills": "fills", "positions": "market_positions", "settlements": "settlements"}
    rows = {name: [len(venue.own(f"/portfolio/{name}{query}")[key]) for query in ("", "?subaccount=0", "?subaccount=1")]
            for name, key in paths.items()}  # fmt: skip
    assert rows == {"orders": [1, 1, 0], "fills": [1, 1, 0], "positions": [1, 1, 0], "settlements": [0, 0, 0]}
    assert venue.own("/portfolio/balance?subaccount=1")["balance_dollars"] == "0.0000"
    refused = venue.place(subaccount=1, client_order_id="two")
    assert (refused.status, refused.body["error"]["details"]) == (400, "unknown subaccount")
