"""An answer is about what was asked for, an id names something, and a write is done only where the venue says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams.market.errors import MalformedFrame, OutcomeUnknown, UnreadableAnswer
from streams.venues.common.responses import read_item
from streams.venues.kalshi.types.order_changes import Amendment
from streams.venues.kalshi.types.orders import OrderRequest
from streams.venues.polymarket.chain.relayer import _only_transaction
from streams.venues.polymarket.clob.market_data import book_of
from streams.venues.polymarket.clob.orders import parse_cancel_answer, parse_order, parse_post_answer, parse_trade
from streams.venues.polymarket.data.portfolio import parse_activity, parse_position
from tests.support.kalshi_stub import Stub, ask, made

MINE = OrderRequest("M", "bid", 5_000, 1_000_000, "mine")
NO_IDS = [None, "", {}, [], True, 1.5, 1.0446573723467221e77]


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("rest_market_single", lambda c: c.market("OTHER")),
        ("rest_market_scalar", lambda c: c.historical_market("OTHER")),
        ("rest_event_single", lambda c: c.event("OTHER")),
        ("rest_order_single", lambda c: c.order("OTHER")),
        ("rest_candlesticks_historical", lambda c: c.candlesticks("S", "OTHER", 1, 2)),
        ("rest_candlesticks_historical", lambda c: c.historical_candlesticks("OTHER", 1, 2)),
    ],
)
def test_a_kalshi_read_of_another_thing_is_unreadable(name: str, call: Callable[[Any], Any]) -> None:
    with pytest.raises(UnreadableAnswer, match="OTHER"):
        ask(Stub(made(name)), call)


def test_a_series_of_another_name_is_unreadable() -> None:
    with pytest.raises(UnreadableAnswer, match="asked for 'KXA' and got 'KXB'"):
        ask(Stub((200, {"series": {"ticker": "KXB"}})), lambda client: client.series("KXA"))


@pytest.mark.parametrize("order_id", ["other", *NO_IDS])
def test_an_answer_about_another_order_leaves_a_write_open(order_id: Any) -> None:
    calls: list[tuple[Callable[[Any], Any], dict[str, Any]]] = [
        (lambda c: c.cancel_order("o-1", "M"), {"reduced_by": "1.00"}),
        (lambda c: c.decrease_order("o-1", "M", to_e6=0), {"remaining_count": "1.00"}),
        (lambda c: c.amend_order(Amendment("o-1", "M", "bid", 5_000, 10_000)), {}),
    ]
    for call, answer in calls:
        with pytest.raises(OutcomeUnknown) as unknown:
            ask(Stub((200, {"order_id": order_id, **answer})), call)
        assert unknown.value.order_ids == ("o-1",)


def test_an_order_created_under_another_name_or_without_an_id_is_open() -> None:
    answer = {"order_id": "o-1", "client_order_id": "mine", "fill_count": "0.00", "remaining_count": "1.00"}
    assert ask(Stub((201, answer)), lambda c: c.create_order(MINE)).order_id == "o-1"
    for change in ({"client_order_id": "theirs"}, *({"order_id": order_id} for order_id in NO_IDS)):
        with pytest.raises(OutcomeUnknown) as unknown:
            ask(Stub((201, answer | change)), lambda c: c.create_order(MINE))
        assert unknown.value.order_ids == ("mine",)


@pytest.mark.parametrize("body", [b"<html>maintenance</html>", b"null", b"[]", b'"no"', b'{"error": "x"}', b"{"])
def test_a_write_that_says_nothing_is_done_only_where_it_says_nothing(body: bytes) -> None:
    writes: list[Callable[[Any], Any]] = [
        lambda c: c.cancel_all(),
        lambda c: c.trigger_order_group("g"),
        lambda c: c.set_target_allocation({0: 100}),
    ]
    for write in writes:
        with pytest.raises(OutcomeUnknown):
            ask(Stub((200, body)), write)
        for done in (b"", b"{}", b'"OK"'):
            ask(Stub((200, done)), write)


def test_rows_without_an_id_are_refused_by_name() -> None:
    order = {"id": "0xa", "status": "LIVE", "market": "m", "asset_id": "1", "side": "BUY", "price": "0.5"}
    trade = order | {"taker_order_id": "0xb", "size": "1", "maker_orders": []}
    position = {"condition_id": "0xAb", "token_id": "1", "current_size": 1}
    assert parse_position(position).market_id == "0xab"
    redeemed = {"type": "REDEEM", "condition_id": "0xAb", "usdc_size": 1, "timestamp": 1}
    assert parse_activity(redeemed).market_id == "0xab"
    for bad in NO_IDS:
        for name in ("id", "market", "asset_id"):
            with pytest.raises(ValueError, match=name):
                parse_order(order | {name: bad})
        with pytest.raises(ValueError, match="taker_order_id"):
            parse_trade(trade | {"taker_order_id": bad}, "key", "0xw")
        with pytest.raises(ValueError, match="condition_id"):
            parse_position(position | {"condition_id": bad})
    with pytest.raises(ValueError, match="neither true nor false"):
        parse_position(position | {"redeemable": "perhaps"})
    assert not parse_position(position | {"redeemable": "false"}).is_redeemable
    assert parse_post_answer({"orderID": None, "status": "live"}).order_id == ""


def test_ids_in_other_letters_are_the_same() -> None:
    answer = parse_cancel_answer({"canceled": ["0xAB"], "not_canceled": {"0xCD": "gone"}}, ("0xab", "0xcd", "0xef"))
    assert answer.unaccounted == ("0xef",)


def test_another_transaction_is_not_ours() -> None:
    row = {"transactionID": "t-2", "state": "STATE_CONFIRMED"}
    assert _only_transaction([row], "t-2").is_final
    with pytest.raises(ValueError, match="asked for"):
        _only_transaction(row, "t-1")


@pytest.mark.parametrize(
    "book",
    [
        {}, [], None, {"yes": [["0.5", "1"]], "no": []}, {"yes": None, "no": None},
        {"yes_dollars": {}, "no_dollars": []},
        {"yes_dollars": "", "no_dollars": []}, {"yes_dollars": [], "no_ladder": [["0.5", "1"]]},
    ],
    ids=repr,
)  # fmt: skip
def test_a_kalshi_book_of_unknown_shape_is_no_empty_book(book: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        ask(Stub((200, {"orderbook_fp": book})), lambda client: client.order_book("M"))
    listed = [{"ticker": "M", "orderbook_fp": book}, {"ticker": "N", "orderbook_fp": {"yes_dollars": []}}]
    books = ask(Stub((200, {"orderbooks": listed})), lambda client: client.order_books(["M", "N"]))
    assert ([found.market_id for found in books], len(books.unreadable)) == (["N"], 1)


@pytest.mark.parametrize("side", [None, {}, "", 0, False, {"0.5": "1"}, [["0.5", "1"]]], ids=repr)
def test_a_polymarket_book_of_unknown_shape_is_no_empty_book(side: Any) -> None:
    book = {"asset_id": "1", "market": "M", "bids": [], "asks": []}
    assert book_of(book).bids == []
    with pytest.raises(MalformedFrame):
        read_item(book | {"asks": side}, book_of)


@pytest.mark.parametrize(("word", "expected"), [(True, True), ("true", True), (False, False), ("false", False)])
def test_a_yes_or_no_in_words_is_read_by_its_word(word: Any, expected: bool) -> None:
    status = ask(Stub((200, {"exchange_active": True, "trading_active": word})), lambda c: c.exchange_status())
    assert status.is_trading is expected


@pytest.mark.parametrize("word", [None, "", 0, 1, "no", [], {}], ids=repr)
def test_what_is_neither_yes_nor_no_is_not_guessed(word: Any) -> None:
    answer = {"exchange_active": True, "trading_active": word}
    with pytest.raises(UnreadableAnswer, match="trading_active"):
        ask(Stub((200, answer)), lambda client: client.exchange_status())


def test_a_shard_whose_status_cannot_be_read_costs_that_shard() -> None:
    shard = {"exchange_index": 1, "exchange_active": True, "trading_active": True}
    answer = {
        "exchange_active": True, "trading_active": True,
        "exchange_index_statuses": [None, shard, shard | {"exchange_index": 2, "trading_active": "perhaps"}],
    }  # fmt: skip
    status = ask(Stub((200, answer)), lambda client: client.exchange_status())
    assert [status.trades(index) for index in (0, 1, 2)] == [False, True, False]
    whole = ask(Stub((200, answer | {"exchange_index_statuses": [shard]})), lambda client: client.exchange_status())
    assert [whole.trades(index) for index in (0, 1)] == [True, True]


def test_an_odd_entry_of_a_batch_leaves_only_its_own_order_open() -> None:
    done = {"order_id": "o", "client_order_id": "a", "fill_count": "0.00", "remaining_count": "1.00"}
    sent = [OrderRequest("M", "bid", 5_000, 1_000_000, name) for name in ("a", "b")]
    for odd in (None, 7, "text", []):
        first, second = ask(Stub((200, {"orders": [done, odd]})), lambda client: client.create_orders(sent))
        assert first.answer is not None
        assert isinstance(second.error, OutcomeUnknown)
