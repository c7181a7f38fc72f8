"""Kalshi's REST client against a stubbed transport: what answers become."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.market.errors import InvalidAmount, MalformedFrame, NotFound, OutcomeUnknown, Refused, TransientError
from streams.venues.kalshi.types.order_changes import Amendment
from streams.venues.kalshi.types.orders import OrderRequest, order_request
from tests.support.kalshi_stub import PREFIX, Stub, ask, made

REQUEST = OrderRequest("KXA-1", "bid", 5_000, 1_250_000, "c")


def test_pages_carry_their_cursor_and_requests_their_signature() -> None:
    stub = Stub((200, {"events": [{"event_ticker": "E"}], "cursor": "next"}))
    page = ask(stub, lambda client: client.events_page("here", status="open", min_updated_ts=5))
    assert (page.items, page.cursor) == ([{"event_ticker": "E"}], "next")
    url = stub.requests[0].url
    assert url.path == f"{PREFIX}/events"
    assert dict(url.params) == {
        "cursor": "here",
        "limit": "200",
        "with_nested_markets": "true",
        "status": "open",
        "min_updated_ts": "5",
    }
    assert stub.requests[0].headers["KALSHI-ACCESS-TIMESTAMP"] == "1781159489957"


def test_without_a_key_nothing_is_signed() -> None:
    stub = Stub((200, {"markets": None, "cursor": ""}))
    page = ask(stub, lambda client: client.markets_page(series_ticker="S"), signed=False)
    assert (page.items, page.cursor) == ([], "")
    assert not [name for name in stub.requests[0].headers if name.startswith("kalshi-")]


def test_books_of_many_markets_repeat_the_parameter_and_complement_the_no_side() -> None:
    body = {
        "orderbooks": [
            {"ticker": "A", "orderbook_fp": {"yes_dollars": [["0.27", "31.54"]], "no_dollars": [["0.72", "20"]]}}
        ]
    }
    stub = Stub((200, body))
    (book,) = ask(stub, lambda client: client.order_books(["A", "B"]))
    assert stub.requests[0].url.params.get_list("tickers") == ["A", "B"]
    assert (book.bids, book.asks) == ([(2_700, 31_540_000)], [(2_800, 20_000_000)])


def test_candles_start_where_their_period_starts_and_empty_sides_are_none() -> None:
    candle = {
        "end_period_ts": 1790462280,
        "price": {"open_dollars": "0.11", "close_dollars": "0.07", "high_dollars": "0.12", "low_dollars": "0.069"},
        "volume_fp": "12.42",
        "yes_bid": {"close_dollars": "0.0000"},
        "yes_ask": {"close_dollars": "1.0000"},
    }
    quiet = {"end_period_ts": 1790462340, "price": {"previous_dollars": "0.1"}, "volume_fp": "0.00"}
    stub = Stub((200, {"candlesticks": [candle, quiet]}))
    first, second = ask(stub, lambda client: client.candlesticks("S", "M", 1, 2))
    assert first.bucket_start == datetime.fromtimestamp(1790462220, UTC)
    assert (first.bid_close_e4, first.ask_close_e4, first.price_close_e4, first.volume_e6) == (
        None,
        None,
        700,
        12_420_000,
    )
    assert (second.price_close_e4, second.volume_e6) == (None, 0)


def test_an_order_is_sent_as_strings_and_read_back() -> None:
    answer = {
        "order_id": "o",
        "client_order_id": "c",
        "fill_count": "4.50",
        "remaining_count": "0.00",
        "average_fill_price": "0.5350",
        "ts_ms": 1,
    }
    stub = Stub((201, answer))
    request = order_request("M", outcome="no", action="buy", price_e4=4_600, size_e6=4_500_000, client_order_id="c")
    got = ask(stub, lambda client: client.create_order(request))
    assert (got.order_id, got.filled_e6, got.remaining_e6) == ("o", 4_500_000, 0)
    sent = json.loads(stub.requests[0].content)
    assert sent["side"] == "ask"
    assert (sent["price"], sent["count"], sent["time_in_force"]) == ("0.5400", "4.50", "immediate_or_cancel")
    assert stub.requests[0].content == request.body() == request.body()


@pytest.mark.parametrize(
    ("outcome", "action", "side", "price"),
    [
        ("yes", "buy", "bid", 4_600),
        ("no", "sell", "bid", 5_400),
        ("no", "buy", "ask", 5_400),
        ("yes", "sell", "ask", 4_600),
    ],
)
def test_four_ways_to_trade_are_two_sides_of_one_book(outcome: Any, action: Any, side: str, price: int) -> None:
    request = order_request("M", outcome=outcome, action=action, price_e4=4_600, size_e6=10_000, client_order_id="c")
    assert (request.side, request.price_e4) == (side, price)


@pytest.mark.parametrize(("price", "size"), [(0, 10_000), (10_000, 10_000), (5_000, 0), (5_000, 15_000)])
def test_an_order_off_the_grid_is_never_sent(price: int, size: int) -> None:
    with pytest.raises(InvalidAmount):
        OrderRequest("M", "bid", price, size, "c").body()


def test_refusals_losses_and_garbage_differ() -> None:
    request = OrderRequest("M", "bid", 5_000, 10_000, "c")
    with pytest.raises(Refused) as refused:
        ask(Stub((409, {"error": {"code": "order_already_exists"}})), lambda client: client.create_order(request))
    assert refused.value.code == "order_already_exists"
    for status, body in ((503, b""), (201, b"{"), (201, {"order_id": "x"})):
        with pytest.raises(OutcomeUnknown):
            ask(Stub((status, body)), lambda client: client.create_order(request))
    with pytest.raises(NotFound):
        ask(Stub((404, {"error": {"code": "not_found"}})), lambda client: client.cancel_order("o", "M"))
    with pytest.raises(MalformedFrame):
        ask(Stub((200, {"orderbook_fp": {"yes_dollars": [["x", "1"]]}})), lambda client: client.order_book("M"))
    with pytest.raises(TransientError):
        ask(Stub((502, b"<html>")), lambda client: client.market("M"))


def test_a_cancel_names_the_market_that_routes_it() -> None:
    stub = Stub((200, {"order_id": "o", "reduced_by": "1.00", "ts_ms": 1}))
    assert ask(stub, lambda client: client.cancel_order("o", "KXA")).reduced_e6 == 1_000_000
    assert stub.requests[0].method == "DELETE"
    assert stub.requests[0].url.params["market_ticker"] == "KXA"


def test_account_lists_walk_all_pages_and_a_repeated_cursor_ends_it() -> None:
    fill = {
        "fill_id": "f",
        "order_id": "o",
        "ticker": "M",
        "outcome_side": "no",
        "yes_price_dollars": "0.47",
        "count_fp": "2.50",
        "fee_cost": "0.017500",
        "is_taker": True,
        "created_time": "2026-06-11T06:29:30.164956Z",
    }
    stub = Stub((200, {"fills": [fill], "cursor": "2"}), (200, {"fills": [fill | {"fill_id": "g"}], "cursor": ""}))
    fills = ask(stub, lambda client: client.fills(order_id="o"))
    assert len(fills) == 2
    assert (fills[0].size_e6, fills[0].fee_e6, fills[0].price_of("no")) == (2_500_000, 17_500, 5_300)
    assert stub.requests[1].url.params["cursor"] == "2"
    endless = Stub(*[(200, {"fills": [], "cursor": "2"})] * 3)
    with pytest.raises(TransientError):
        ask(endless, lambda client: client.fills())


def test_the_status_of_a_paused_exchange_comes_with_a_failed_answer() -> None:
    status = ask(Stub(made("rest_exchange_status.as_503")), lambda client: client.exchange_status())
    assert (status.is_active, status.is_trading, status.is_transferring) == (False, False, None)
    assert status.resumes_at == datetime(2026, 2, 5, 10, tzinfo=UTC)
    for answer in ((503, b"<html>"), (503, {"error": {"code": "x"}}), (502, {"exchange_active": True})):
        with pytest.raises(TransientError):
            ask(Stub(answer), lambda client: client.exchange_status())
    shards = ask(Stub(made("rest_exchange_status")), lambda client: client.exchange_status())
    assert [shards.trades(index) for index in (0, 2, 9)] == [True, False, True]


def test_the_schedule_has_sessions_by_day() -> None:
    schedule = ask(Stub(made("rest_exchange_schedule")), lambda client: client.exchange_schedule())
    assert schedule.hours[0].days[3] == (("00:00", "03:00"), ("05:00", "00:00"))
    assert schedule.maintenance == ((datetime(2026, 2, 5, 8, tzinfo=UTC), datetime(2026, 2, 5, 10, tzinfo=UTC)),)


def test_markets_and_events_are_integers_and_new_words_survive() -> None:
    market = ask(Stub(made("rest_market_single")), lambda client: client.market("KXMADE-26FEB-A"))
    assert (market.bid_e4, market.ask_e4, market.bid_size_e6, market.volume_e6) == (
        4_100,
        4_300,
        12_500_000,
        1_000_250_000,
    )
    assert market.ranges[0] == (0, 1_000, 10)
    void = ask(Stub(made("rest_market_scalar")), lambda client: client.historical_market("KXMADE-26FEB-A"))
    assert (void.result, void.settlement_e4, void.bid_e4, void.ask_e4, void.last_e4) == (
        "scalar",
        3_000,
        None,
        None,
        None,
    )
    event = ask(Stub(made("rest_event_single")), lambda client: client.event("KXMADE-26FEB"))
    assert (event.fee_type_override, event.multiplier_override_e6) == ("quadratic_with_maker_fees", 500_000)
    assert [market.ticker for market in event.markets()] == ["KXMADE-26FEB-A", "KXMADE-26FEB-B"]
    (series,) = ask(Stub(made("rest_series_list")), lambda client: client.series_list())
    assert (series.fee_type, series.multiplier_e6, series.tags) == ("fees_of_next_year", 250_000, ())
    page = (200, made("rest_markets_page")[1] | {"cursor": None})
    assert ask(Stub(page), lambda client: client.markets())[1].status == "a_status_of_next_year"


def test_fee_changes_keep_unknown_types_and_cleared_overrides() -> None:
    (change,) = ask(Stub(made("rest_series_fee_changes")), lambda client: client.series_fee_changes())
    assert (change.fee_type, change.multiplier_e6, change.event_ticker) == (
        "margin_market_maker_program_fees",
        1_000_000,
        "",
    )
    new, cleared = ask(Stub(made("rest_events_fee_changes")), lambda client: client.event_fee_changes())
    assert (new.fee_type, new.multiplier_e6) == ("fees_of_next_year", 125_000)
    assert (cleared.fee_type, cleared.multiplier_e6) == (None, None)
    assert cleared.starts_at == datetime(2026, 2, 3, 4, 5, 6, 789012, UTC)


def test_public_trades_are_prints_with_their_millisecond() -> None:
    (trade,) = ask(Stub(made("rest_trades_page")), lambda client: client.trades())
    assert (trade.price_e4, trade.size_e6, trade.taker_outcome, trade.trade_id) == (930, 370_000, "no", "trade-1")
    assert trade.venue_sent_ms == 1770091506789


def test_archived_candles_have_other_keys_and_many_markets_fit_in_few_calls() -> None:
    stub = Stub(made("rest_candlesticks_historical"))
    (old,) = ask(stub, lambda client: client.historical_candlesticks("KXOLD-25", 1, 2))
    assert (old.price_close_e4, old.bid_close_e4, old.volume_e6, old.open_interest_e6) == (
        4_200,
        4_100,
        3_100_000,
        12_000_000,
    )
    # A day of minutes is 1,441 candles, so six markets fit under 10,000.
    stub = Stub(*[(200, {"markets": []})] * 2)
    ask(stub, lambda client: client.candlesticks_of([f"M{n}" for n in range(8)], 0, 86_400))
    assert [request.url.params["market_tickers"].count(",") + 1 for request in stub.requests] == [6, 2]


def test_cash_positions_and_settlements_are_exact() -> None:
    balance = ask(Stub(made("rest_balance")), lambda client: client.account_balance())
    assert (balance.cash_e6, balance.portfolio_value_e6) == (123_456_700, 2_500_000)
    assert balance.by_shard == {0: 100_000_000, 2: 23_456_700}
    holdings = ask(Stub(made("rest_positions")), lambda client: client.holdings())
    assert (holdings.markets[0].outcome, holdings.markets[0].contracts_e6) == ("no", -2_500_000)
    assert (holdings.markets[0].realised_e6, holdings.events[0].exposure_e6) == (-100_000, 1_425_000)
    (settled,) = ask(Stub(made("rest_settlements")), lambda client: client.settlements())
    assert (settled.revenue_e6, settled.value_e4, settled.no_cost_e6) == (1_750_000, 3_000, 1_425_000)
    assert ask(Stub(made("rest_queue_position_single")), lambda client: client.queue_position("o")) == 33_100_000
    resting = ask(Stub(made("rest_resting_value")), lambda client: client.resting_value())
    assert (resting.value_e6, resting.by_shard) == (4_280_000, {2: 4_275_000})
    (moved,) = ask(Stub(made("rest_transfers_list")), lambda client: client.transfers())
    assert (moved.source, moved.destination, moved.amount_e6, moved.status) == (0, 2, 25_000_000, "completed")


def test_orders_of_a_batch_answer_one_by_one_whatever_their_order() -> None:
    requests = [OrderRequest("M", "ask", 930, 1_250_000, name) for name in ("mine-2", "mine-4", "mine-5", "mine-6")]
    items = ask(Stub(made("rest_batch_create_v2.response")), lambda client: client.create_orders(requests))
    assert items[0].answer is not None
    assert (items[0].answer.order_id, items[0].error) == ("order-2", None)
    assert isinstance(items[1].error, Refused)
    assert items[1].error.code == "insufficient_balance"
    # What failed inside the venue, and what the answer does not name, may have happened.
    assert isinstance(items[2].error, OutcomeUnknown)
    assert isinstance(items[3].error, OutcomeUnknown)
    assert (items[2].error.order_ids, items[3].error.order_ids) == (("mine-5",), ("mine-6",))
    wanted = [("order-0", "M"), ("order-1", "M")]
    dead, done = ask(Stub(made("rest_batch_cancel_v2.response")), lambda client: client.cancel_orders(wanted))
    assert isinstance(dead.error, NotFound)
    assert done.answer is not None
    assert done.answer.reduced_e6 == 7_500_000


def test_an_amend_may_leave_its_figures_out() -> None:
    change = Amendment("order-1", "M", "ask", 4_400, 9_000_000, "mine-1", "mine-3")
    answer = ask(Stub(made("rest_amend_order_v2.response")), lambda client: client.amend_order(change))
    assert (answer.client_order_id, answer.filled_e6, answer.remaining_e6) == ("mine-3", None, None)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.decrease_order("o", "M"),
        lambda c: c.decrease_order("o", "M", by_e6=10_000, to_e6=10_000),
        lambda c: c.decrease_order("o", "M", by_e6=15_000),
        lambda c: c.amend_order(Amendment("o", "M", "bid", 10_000, 10_000)),
        lambda c: c.create_orders([]),
        lambda c: c.create_orders([REQUEST, REQUEST]),
        lambda c: c.cancel_orders([("o", "M"), ("o", "M")]),
        lambda c: c.create_order_group(990_000),
        lambda c: c.create_order_group(1_000_001_000_000),
        lambda c: c.transfer(0, 2, 50),
        lambda c: c.transfer(2, 2, 100),
        lambda c: c.set_target_allocation({0: 60, 2: 30}),
        lambda c: c.set_target_allocation({0: 160, 2: -60}),
        lambda c: c.create_order(OrderRequest("M", "bid", 5_000, 10_000, "c", expiration_s=5)),
        lambda c: c.create_order(OrderRequest("M", "bid", 5_000, 10_000, "c", "good_till_canceled", reduce_only=True)),
    ],
)
def test_what_cannot_be_meant_is_never_sent(call: Any) -> None:
    stub = Stub()
    with pytest.raises(InvalidAmount):
        ask(stub, call)
    assert stub.requests == []


def test_all_options_of_an_order_reach_the_venue() -> None:
    request = OrderRequest(
        "M", "bid", 5_000, 10_000, "c", "good_till_canceled", post_only=True, expiration_s=9, exchange_index=2,
        cancel_on_pause=True, order_group_id="g", self_trade_prevention="maker",
    )  # fmt: skip
    assert json.loads(request.body()) == {
        "ticker": "M", "client_order_id": "c", "side": "bid", "count": "0.01", "price": "0.5000",
        "time_in_force": "good_till_canceled", "self_trade_prevention_type": "maker", "post_only": True,
        "expiration_time": 9, "exchange_index": 2, "cancel_order_on_pause": True, "order_group_id": "g",
    }  # fmt: skip
    assert "exchange_index" not in json.loads(REQUEST.body())


def test_an_order_off_by_one_field_is_listed_with_what_it_has() -> None:
    first, second = ask(Stub(made("rest_orders_list")), lambda client: client.orders())
    assert (first.outcome, first.cash_e6, first.fee_e6, first.remaining_e6) == ("no", 1_425_000, 10_800, 7_500_000)
    assert (second.client_order_id, second.status) == ("", "unknown")
    group = ask(Stub(made("rest_order_group_single")), lambda client: client.order_group("g"))
    assert (group.group_id, group.limit_e6, group.is_armed, group.order_ids) == (
        "g",
        250_000_000,
        False,
        ("order-1", "order-2"),
    )
