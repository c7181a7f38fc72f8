"""What anybody may read: CLOB market data, Gamma's lists and their filters, the Data API in both versions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from streams.market.identity import MarketRef, Venue
from streams.sandbox.core.model import CloseMarket, DetermineMarket, SettleMarket


def settle(desk: Any, number: int = 0, settlement_e4: int = 10_000) -> None:
    ref = MarketRef(Venue.POLYMARKET, desk.condition(number))
    for action in (CloseMarket(ref), DetermineMarket(ref, settlement_e4, "yes"), SettleMarket(ref)):
        desk.apply(action)


# -- CLOB --------------------------------------------------------------------------------------------------------------


def test_a_book_is_worst_first_mirrored_and_hashed(desk: Any, shapes: Any) -> None:
    book, other = (desk.get("/clob/book", token_id=token) for token in (desk.yes, desk.no))
    assert list(book) == list(shapes["clob_book"])
    assert [level["price"] for level in book["bids"]] == ["0.47", "0.48", "0.49"]
    assert [level["price"] for level in book["asks"]] == ["0.53", "0.52", "0.51"]
    assert other["asks"][-1] == {"price": "0.51", "size": "50"}
    blank = orjson.dumps({**book, "hash": ""})
    assert hashlib.sha1(blank, usedforsecurity=False).hexdigest() == book["hash"]
    assert desk.ask("GET", "/clob/book", query={"token_id": 7}).status == 404
    assert desk.ask("GET", "/clob/book", query={"token_id": "x"}).status == 400


def test_small_reads_answer_as_the_samples_do(desk: Any, shapes: Any) -> None:
    desk.post("BUY", 5_100_000, 10_000_000)
    scalars = shapes["clob_scalars"]
    token = {"token_id": desk.yes}
    for path in ("spread", "midpoint", "tick-size", "neg-risk", "fee-rate", "last-trade-price"):
        assert set(desk.get(f"/clob/{path}", **token)) == set(scalars[f"GET /{path}?token_id"]), path
    assert desk.get("/clob/price", side="BUY", **token) == {"price": "0.51"}
    assert desk.get("/clob/price", side="SELL", **token) == {"price": "0.49"}
    assert desk.ask("GET", "/clob/price", query=token).status == 400
    assert desk.get("/clob/midpoint", **token) == {"mid": "0.5"}
    assert desk.get("/clob/last-trade-price", token_id=desk.yes + 2) == {"price": "0.5", "side": ""}
    assert set(desk.get(f"/clob/markets-by-token/{desk.no}")) == {
        "condition_id",
        "primary_token_id",
        "secondary_token_id",
    }
    assert set(desk.get("/clob/fees/builder-fees/0x12")) == set(scalars["GET /fees/builder-fees/{builder_code}"])
    assert (desk.get("/clob/version"), desk.get("/clob/time"), desk.get("/clob/ok")) == (
        {"version": 2},
        desk.now[0] // 1000,
        "OK",
    )
    assert set(desk.get("/api/geoblock")) == set(shapes["geoblock"])


def test_plural_reads_are_posts_only(desk: Any) -> None:
    tokens = [{"token_id": str(desk.yes)}, {"token_id": str(desk.no)}, {"token_id": "7"}]
    assert [book["asset_id"] for book in desk.ask("POST", "/clob/books", tokens).body] == [str(desk.yes), str(desk.no)]
    sides = [{**tokens[0], "side": "BUY"}, {**tokens[0], "side": "SELL"}, tokens[1]]
    assert desk.ask("POST", "/clob/prices", sides).body == {
        str(desk.yes): {"BUY": "0.51", "SELL": "0.49"},
        str(desk.no): {"SELL": "0.49"},
    }
    assert desk.ask("POST", "/clob/midpoints", tokens).body == {str(desk.yes): "0.5", str(desk.no): "0.5"}
    assert desk.ask("POST", "/clob/spreads", tokens[:1]).body == {str(desk.yes): "0.02"}
    desk.post("BUY", 5_100_000, 10_000_000)
    rows = desk.ask("POST", "/clob/last-trades-prices", tokens[:1]).body
    assert rows == [{"token_id": str(desk.yes), "price": "0.51", "side": "BUY"}]
    for name in ("books", "prices", "midpoints", "last-trades-prices"):
        assert desk.ask("GET", f"/clob/{name}", query={"token_id": desk.yes}).status == 400
        assert desk.ask("POST", f"/clob/{name}", {"token_id": "7"}).status == 400
        assert desk.ask("POST", f"/clob/{name}", tokens[:1] * 501).status == 400


def test_price_history_keeps_the_rules_of_its_parameters(desk: Any) -> None:
    now = desk.now[0] // 1000
    token = {"market": desk.yes}
    past = desk.get("/clob/prices-history", startTs=now - 86_400, endTs=now - 3_600, fidelity=60, **token)["history"]
    assert past[-1]["t"] == now
    assert all(set(point) == {"t", "p"} for point in past)
    for wrong in ({"endTs": now}, {"interval": "1w", "fidelity": 4}, {"interval": "1m", "fidelity": 9}, {}):
        assert desk.ask("GET", "/clob/prices-history", query={**token, **wrong}).status == 400
    assert len(desk.get("/clob/prices-history", interval="max", fidelity=1, **token)["history"]) <= 4_301
    assert desk.get("/clob/prices-history", market=7, interval="1d") == {"history": []}


def test_market_lists_of_the_clob_hold_closed_markets_and_samples_only_open_ones(desk: Any, shapes: Any) -> None:
    settle(desk)
    full = desk.get("/clob/markets")
    assert (full["count"], full["limit"], full["next_cursor"]) == (3, 1_000, "LTE=")
    assert set(full["data"][0]) == set(shapes["clob_market"])
    simple = desk.get("/clob/simplified-markets")
    assert set(simple["data"][0]) == set(shapes["clob_simplified_markets_page"]["data"][0])
    assert simple["data"][0]["tokens"][0]["winner"] is True
    for path in ("sampling-markets", "sampling-simplified-markets"):
        assert desk.get(f"/clob/{path}")["count"] == 2
    assert desk.get(f"/clob/markets/{desk.condition(1)}")["neg_risk"] is True
    assert desk.ask("GET", "/clob/markets/0x12").status == 404


def test_terms_of_a_market_have_the_short_keys(desk: Any, shapes: Any) -> None:
    terms = desk.get(f"/clob/clob-markets/{desk.condition(1)}")
    assert set(terms) == set(shapes["clob_clob_market_info"])
    assert "nr" not in desk.get(f"/clob/clob-markets/{desk.condition()}")


# -- Gamma -------------------------------------------------------------------------------------------------------------


def slugs(desk: Any, **query: Any) -> list[str]:
    return [row["slug"] for row in desk.get("/gamma/markets/keyset", **query)["markets"]]


def test_keyset_lists_end_without_a_cursor(desk: Any) -> None:
    first = desk.get("/gamma/markets/keyset", limit=2)
    assert (len(first["markets"]), "next_cursor" in first) == (2, True)
    last = desk.get("/gamma/markets/keyset", limit=2, after_cursor=first["next_cursor"])
    assert ([row["slug"] for row in last["markets"]], "next_cursor" in last) == (["number-2"], False)
    events = desk.get("/gamma/events/keyset", limit=1)
    assert desk.get("/gamma/events/keyset", limit=1, after_cursor=events["next_cursor"])["events"][0]["negRisk"]


def test_a_cursor_survives_markets_that_end_meanwhile(desk: Any) -> None:
    cursor = desk.get("/gamma/markets/keyset", limit=1)["next_cursor"]
    settle(desk)
    assert slugs(desk, after_cursor=cursor) == ["number-1", "number-2"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"slug": "number-1"}, [1]),
        ({"id": "1002,1000"}, [0, 2]),
        ({"condition_ids": "0x" + "02" * 32}, [1]),
        ({"clob_token_ids": str(2**200 + 3 * 10**50 + 3)}, [1]),
        ({"closed": "true"}, []),
        ({"end_date_min": "2027-01-01T00:00:00Z"}, []),
        ({"end_date_max": "2027-01-01T00:00:00Z", "start_date_max": "2026-12-31"}, [0, 1, 2]),
        ({"volume_num_min": "1"}, []),
        ({"liquidity_num_min": "1"}, [0, 1, 2]),
        ({"order": "id", "ascending": "false"}, [2, 1, 0]),
        ({"order": "endDate,id", "ascending": "true"}, [0, 1, 2]),
        ({"decimalized": "true"}, []),
        ({"uma_resolution_status": "resolved"}, []),
        ({"version": "v2"}, []),
        ({"tag_id": "1"}, []),
        ({"position_ids": "7"}, []),
    ],
)
def test_market_filters(desk: Any, query: dict[str, str], found: list[int]) -> None:
    assert slugs(desk, **query) == [f"number-{number}" for number in found]


@pytest.mark.parametrize(
    "query",
    [
        {"offset": "1"}, {"limit": "101"}, {"limit": "0"}, {"order": "volume_num"}, {"closed": "maybe"},
        {"end_date_min": "soon"}, {"volume_num_min": "much"}, {"after_cursor": "xx"},
    ],
)  # fmt: skip
def test_queries_gamma_cannot_use_are_422(desk: Any, query: dict[str, str]) -> None:
    answer = desk.ask("GET", "/gamma/markets/keyset", query=query)
    assert (answer.status, answer.body["type"]) == (422, "validation error")


def test_the_old_lists_go_to_an_offset_of_two_thousand(desk: Any) -> None:
    assert [row["slug"] for row in desk.get("/gamma/markets", offset=1, limit=1)] == ["number-1"]
    assert len(desk.get("/gamma/events")) == 2
    assert desk.ask("GET", "/gamma/events", query={"offset": 2001}).status == 422


def test_markets_and_events_have_the_keys_clients_need(desk: Any, shapes: Any) -> None:
    row = desk.get("/gamma/markets/1001")
    optional = {
        "submitted_by", "customLiveness", "competitive", "clobRewards", "oneDayPriceChange", "oneWeekPriceChange",
        "oneMonthPriceChange", "lastTradePrice", "showGmpSeries", "showGmpOutcome", "deployingTimestamp",
    }  # fmt: skip
    assert set(shapes["gamma_market"]) - set(row) <= optional
    event = desk.get(f"/gamma/events/{row['events'][0]['id']}")
    missing = set(shapes["gamma_event"]) - set(event)
    assert missing <= {
        "sortBy", "competitive", "startTime", "gmpChartMode", "countryName", "electionType", "featuredOrder",
        "estimateValue", "deployingTimestamp", "eventMetadata",
    }  # fmt: skip
    assert [market["slug"] for market in event["markets"]] == ["number-1", "number-2"]
    assert event["id"].isdecimal()
    tag_keys = set(shapes["gamma_tags"][0])
    assert tag_keys <= set(desk.get("/gamma/tags")[0])
    assert "tags" in desk.get("/gamma/markets/slug/number-0", include_tag="true")


def test_a_resolved_market_shows_its_result_in_gammas_fields(desk: Any) -> None:
    settle(desk)
    row = desk.get("/gamma/markets/keyset", closed="true")["markets"][0]
    assert (row["outcomePrices"], row["umaResolutionStatus"]) == ('["1", "0"]', "resolved")
    assert row["closedTime"].endswith("+00")
    assert "bestBid" not in row


def test_tags_series_sports_and_the_search(desk: Any) -> None:
    tag = desk.get("/gamma/tags/slug/politics")
    assert desk.get(f"/gamma/tags/{tag['id']}") == tag
    assert slugs(desk, tag_id=tag["id"]) == ["number-0", "number-1", "number-2"]
    assert desk.get("/gamma/series") == []
    assert desk.get("/gamma/sports")[0]["sport"] == "sports"
    found = desk.get("/gamma/public-search", q="number 2 happen")
    assert [event["markets"][1]["slug"] for event in found["events"]] == ["number-2"]
    optimized = desk.get("/gamma/public-search", q="number", optimized="true")["events"][0]["markets"][0]
    assert optimized["outcomes"] == ["Yes", "No"]
    assert desk.ask("GET", "/gamma/public-search").status == 422
    assert desk.ask("GET", "/gamma/comments").status == 422
    assert desk.ask("GET", "/gamma/events/slug/nothing").status == 404


# -- Data API ----------------------------------------------------------------------------------------------------------


def test_positions_trades_and_activity_of_a_wallet(desk: Any, shapes: Any) -> None:
    desk.post("BUY", 5_100_000, 10_000_000)
    row = desk.get("/data/v2/positions", user=desk.address)["data"][0]
    assert set(row) == set(shapes["data_v2_positions"]["data"][0])
    assert (row["current_size"], row["avg_price"], row["status"]) == (10.0, 0.51, "OPEN")
    trade = desk.get("/data/v2/trades", user=desk.address)["data"][0]
    assert set(trade) == set(shapes["data_v2_trades"]["data"][0])
    activity = desk.get("/data/v2/activity", user=desk.address)["data"][0]
    assert set(activity) == set(shapes["data_v2_activity"]["data"][0])
    value = desk.get("/data/v2/value", user=desk.address)
    assert (set(value["data"]), value["data"]["value"]) == ({"proxy_wallet", "value"}, 5.0)
    settle(desk)
    kinds = [row["type"] for row in desk.get("/data/v2/activity", user=desk.address)["data"]]
    assert kinds == ["REDEEM", "TRADE"]
    assert desk.get("/data/v2/activity", user=desk.address)["data"][0]["outcome_index"] == 999
    assert [r["status"] for r in desk.get("/data/v2/positions", user=desk.address)["data"]] == ["CLOSED"]


def test_pages_of_the_data_api_agree_with_themselves(desk: Any) -> None:
    for _ in range(3):
        desk.post("BUY", 5_100_000, 10_000_000)
    seen, cursor = 0, ""
    while True:
        page = desk.get("/data/v2/trades", user=desk.address, limit=2, cursor=cursor)
        seen += len(page["data"])
        cursor = page["pagination"]["next_cursor"]
        assert page["pagination"]["has_more"] == (cursor is not None)
        if cursor is None:
            break
    assert seen == 3
    assert desk.get("/data/v2/trades", user="nobody")["data"] == []
    assert len(desk.get("/data/v2/trades", condition_id=desk.condition())["data"]) == 3


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("positions", {"user": "0x1", "offset": "1"}, "offset"),
        ("positions", {"user": "0x1", "limit": "1001"}, "limit"),
        ("positions", {"user": "0x1", "cursor": "xx"}, "cursor"),
        ("positions", {}, "user"),
        ("positions", {"user": "0x1", "status": "SOLD"}, "status"),
        ("activity", {"user": "0x1", "condition": "0x2", "event_id": "3"}, "event_id"),
        ("activity", {"user": "0x1", "start": "soon"}, "start"),
        ("value", {}, "user"),
    ],
)
def test_errors_of_the_data_api_name_the_parameter(
    desk: Any, shapes: Any, path: str, query: dict[str, str], parameter: str
) -> None:
    answer = desk.ask("GET", f"/data/v2/{path}", query=query)
    assert (answer.status, answer.body["parameter"]) == (400, parameter)
    assert set(answer.body) == set(shapes["data_v2_error"])


def test_market_reads_of_the_data_api(desk: Any) -> None:
    desk.post("BUY", 5_100_000, 10_000_000)
    wanted = desk.condition()
    holders = desk.get("/data/v2/holders", condition_id=wanted)["data"]
    assert [(row["token_id"], len(row["holders"])) for row in holders] == [(str(desk.yes), 1), (str(desk.no), 0)]
    assert desk.get("/data/v2/oi", condition_id=wanted)["data"][0]["condition_id"] == wanted
    assert desk.get("/data/v2/oi")["data"][0]["condition_id"] == "GLOBAL"
    tokens = desk.get("/data/v2/tokens", token_id=f"{desk.yes},{desk.no}")["data"]
    assert [row["outcome"] for row in tokens] == ["Yes", "No"]
    history = desk.get("/data/v2/prices-history", token_id=desk.yes, interval="1d", bucket_seconds=3_600)["data"]
    assert len(history) >= 20
    settle(desk)
    resolution = desk.get("/data/v2/resolutions", condition_id=wanted)["data"][0]
    assert (resolution["status"], resolution["payouts"]) == ("resolved", [1_000_000, 0])
    approvals = desk.get("/data/v2/approvals", user=desk.address)["data"]
    assert (approvals["chain_id"], all(row["approved"] for row in approvals["contracts"])) == (137, True)


def test_the_first_version_answers_bare_lists(desk: Any, shapes: Any) -> None:
    desk.post("BUY", 5_100_000, 10_000_000)
    position = desk.get("/data/positions", user=desk.address)[0]
    assert set(shapes["data_v1_positions"][0]) <= set(position)
    assert set(shapes["data_v1_trades"][0]) <= set(desk.get("/data/trades", user=desk.address)[0])
    assert desk.get("/data/activity", user=desk.address)[0]["usdcSize"] == 5.1
    assert desk.get("/data/value", user=desk.address) == [{"user": desk.address, "value": 5.0}]
    assert desk.get("/data/closed-positions", user=desk.address) == []
    assert desk.ask("GET", "/data/positions").status == 400


def test_unknown_paths_are_404(desk: Any, open_desk: Callable[..., Any]) -> None:
    assert desk.ask("GET", "/clob/nothing").status == 404
    assert desk.ask("POST", "/clob/book").status == 404
