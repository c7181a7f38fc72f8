"""Kalshi's REST client where money is lost quietly: ids in paths, answers without their list, odd errors."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import httpx
import pytest

from streams.market.errors import (
    AuthenticationFailed,
    InvalidAmount,
    MalformedFrame,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Refused,
    StreamsError,
    TransientError,
)
from streams.settings import Settings
from streams.venues.common.http import http_client
from streams.venues.common.paging import Page, all_items
from streams.venues.kalshi.errors import classify, error_for
from streams.venues.kalshi.types.listings import parse_market
from streams.venues.kalshi.types.order_changes import Amendment
from streams.venues.kalshi.types.orders import OrderRequest, parse_fill, parse_order
from tests.support.kalshi_stub import CREDENTIALS, KEY, PREFIX, Stub, ask, made

FILL = {
    "fill_id": "f", "order_id": "o", "ticker": "M", "outcome_side": "no", "yes_price_dollars": "0.47",
    "count_fp": "2.50", "fee_cost": "0.017500", "is_taker": True,
}  # fmt: skip
ORDER = {
    "order_id": "o", "client_order_id": "c", "ticker": "M", "status": "resting", "outcome_side": "yes",
    "yes_price_dollars": "0.4000", "initial_count_fp": "3.00", "fill_count_fp": "1.00", "remaining_count_fp": "2.00",
    "taker_fill_cost_dollars": "0.40", "maker_fill_cost_dollars": "0", "taker_fees_dollars": "0.0168",
    "maker_fees_dollars": "0",
}  # fmt: skip


@pytest.mark.parametrize(
    "call",
    [
        # An empty id would leave DELETE .../orders/, which is one slash away from cancelling everything.
        lambda c: c.cancel_order("", "M"),
        lambda c: c.cancel_order(".", "M"),
        lambda c: c.cancel_order("..", "M"),
        lambda c: c.amend_order(Amendment("", "M", "bid", 5_000, 10_000)),
        lambda c: c.decrease_order("", "M", by_e6=10_000),
        lambda c: c.delete_order_group(""),
        lambda c: c.reset_order_group(".."),
        lambda c: c.cancel_orders([("", "M")]),
        lambda c: c.order(""),
        lambda c: c.market(""),
        lambda c: c.create_order(OrderRequest("M", "bid", 5_000, 10_000, "")),
    ],
)
def test_an_empty_id_or_one_that_walks_up_the_path_is_never_sent(call: Callable[[Any], Any]) -> None:
    stub = Stub()
    with pytest.raises(InvalidAmount):
        ask(stub, call)
    assert stub.requests == []


def test_an_id_stays_one_part_of_the_path_and_is_signed_as_it_is_sent() -> None:
    stub = Stub((200, {"orderbook_fp": {"yes_dollars": [], "no_dollars": []}}))
    ask(stub, lambda client: client.order_book("A/../B?x=1#y z"))
    sent = stub.requests[0].url.raw_path.decode()
    assert sent == f"{PREFIX}/markets/A%2F..%2FB%3Fx%3D1%23y%20z/orderbook"


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda c: c.orders(), "orders"),
        (lambda c: c.fills(), "fills"),
        (lambda c: c.settlements(), "settlements"),
        (lambda c: c.positions(), "market_positions"),
        (lambda c: c.markets(), "markets"),
        (lambda c: c.events_page(), "events"),
        (lambda c: c.trades(), "trades"),
        (lambda c: c.series_list(), "series"),
        (lambda c: c.candlesticks("S", "M", 1, 2), "candlesticks"),
        (lambda c: c.historical_orders(), "orders"),
    ],
)
def test_an_answer_without_its_list_is_no_empty_list(call: Callable[[Any], Any], name: str) -> None:
    """An empty list of orders says that ours never arrived, so only the venue may say it."""
    with pytest.raises(MalformedFrame, match=name):
        ask(Stub((200, {"cursor": ""})), call)
    with pytest.raises(MalformedFrame, match=name):
        ask(Stub((200, {name: "?", "event_positions": [], "cursor": ""})), call)


def test_what_the_live_tier_has_given_away_is_read_from_the_archive() -> None:
    gone = (404, {"error": {"code": "not_found"}})
    stub = Stub(gone, made("rest_market_scalar"))
    assert ask(stub, lambda client: client.market("KXMADE-26FEB-A")).settlement_e4 == 3_000
    paths = [f"{PREFIX}/markets/KXMADE-26FEB-A", f"{PREFIX}/historical/markets/KXMADE-26FEB-A"]
    assert [request.url.path for request in stub.requests] == paths
    stub = Stub(gone, made("rest_candlesticks_historical"))
    (candle,) = ask(stub, lambda client: client.candlesticks("S", "KXOLD-25", 1, 2, 60))
    assert candle.price_close_e4 == 4_200
    assert stub.requests[1].url.path == f"{PREFIX}/historical/markets/KXOLD-25/candlesticks"
    assert dict(stub.requests[1].url.params) == {"start_ts": "1", "end_ts": "2", "period_interval": "60"}
    with pytest.raises(NotFound):
        ask(Stub(gone, gone), lambda client: client.market("M"))


def test_a_null_list_is_an_empty_one() -> None:
    assert ask(Stub((200, {"orders": None})), lambda client: client.orders()) == []
    assert ask(Stub((200, {"market_positions": None, "event_positions": None})), lambda c: c.positions()) == []
    # Order groups alone are not required to be listed.
    assert ask(Stub((200, {})), lambda client: client.order_groups()) == []


def test_what_cannot_be_read_names_its_field_and_keeps_the_bytes_as_they_came() -> None:
    raw = b'{"orders": [ {"order_id":"o" , "note":"' + b"x" * 3000 + b'"}],"cursor":""}'
    with pytest.raises(MalformedFrame, match="ticker") as failed:
        ask(Stub((200, raw)), lambda client: client.orders())
    assert json.loads(failed.value.raw)["orders"][0]["note"] == "x" * 3000
    with pytest.raises(MalformedFrame, match="ticker") as failed:
        ask(Stub((200, b'{"market": {"x" : 1}}')), lambda client: client.market("M"))
    assert failed.value.raw == b'{"market": {"x" : 1}}'


def test_an_answer_too_deep_to_show_is_still_a_typed_error() -> None:
    deep = b'{"orders":' + b"[" * 1000 + b"]" * 1000 + b"}"
    with pytest.raises(MalformedFrame):
        ask(Stub((200, deep)), lambda client: client.orders())


@pytest.mark.parametrize(
    ("status", "body", "is_write", "kind"),
    [
        # A 5xx leaves a write open whatever its body says.
        (500, {"msg": "internal error"}, True, OutcomeUnknown),
        (500, {"msg": "internal error"}, False, TransientError),
        (503, {"error": {"code": "trading_is_paused"}}, True, OutcomeUnknown),
        (500, {"error": {"code": "bad_request"}}, True, OutcomeUnknown),
        (504, {"error": {"code": "not_found"}}, True, OutcomeUnknown),
        (500, {"error": {"code": "not_found"}}, False, TransientError),
        # Shape (c) is read by its status.
        (429, {"msg": "slow down"}, True, RateLimited),
        (401, {"msg": "no"}, True, AuthenticationFailed),
        (403, {"msg": "no"}, False, AuthenticationFailed),
        (404, {"msg": "no such thing"}, False, NotFound),
        (400, {"msg": "limit"}, False, Refused),
        # Words of one kind that are not in any list.
        (404, {"error": {"code": "event_not_found"}}, False, NotFound),
        (404, {"code": "order_not_found"}, True, NotFound),
        (400, {"error": {"code": "a_word_of_next_year"}}, True, Refused),
        (404, {"error": {"code": "a_word_of_next_year"}}, True, Refused),
        # Half of a shape.
        (400, {"error": None, "code": "invalid_price"}, True, Refused),
        (400, {"error": ["?"]}, True, Refused),
        (400, {"error": {"code": 7, "message": {"a": 1}}}, True, Refused),
    ],
)
def test_odd_error_bodies_are_read_by_code_and_status(
    status: int, body: object, is_write: bool, kind: type[StreamsError]
) -> None:
    error = classify(status, json.dumps(body).encode(), {}, is_write)
    assert type(error) is kind


def test_a_body_that_is_too_deep_for_a_parser_is_no_exception_of_its_own() -> None:
    assert type(classify(500, b"[" * 100_000, {}, True)) is OutcomeUnknown
    assert type(classify(400, b'{"error":' * 5_000, {}, True)) is Refused


def test_an_item_of_a_batch_with_a_word_we_do_not_know_may_have_happened() -> None:
    """It has no status that would say no."""
    assert type(error_for("server_gave_up", "", is_write=True)) is OutcomeUnknown
    assert type(error_for("invalid_order", "", is_write=True)) is Refused


def test_bytes_sent_again_are_looked_for_by_their_client_order_id() -> None:
    body = OrderRequest("M", "bid", 5_000, 10_000, "mine").body()
    with pytest.raises(OutcomeUnknown) as unknown:
        ask(Stub((503, {})), lambda client: client.send_order(body))
    assert unknown.value.order_ids == ("mine",)


def test_a_transfer_whose_answer_was_lost_is_known_by_its_name() -> None:
    stub = Stub((503, {}))
    with pytest.raises(OutcomeUnknown) as unknown:
        ask(stub, lambda client: client.transfer(0, 2, 25_000_100, client_transfer_id="mine"))
    assert unknown.value.order_ids == ("mine",)
    assert json.loads(stub.requests[0].content)["client_transfer_id"] == "mine"


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ({"outcome_side": "no", "side": "yes", "action": "buy"}, "no"),
        ({"book_side": "ask"}, "no"),
        ({"book_side": "bid", "side": "no", "action": "sell"}, "yes"),
        ({"side": "yes", "action": "buy"}, "yes"),
        ({"side": "yes", "action": "sell"}, "no"),
        ({"side": "no", "action": "sell"}, "yes"),
        ({"side": "no", "action": "buy"}, "no"),
    ],
)
def test_a_direction_is_read_from_whatever_words_are_left(words: dict[str, str], outcome: str) -> None:
    bare = {name: value for name, value in FILL.items() if name != "outcome_side"}
    assert parse_fill(bare | words).outcome == outcome
    bare = {name: value for name, value in ORDER.items() if name != "outcome_side"}
    assert parse_order(bare | words).outcome == outcome


@pytest.mark.parametrize("words", [{}, {"side": "yes"}, {"outcome_side": "up"}, {"book_side": "up"}])
def test_a_direction_that_is_not_told_is_not_guessed(words: dict[str, str]) -> None:
    bare = {name: value for name, value in FILL.items() if name != "outcome_side"}
    with pytest.raises((KeyError, InvalidAmount)):
        parse_fill(bare | words)


@pytest.mark.parametrize("name", ["fee_cost", "count_fp", "yes_price_dollars", "is_taker", "order_id"])
def test_a_fill_without_a_figure_is_refused_by_its_name(name: str) -> None:
    fill = {key: value for key, value in FILL.items() if key != name}
    with pytest.raises(MalformedFrame, match=name):
        ask(Stub((200, {"fills": [fill], "cursor": ""})), lambda client: client.fills())


@pytest.mark.parametrize("name", ["taker_fees_dollars", "maker_fill_cost_dollars", "fill_count_fp", "status"])
def test_an_order_without_a_figure_is_refused_by_its_name(name: str) -> None:
    order = {key: value for key, value in ORDER.items() if key != name}
    with pytest.raises(MalformedFrame, match=name):
        ask(Stub((200, {"orders": [order], "cursor": ""})), lambda client: client.orders())


@pytest.mark.parametrize("price", ["0.0000", "1.0000"])
def test_an_old_market_order_at_the_end_of_the_scale_does_not_hide_the_others(price: str) -> None:
    orders = [ORDER | {"yes_price_dollars": price}, ORDER | {"order_id": "p"}]
    found = ask(Stub((200, {"orders": orders, "cursor": ""})), lambda client: client.orders())
    assert [order.order_id for order in found] == ["o", "p"]


def test_a_fill_that_comes_on_two_pages_is_one_fill() -> None:
    """Pages shift while fills come in, and a cursor that died starts again at page one."""
    other = FILL | {"order_id": "p"}
    pages = [{"fills": [FILL, other], "cursor": "2"}, {"fills": [FILL, FILL | {"fill_id": "g"}], "cursor": ""}]
    found = ask(Stub(*[(200, page) for page in pages]), lambda client: client.fills())
    assert [(fill.fill_id, fill.order_id) for fill in found] == [("f", "o"), ("f", "p"), ("g", "o")]


def test_a_list_that_never_ends_is_given_up() -> None:
    calls = 0

    async def fetch(_cursor: str) -> Page[int]:
        nonlocal calls
        calls += 1
        return Page([], str(calls))

    with pytest.raises(TransientError, match="pages"):
        asyncio.run(all_items(fetch))
    assert calls == 10_000


def test_a_write_that_is_cancelled_midway_is_cancelled_and_was_sent_once() -> None:
    """What became of it is for reads: the caller wrote the order down before it was sent."""
    sent: list[str] = []
    arrived = asyncio.Event()

    async def hang(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def use(client: Any) -> None:
        order = asyncio.ensure_future(client.create_order(OrderRequest("M", "bid", 5_000, 10_000, "c")))
        await arrived.wait()
        order.cancel()
        with pytest.raises(asyncio.CancelledError):
            await order

    ask(hang, use)  # type: ignore[arg-type]
    assert sent == ["POST"]


MARKET = {"ticker": "M", "event_ticker": "E", "status": "active", "close_time": "2026-02-03T04:05:06Z"}


@pytest.mark.parametrize(
    "changes",
    [
        {"settlement_timer_seconds": "soon"},
        {"settlement_timer_seconds": 10**18},
        {"settlement_timer_seconds": 1e300},
        {"price_ranges": [{"start": "0", "end": "1"}]},
        {"price_ranges": [{"start": "0", "end": "1", "step": "0"}]},
        {"price_ranges": [{"start": "0", "end": "1", "step": "0.00001"}]},
        {"price_ranges": 7},
        {"strike_type": "greater", "floor_strike": "x"},
        {"title": 7},
    ],
)
def test_a_listed_market_that_cannot_be_read_is_one_malformed_market_with_its_bytes(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedFrame) as failed:
        parse_market(MARKET | changes | {"note": "x" * 3000})
    assert json.loads(failed.value.raw)["note"] == "x" * 3000


def bands(tail: str, middle: str, width: str) -> list[dict[str, str]]:
    """The price ranges of one label: a tail at both ends and a middle."""
    upper = str(1 - Decimal(width))
    return [
        {"start": "0", "end": width, "step": tail},
        {"start": width, "end": upper, "step": middle},
        {"start": upper, "end": "1", "step": tail},
    ]


@pytest.mark.parametrize(
    ("label", "ranges", "on", "off"),
    [
        ("linear_cent", [{"start": "0", "end": "1", "step": "0.01"}], [100, 5_000, 9_900], [10, 150]),
        ("deci_cent", [{"start": "0", "end": "1", "step": "0.001"}], [10, 5_010], [5, 5_005]),
        ("tapered_deci_cent", bands("0.001", "0.01", "0.10"), [10, 990, 1_000, 1_100, 9_010], [1_010, 5]),
        ("center_whole_edge_half_cent", bands("0.005", "0.01", "0.10"), [50, 950, 1_100, 9_050], [1_050, 20]),
        ("center_whole_edge_quint_cent", bands("0.002", "0.01", "0.10"), [20, 980, 1_100], [10, 1_020]),
        ("center_half_edge_half_cent", [{"start": "0", "end": "1", "step": "0.005"}], [50, 5_050], [20, 5_020]),
        ("center_half_edge_quint_cent", bands("0.002", "0.005", "0.10"), [20, 1_050, 9_020], [1_020, 10]),
        ("center_half_edge_deci_cent", bands("0.001", "0.005", "0.10"), [10, 1_050, 9_010], [1_010, 5]),
        ("center_quint_edge_quint_cent", [{"start": "0", "end": "1", "step": "0.002"}], [20, 5_020], [10, 5_010]),
        ("center_quint_edge_deci_cent", bands("0.001", "0.002", "0.10"), [10, 1_020, 9_010], [1_010, 5]),
        ("center_centi_edge_centi_cent", [{"start": "0", "end": "1", "step": "0.0001"}], [1, 5_001, 9_999], []),
        ("center_deci_edge_centi_cent", bands("0.0001", "0.001", "0.01"), [1, 99, 110, 9_901], [101, 5_005]),
        ("a_label_of_next_year", bands("0.0005", "0.005", "0.02"), [5, 195, 250, 9_805], [205, 4]),
    ],
)
def test_every_grid_is_read_from_its_ranges_whatever_its_label(
    label: str, ranges: list[dict[str, str]], on: list[int], off: list[int]
) -> None:
    terms = parse_market(MARKET | {"price_level_structure": label, "price_ranges": ranges}).terms

    def is_on(price: int) -> bool:
        return any(start <= price <= end and (price - start) % step == 0 for start, end, step in terms.price_ranges)

    assert all(is_on(price) for price in on)
    assert not any(is_on(price) for price in off)
    # Whole cents are valid on every grid.
    assert all(is_on(price) for price in range(100, 10_000, 100))


def test_neither_the_key_nor_a_signature_shows_in_what_a_client_prints_or_raises() -> None:
    shown: list[str] = []

    def fail(request: httpx.Request) -> httpx.Response:
        shown.append(request.headers["KALSHI-ACCESS-SIGNATURE"])
        raise httpx.ReadTimeout("no answer", request=request)

    async def use(client: Any) -> None:
        with pytest.raises(OutcomeUnknown) as unknown:
            await client.create_order(OrderRequest("M", "bid", 5_000, 10_000, "c"))
        error = unknown.value
        shown[1:] = ["".join(traceback.format_exception(error)), repr(client), repr(vars(client)), repr(CREDENTIALS)]

    ask(fail, use)
    signature, *texts = shown
    secret = KEY.decode().splitlines()[1]
    for text in texts:
        assert signature not in text
        assert secret not in text


def test_a_signature_is_too_young_to_be_refused_when_the_request_leaves() -> None:
    """The venue takes five seconds of difference; waiting for a connection is time that passes after signing."""
    http = http_client(Settings(_env_file=None, http_timeout_s=60))
    pool, connect = http.timeout.pool, http.timeout.connect
    assert pool is not None
    assert connect is not None
    assert pool + connect <= 5
    assert http.timeout.read == 60
