"""Polymarket's REST client against a stubbed transport: what is sent and signed, and what answers become."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from pydantic import SecretStr

from streams.market.errors import (
    AuthenticationFailed,
    InvalidAmount,
    MalformedFrame,
    NotFound,
    OutcomeUnknown,
    Refused,
    TransientError,
    Unavailable,
)
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.common.paging import Page, all_items
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.clob.orders import PostAnswer, parse_trade
from streams.venues.polymarket.ecdsa import address_of
from streams.venues.polymarket.market_frames import TokenRef
from streams.venues.polymarket.signing import SignedOrder, l2_signature

T = TypeVar("T")
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
WALLET = PolymarketCredentials(
    SecretStr("0x" + "11" * 32), "0x" + "22" * 20, "api-key", SecretStr(SECRET), SecretStr("words")
)
OWN_ADDRESS = address_of("0x" + "11" * 32)
ORDER = SignedOrder("0xab", {"order": {"salt": 1}, "owner": "api-key", "orderType": "FAK"})
POSTED = {"errorMsg": "", "orderID": "0xab", "status": "matched", "success": True, "tradeIDs": ["t1"]}


class Stub:
    """Answers in the order given and keeps what was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body = self.answers.pop(0)
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())


def ask(
    stub: Stub,
    use: Callable[[PolymarketClient], Awaitable[T]],
    *,
    signed: bool = True,
    wallet: PolymarketCredentials | None = None,
) -> T:
    async def main() -> T:
        async with httpx.AsyncClient(transport=httpx.MockTransport(stub)) as http:
            client = PolymarketClient(
                endpoints(Settings(_env_file=None)),
                (wallet or WALLET) if signed else None,
                http=http,
                clock=lambda: 1773890758 * 1_000_000_000,
            )
            return await use(client)

    return asyncio.run(main())


def test_keyset_pages_end_where_the_cursor_is_left_out() -> None:
    stub = Stub((200, {"markets": [{"id": "1"}], "next_cursor": "c2"}), (200, {"markets": []}))
    page = ask(stub, lambda client: client.gamma_markets_page("c1", closed=False, condition_ids=["0x1", "0x2"]))
    assert (page.items, page.cursor) == ([{"id": "1"}], "c2")
    assert stub.requests[0].url.path == "/gamma/markets/keyset"
    assert sorted(stub.requests[0].url.params.multi_items()) == [
        ("after_cursor", "c1"),
        ("closed", "false"),
        ("condition_ids", "0x1"),
        ("condition_ids", "0x2"),
        ("limit", "100"),
    ]
    assert ask(stub, lambda client: client.gamma_markets_page("c2")).cursor == ""
    with pytest.raises(MalformedFrame):
        ask(Stub((200, {})), lambda client: client.gamma_markets_page())


def test_private_requests_sign_the_path_the_real_host_sees() -> None:
    stub = Stub((200, POSTED))
    answer = ask(stub, lambda client: client.post_order(ORDER))
    assert (answer.order_id, answer.status, answer.trade_ids) == ("0xab", "matched", ("t1",))
    request = stub.requests[0]
    assert request.url.path == "/clob/order"
    assert request.content == ORDER.content()
    assert request.headers["POLY_SIGNATURE"] == l2_signature(SECRET, "POST", "/order", 1773890758, request.content)


def test_the_query_is_not_signed_and_all_pages_are_read() -> None:
    row = {
        "id": "0x1",
        "status": "ORDER_STATUS_LIVE",
        "market": "M",
        "asset_id": "1",
        "side": "BUY",
        "price": "0.52",
        "original_size": "10",
        "size_matched": "2.5",
        "created_at": 1790934258,
    }
    stub = Stub((200, {"data": [row], "next_cursor": "MTAw"}), (200, {"data": [row], "next_cursor": "LTE="}))
    orders = ask(stub, lambda client: client.open_orders(market="M"))
    assert [order.status for order in orders] == ["LIVE", "LIVE"]
    assert (orders[0].price_e4, orders[0].original_e6, orders[0].matched_e6) == (5_200, 10_000_000, 2_500_000)
    assert [request.url.params["next_cursor"] for request in stub.requests] == ["MA==", "MTAw"]
    assert stub.requests[0].headers["POLY_SIGNATURE"] == l2_signature(SECRET, "GET", "/data/orders", 1773890758)


def test_without_a_key_private_calls_are_refused_here() -> None:
    with pytest.raises(AuthenticationFailed):
        ask(Stub(), lambda client: client.post_order(ORDER), signed=False)


def test_a_refusal_in_a_good_answer_is_a_refusal_and_garbage_is_unknown() -> None:
    refusal = POSTED | {"errorMsg": "not enough balance / allowance", "orderID": "", "status": ""}
    with pytest.raises(Refused) as refused:
        ask(Stub((200, refusal)), lambda client: client.post_order(ORDER))
    assert refused.value.code == "insufficient_balance"
    for status, body in ((500, {"error": "could not insert order"}), (200, b"?"), (200, {"success": True})):
        with pytest.raises(OutcomeUnknown):
            ask(Stub((status, body)), lambda client: client.post_order(ORDER))
    with pytest.raises(NotFound):
        ask(Stub((404, {"error": "Order not found"})), lambda client: client.order("0xab"))


def test_books_are_asked_for_by_post_and_read_in_yes_terms() -> None:
    body = {
        "market": "M",
        "asset_id": "2",
        "timestamp": "1786904243902",
        "hash": "h",
        "bids": [{"price": "0.3", "size": "7"}],
        "asks": [{"price": "0.4", "size": "5"}],
        "tick_size": "0.01",
    }
    tokens = {"2": TokenRef("M", "no")}
    stub = Stub((200, [body]))
    (book,) = ask(stub, lambda client: client.books(["2", "3"], tokens), signed=False)
    assert json.loads(stub.requests[0].content) == [{"token_id": "2"}, {"token_id": "3"}]
    assert (book.bids, book.asks, book.venue_sent_ms) == ([(6_000, 5_000_000)], [(7_000, 7_000_000)], 1786904243902)


@pytest.mark.parametrize(
    ("body", "delay"),
    [({}, (0, False)), ({"sd": 3}, (3, False)), ({"itode": True}, (0, True)), ({"sd": 0, "itode": False}, (0, False))],
)
def test_a_market_says_how_it_holds_back_takers(body: dict[str, Any], delay: tuple[int, bool]) -> None:
    stub = Stub((200, {"c": "0xAB", **body}))
    assert ask(stub, lambda client: client.taker_delay("0xab"), signed=False) == delay
    assert stub.requests[0].url.path.endswith("/clob-markets/0xab")


@pytest.mark.parametrize("body", [{"c": "0xcd"}, {"sd": 3}, {"c": "0xab", "sd": 11}, {"c": "0xab", "sd": "soon"}])
def test_a_delay_of_another_market_or_beyond_all_known_ones_is_unreadable(body: dict[str, Any]) -> None:
    with pytest.raises(TransientError):
        ask(Stub((200, body)), lambda client: client.taker_delay("0xab"), signed=False)


SAID = {"c": "0xab", "ao": True, "mts": 0.001, "gst": "2026-12-01T18:00:00Z", "sd": 3}


@pytest.mark.parametrize(
    ("body", "fees"),
    [
        ({"fd": {"r": 0.05, "e": 1, "to": True}}, {"rate": "0.05", "exponent": "1", "taker_only": True}),
        ({}, {"rate": "0"}),
    ],
)
def test_a_market_says_what_the_engine_goes_by(body: dict[str, Any], fees: dict[str, Any]) -> None:
    found = ask(Stub((200, {**SAID, **body})), lambda client: client.clob_market("0xab"), signed=False)
    assert found == (True, 10, fees, datetime(2026, 12, 1, 18, tzinfo=UTC), (3, False))


@pytest.mark.parametrize("body", [{"ao": None}, {"mts": "?"}, {"c": "0xcd"}, {"tbf": 1000}, {"fd": {"e": 1}}])
def test_a_market_without_what_money_hangs_on_is_unreadable(body: dict[str, Any]) -> None:
    with pytest.raises(TransientError):
        ask(Stub((200, {**SAID, **body})), lambda client: client.clob_market("0xab"), signed=False)


def test_a_history_is_in_yes_terms_without_the_extra_present_point() -> None:
    body = {"history": [{"t": 120, "p": 0.25}, {"t": 150, "p": 0.3}, {"t": 999, "p": 0.9}]}
    stub = Stub((200, body))
    (candle,) = ask(stub, lambda client: client.prices_history("1", 60, 200, outcome="no"))
    assert candle.bucket_start == datetime.fromtimestamp(120, UTC)
    assert (candle.price_close_e4, candle.interval_s) == (7_000, 60)


def maker(order_id: str, **fields: str) -> dict[str, str]:
    return {"order_id": order_id, **fields}


def trade(**changes: Any) -> dict[str, Any]:
    return {
        "id": "t",
        "taker_order_id": "0xtaker",
        "market": "M",
        "asset_id": "yes",
        "side": "BUY",
        "size": "15",
        "price": "0.52",
        "status": "TRADE_STATUS_MATCHED",
        "match_time": "1790934258",
        "trader_side": "TAKER",
        "maker_orders": [
            {
                "order_id": "0xa",
                "owner": "api-key",
                "matched_amount": "10",
                "price": "0.48",
                "asset_id": "no",
                "side": "BUY",
            },
            {
                "order_id": "0xb",
                "owner": "other",
                "matched_amount": "5",
                "price": "0.51",
                "asset_id": "yes",
                "side": "SELL",
            },
        ],
    } | changes


def test_a_takers_cash_is_summed_over_the_makers_it_met() -> None:
    state = parse_trade(trade(), "another-key", WALLET.wallet)
    (fill,) = state.fills
    # 10 x (1 - 0.48) + 5 x 0.51
    assert (fill.order_id, fill.size_e6, fill.cash_e6, fill.is_taker) == ("0xtaker", 15_000_000, 7_750_000, True)
    assert (state.status, state.is_final) == ("MATCHED", False)
    assert fill.pieces == ((5_200, 10_000_000), (5_100, 5_000_000))


def test_where_our_orders_met_each_other_both_have_filled() -> None:
    taken, made = parse_trade(trade(), "api-key", WALLET.wallet).fills
    assert (taken.order_id, taken.is_taker, made.order_id, made.is_taker) == ("0xtaker", True, "0xa", False)
    silent = trade()
    del silent["trader_side"]
    (only,) = parse_trade(silent, "api-key", WALLET.wallet).fills
    assert only.order_id == "0xa"
    (taker,) = parse_trade(silent, "another-key", WALLET.wallet).fills
    assert taker.order_id == "0xtaker"


def test_a_price_finer_than_the_grid_costs_no_fill_and_its_dollars_are_exact() -> None:
    (fill,) = parse_trade(trade(price="0.98999998", size="5.051019", maker_orders=[]), "k", WALLET.wallet).fills
    # 5.051019 x 0.98999998 = 5.000508709...
    assert (fill.price_e4, fill.cash_e6, fill.size_e6) == (9_900, 5_000_509, 5_051_019)
    (sold,) = parse_trade(trade(price="0.00004", size="10", side="SELL", maker_orders=[]), "k", WALLET.wallet).fills
    assert (sold.price_e4, sold.cash_e6) == (1, 400)
    for price in ("0", "1", "-0.5", "x"):
        with pytest.raises(InvalidAmount):
            parse_trade(trade(price=price, maker_orders=[]), "k", WALLET.wallet)


def test_a_status_that_is_not_known_is_not_final() -> None:
    state = parse_trade(trade(status="TRADE_STATUS_REORGED"), "k", WALLET.wallet)
    assert (state.status, state.is_final, state.payload["status"]) == ("MATCHED", False, "TRADE_STATUS_REORGED")


def test_a_makers_fill_is_its_own_entry_perhaps_of_the_other_token() -> None:
    state = parse_trade(trade(trader_side="MAKER", status="CONFIRMED"), "api-key", WALLET.wallet)
    (fill,) = state.fills
    assert (fill.order_id, fill.token_id, fill.side) == ("0xa", "no", "BUY")
    assert (fill.price_e4, fill.cash_e6, fill.is_taker) == (4_800, 4_800_000, False)
    assert state.is_final


def test_a_cancel_says_what_it_did_with_each_id() -> None:
    stub = Stub((200, {"canceled": ["0x1"], "not_canceled": {"0x2": "matched"}}))
    answer = ask(stub, lambda client: client.cancel("0x1"))
    assert (answer.canceled, answer.not_canceled) == (("0x1",), {"0x2": "matched"})
    assert stub.requests[0].method == "DELETE"
    assert json.loads(stub.requests[0].content) == {"orderID": "0x1"}


def test_the_sample_answers_are_read(shared_dir: Path) -> None:
    def sample(name: str) -> Stub:
        return Stub((200, (shared_dir / f"venues/polymarket-samples/{name}.json").read_bytes()))

    assert ask(sample("clob_balance_allowance"), lambda client: client.balance()) == 100_000_000
    order_id = "0xCDD382E9475BFAE40185AFD9BFEC7FEA0EC8B4010AF7ED616040F016E19DCB3F"
    assert ask(sample("clob_data_order"), lambda client: client.order(order_id)).status == "LIVE"
    assert len(ask(sample("clob_data_orders"), lambda client: client.open_orders())) == 1
    (state,) = ask(sample("clob_data_trades"), lambda client: client.trades())
    assert state.fills[0].cash_e6 == 5_200_000
    assert len(ask(sample("clob_books"), lambda client: client.books(["x"]))) == 1
    held, redeemable = ask(sample("data_v2_positions"), lambda client: client.positions("0x1"))
    assert (held.size_e6, redeemable.size_e6, redeemable.is_redeemable) == (0, 980_000, True)
    kinds = [act.kind for act in ask(sample("data_v2_activity"), lambda client: client.activity("0x1"))]
    assert kinds[:2] == ["MAKER_REBATE", "MERGE"]
    for name in ("live", "delayed", "matched"):
        assert ask(sample(f"clob_post_order_response_{name}"), lambda client: client.send_order(b"{}")).status == name
    assert ask(sample("clob_cancel_response"), lambda client: client.cancel_all()).canceled


def test_a_key_is_made_or_derived_where_one_exists() -> None:
    key = {"apiKey": "k2", "secret": SECRET, "passphrase": "p2"}
    fresh = replace(WALLET, private_key=SecretStr("0x" + "11" * 32), api_key="", address=OWN_ADDRESS)
    stub = Stub((400, {"error": "Could not create api key"}), (200, key))
    found = ask(stub, lambda client: client.obtain_credentials(), wallet=fresh)
    assert (found.api_key, found.secret.get_secret_value(), found.address) == ("k2", SECRET, OWN_ADDRESS)
    assert [(request.method, request.url.path) for request in stub.requests] == [
        ("POST", "/clob/auth/api-key"),
        ("GET", "/clob/auth/derive-api-key"),
    ]
    for request in stub.requests:
        assert request.headers["POLY_NONCE"] == "0"
        assert request.headers["POLY_ADDRESS"] == OWN_ADDRESS
        assert "POLY_API_KEY" not in request.headers
    refused = Stub((401, {"error": "Invalid L1 Request headers"}))
    with pytest.raises(AuthenticationFailed):
        ask(refused, lambda client: client.obtain_credentials(), wallet=fresh)


def test_a_lost_answer_names_the_orders_it_may_have_made() -> None:
    other = SignedOrder("0xcd", {"order": {"salt": 2}})
    for answer in ((502, b"<html>"), (200, b"?"), (200, POSTED | {"orderID": "0xother"})):
        with pytest.raises(OutcomeUnknown) as unknown:
            ask(Stub(answer), lambda client: client.post_order(ORDER))
        assert unknown.value.order_ids == ("0xab",)
    for answer in ((500, {"error": "order timed out"}), (200, [POSTED]), (200, {"a": 1}), (200, b"?")):
        with pytest.raises(OutcomeUnknown) as unknown:
            ask(Stub(answer), lambda client: client.post_orders([ORDER, other]))
        assert unknown.value.order_ids == ("0xab", "0xcd")
    with pytest.raises(OutcomeUnknown) as unknown:
        ask(Stub((200, b"")), lambda client: client.cancel_orders(["0x1", "0x2"]))
    assert unknown.value.order_ids == ("0x1", "0x2")


def test_a_batch_tells_of_each_order_in_its_place() -> None:
    signed = [SignedOrder(f"0x{number:02x}", {"order": {"salt": number}}) for number in range(4)]
    rows = [
        POSTED | {"orderID": "0x00", "status": "live"},
        {"success": True, "orderID": "", "errorMsg": "order couldn't be fully filled", "status": ""},
        POSTED | {"orderID": "0xff"},
        {"success": True},
    ]
    stub = Stub((200, rows))
    posted, killed, other, unread = ask(stub, lambda client: client.post_orders(signed))
    assert isinstance(posted, PostAnswer)
    assert isinstance(killed, Refused)
    assert (posted.order_id, posted.status, killed.code, killed.status) == ("0x00", "live", "fok_not_filled", 200)
    assert isinstance(other, OutcomeUnknown)
    assert isinstance(unread, OutcomeUnknown)
    assert (other.order_ids, unread.order_ids) == (("0x02",), ("0x03",))
    assert json.loads(stub.requests[0].content) == [order.body for order in signed]


@pytest.mark.parametrize("count", [0, 16])
def test_a_batch_of_none_or_more_than_fifteen_is_not_sent(count: int) -> None:
    with pytest.raises(InvalidAmount):
        ask(Stub(), lambda client: client.post_orders([ORDER] * count))
    with pytest.raises(InvalidAmount):
        ask(Stub(), lambda client: client.cancel_orders(["0x1"] * (1001 if count else 0)))
    with pytest.raises(InvalidAmount):
        ask(Stub(), lambda client: client.cancel_market_orders())


def test_cancels_come_in_every_form_and_silence_about_an_order_is_told() -> None:
    answer = {"canceled": ["0x1"], "not_canceled": {"0x2": "order already matched"}}
    stub = Stub((200, answer), (200, answer), (200, answer))
    many = ask(stub, lambda client: client.cancel_orders(["0x1", "0x2", "0x3"]))
    assert (many.canceled, many.unaccounted) == (("0x1",), ("0x3",))
    assert ask(stub, lambda client: client.cancel_all()).unaccounted == ()
    ask(stub, lambda client: client.cancel_market_orders(token_id="7"))
    sent = [(request.method, request.url.path, request.content) for request in stub.requests]
    assert sent == [
        ("DELETE", "/clob/orders", b'["0x1","0x2","0x3"]'),
        ("DELETE", "/clob/cancel-all", b""),
        ("DELETE", "/clob/cancel-market-orders", b'{"asset_id":"7"}'),
    ]


def test_an_order_of_the_old_struct_is_refused_before_it_is_sent() -> None:
    with pytest.raises(Refused) as refused:
        ask(Stub(), lambda client: client.send_order(b'{"order":{"salt":1,"nonce":"0"}}'))
    assert refused.value.code == "order_version_mismatch"


def test_a_restarting_engine_asks_for_two_seconds_and_nothing_was_taken() -> None:
    with pytest.raises(Unavailable) as restarting:
        ask(Stub((425, b"")), lambda client: client.post_order(ORDER))
    assert restarting.value.retry_after_s == 2.0


def test_a_row_of_positions_that_contradicts_its_page_is_malformed() -> None:
    with pytest.raises(MalformedFrame):
        ask(
            Stub((200, {"data": [], "pagination": {"has_more": True, "next_cursor": None}})),
            lambda client: client.positions("0x1"),
        )


def test_the_address_check_is_asked_of_the_website() -> None:
    stub = Stub((200, {"blocked": True, "ip": "203.0.113.7", "country": "US", "region": "NY"}))
    found = ask(stub, lambda client: client.geoblock(), signed=False)
    assert (found.is_blocked, found.country, stub.requests[0].url.path) == (True, "US", "/api/geoblock")


@pytest.mark.parametrize("is_success", [True, False])
def test_an_answer_that_names_the_order_and_an_unknown_error_proves_nothing(is_success: bool) -> None:
    odd = POSTED | {"success": is_success, "status": "delayed", "errorMsg": "order match delayed due to conditions"}
    with pytest.raises(OutcomeUnknown) as unknown:
        ask(Stub((200, odd)), lambda client: client.post_order(ORDER))
    assert unknown.value.order_ids == ("0xab",)
    (leg,) = ask(Stub((200, [odd])), lambda client: client.post_orders([ORDER]))
    assert isinstance(leg, OutcomeUnknown)
    assert leg.order_ids == ("0xab",)
    for known in ({"errorMsg": "order couldn't be fully filled. FOK"}, {"orderID": ""}):
        with pytest.raises(Refused):
            ask(Stub((200, odd | known)), lambda client: client.post_order(ORDER))


def test_a_key_without_a_part_is_named_and_nothing_of_it_is_kept() -> None:
    answer = {"apiKey": "k2", "secret": SECRET, "passphrase": None}
    with pytest.raises(OutcomeUnknown, match="passphrase is missing") as unknown:
        ask(Stub((200, answer)), lambda client: client.obtain_credentials())
    assert unknown.value.__cause__ is None
    assert SECRET not in str(unknown.value)


def test_a_position_of_the_second_protocol_is_asked_for_as_one() -> None:
    stub = Stub((200, {"balance": "5"}), (200, {"balance": "6"}))
    position = (1 << 248) + 1
    assert ask(stub, lambda client: client.token_balance(str(position))) == 5
    assert ask(stub, lambda client: client.token_balance(str(position + (1 << 50)))) == 6
    asked = [request.url.params["asset_type"] for request in stub.requests]
    assert asked == ["CONDITIONAL-V2", "CONDITIONAL"]


@pytest.mark.parametrize("following", [{"": "a", "a": "a"}, {"": "a", "a": "b", "b": "a"}])
def test_a_list_that_goes_round_in_a_circle_is_an_error(following: dict[str, str]) -> None:
    async def fetch(cursor: str) -> Page[int]:
        return Page([0], following[cursor])

    with pytest.raises(TransientError, match="repeats"):
        asyncio.run(all_items(fetch))


def test_a_list_without_end_is_abandoned() -> None:
    async def fetch(cursor: str) -> Page[int]:
        return Page([0], str(int(cursor) + 1))

    with pytest.raises(TransientError, match="pages"):
        asyncio.run(all_items(fetch, "1"))
