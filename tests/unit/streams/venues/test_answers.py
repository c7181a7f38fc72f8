"""What a host may answer instead of an answer: reads are tried again, writes are unknown, and every call ends."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import httpx
import pytest

from app.supervisor.dagster_api import DagsterApi
from streams.documents import BadDocument, parse_document
from streams.market.errors import (
    IncompleteList,
    OutcomeUnknown,
    Refused,
    StreamsError,
    TransientError,
    UnreadableAnswer,
)
from streams.market.identity import Venue
from streams.market.listing import Listing, text_hash
from streams.settings import Settings
from streams.venues.common.decimals import check_text
from streams.venues.common.endpoints import endpoints
from streams.venues.common.http import MOST_BYTES, HttpRequest, call, whole_exchange
from streams.venues.common.responses import as_sent, cursor_of, document_of, read_page
from streams.venues.common.strict_json import split_list, strict_loads
from streams.venues.common.times import parse_time
from streams.venues.kalshi.errors import classify as kalshi_errors
from streams.venues.kalshi.types.orders import OrderRequest
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.errors import classify as polymarket_errors
from streams.venues.polymarket.limits import PolymarketLimits
from tests.support.kalshi_stub import Stub, ask
from tests.support.polymarket_samples import WALLET

HTML = b"<!DOCTYPE html><title>Just a moment...</title>"
NO_ANSWERS = [HTML, b"", b"null", b'{"error":{"code":"x"}}', b'{"orders":[{"order', b"\xef\xbb\xbf{}", b'{"a":"\xff"}']


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_a_good_status_without_an_answer_is_tried_again_by_reads_and_leaves_writes_open(body: bytes) -> None:
    with pytest.raises(TransientError):
        ask(Stub((200, body)), lambda client: client.orders())
    with pytest.raises(OutcomeUnknown) as lost:
        ask(Stub((200, body)), lambda client: client.create_order(OrderRequest("M", "bid", 5_000, 10_000, "c")))
    assert lost.value.order_ids == ("c",)


@pytest.mark.parametrize("classify", [kalshi_errors, polymarket_errors], ids=["kalshi", "polymarket"])
@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (301, b"", {"Location": "http://127.0.0.1:9/"}),
        (302, b"", {"Location": "/"}),
        (403, HTML, {}),
        (404, HTML, {}),
        (401, b"  <html>", {}),
        (400, b"\xef\xbb\xbf<html>", {}),
        (200, gzip.compress(b"{}", mtime=0)[:12], {"Content-Encoding": "gzip"}),
        (200, b"no gzip", {"Content-Encoding": "gzip"}),
    ],
)
def test_what_a_proxy_says_is_neither_a_refusal_nor_an_absence(
    classify: Any, status: int, body: bytes, headers: dict[str, str]
) -> None:
    asked: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))

    async def send(is_write: bool) -> bytes:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond), follow_redirects=True) as http:
            raw = await call(http, HttpRequest("POST", "http://h/x", is_write=is_write), classify=classify)
            document_of(raw)
            return raw

    with pytest.raises(TransientError):
        asyncio.run(send(is_write=False))
    if status != 200:
        with pytest.raises(OutcomeUnknown):
            asyncio.run(send(is_write=True))
    assert set(asked) == {"http://h/x"}, "nobody is followed elsewhere"


def test_an_answer_without_end_in_bytes_is_cut_off() -> None:
    async def parts() -> Any:
        while True:
            yield b" " * 1_048_576

    async def send() -> None:
        respond = lambda _: httpx.Response(200, content=parts())  # noqa: E731
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
            await call(http, HttpRequest("GET", "http://h/x"), classify=kalshi_errors)

    with pytest.raises(TransientError, match="AnswerTooLong"):
        asyncio.run(send())
    assert MOST_BYTES < 100_000_000


@contextmanager
def dripping(every_s: float = 0.09) -> Iterator[int]:
    """A server that answers a byte now and then for as long as anybody listens."""
    ends = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            while not ends.wait(every_s):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        ends.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_body_that_drips_ends_with_the_limit_of_the_call() -> None:
    async def send(port: int, is_write: bool) -> None:
        async with httpx.AsyncClient(timeout=0.3, trust_env=False) as http:
            request = HttpRequest("POST", f"http://127.0.0.1:{port}/x", is_write=is_write)
            await call(http, request, classify=kalshi_errors)

    with dripping() as port:
        began = time.monotonic()
        with pytest.raises(TransientError):
            asyncio.run(send(port, is_write=False))
        with pytest.raises(OutcomeUnknown):
            asyncio.run(send(port, is_write=True))
        with pytest.raises(TimeoutError):
            whole_exchange(HttpRequest("GET", f"http://127.0.0.1:{port}/x"), 0.3)
        assert time.monotonic() - began < 10


@pytest.mark.parametrize("body", [b"null", b"[]", b"{}", b'{"data":null}', b'{"data":{"launchRun":1}}', HTML])
def test_dagster_that_answers_something_else_does_not_answer(tmp_path: Path, body: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    class UnixServer(ThreadingMixIn, UnixStreamServer):
        daemon_threads = True

    server = UnixServer(str(tmp_path / "s"), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        api = DagsterApi(tmp_path / "s")
        assert not api.is_loaded()
        with pytest.raises(TransientError):
            api.launch("job")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


# -- items of lists ----------------------------------------------------------------------------------------------------

BAD_ITEMS = [
    b"null", b"7", b'"text"', b"[]", b'{"a":NaN}', b'{"a":1e400}', b'{"a":"\\ud800"}', b'{"a":"x\\u0000"}',
    b'{"a":"\xff"}', b'{"a":1,"a":2}', b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_ITEMS, ids=lambda bad: bad[:20].decode("latin-1"))
def test_an_item_that_cannot_be_read_costs_that_item_and_keeps_its_bytes(bad: bytes) -> None:
    good = b'{"a":"a \\"quoted\\": \\\\u0000 [ } text"}'
    raw = b'{"cursor":"c","items":[' + b",".join([good, bad, good]) + b"]}"
    document, items = read_page(raw, "items", lambda item: item["a"])
    assert list(items) == ['a "quoted": \\u0000 [ } text'] * 2
    assert cursor_of(document, "cursor") == "c"
    [lost] = items.unreadable
    assert lost.raw == bad
    assert lost.reason
    _, bare = read_page(b"[" + good + b"," + bad + b"]", "", lambda item: item)
    assert (len(bare), len(bare.unreadable)) == (1, 1)


def test_a_nested_item_costs_only_itself() -> None:
    raw = b'{"events":[{"t":1,"markets":[{"m":1},{"m":NaN},{"m":2}]},{"t":2}],"cursor":""}'
    _, events = read_page(raw, "events", lambda item: item, nested="markets")
    assert list(events) == [{"t": 1, "markets": [{"m": 1}, {"m": 2}]}, {"t": 2}]
    assert [lost.raw for lost in events.unreadable] == [b'{"m":NaN}']


BAD_FIELDS = [bad for bad in BAD_ITEMS if bad.startswith(b"{")] + [
    b'"x\\u0000"',
    b'"\\udfff"',
    b'"\xff"',
    b"NaN",
    b"tru",
    b"",
]


@pytest.mark.parametrize("bad", BAD_FIELDS, ids=lambda bad: bad[:20].decode("latin-1"))
@pytest.mark.parametrize("is_first", [True, False])
def test_a_field_beside_the_list_that_cannot_be_read_costs_that_field(bad: bytes, is_first: bool) -> None:
    fields = [b'"note":' + bad, b'"items":[{"a":1},{"a":NaN}]', b'"cursor" : "c,}"']
    raw = b" {" + b",".join(fields if is_first else fields[::-1]) + b"}\n"
    document, items = read_page(raw, "items", as_sent)
    assert (list(items), cursor_of(document, "cursor")) == ([{"a": 1}], "c,}")
    assert [lost.raw for lost in items.unreadable] == [b'{"a":NaN}']


@pytest.mark.parametrize(
    "beside",
    [b'"items":[{"a":2}]', b'"items":NaN', b'"error":"\\u0000"', b'"no\\u0000":1', b'"cut', b'"a":1]'],
)
def test_an_answer_that_does_not_say_what_its_list_is_is_refused(beside: bytes) -> None:
    with pytest.raises(UnreadableAnswer):
        read_page(b'{"items":[{"a":1}],"x":"\\u0000",' + beside + b"}", "items", as_sent)


def test_a_cursor_that_cannot_be_read_costs_what_comes_after_the_page() -> None:
    for cursor in (b'"c\\u0000"', b'"\\ud800"', b"NaN", b'["c"]', b"1.5", b'"a","cursor":"b"'):
        page = ask(
            Stub((200, b'{"events":[{"event_ticker":"E"}],"cursor":' + cursor + b"}")), lambda c: c.events_page()
        )
        assert (page.items, page.cursor) == ([{"event_ticker": "E"}], "")
        assert page.broken_off is not None
        with pytest.raises(UnreadableAnswer, match="cursor"):
            ask(Stub((200, b'{"orders":[],"cursor":' + cursor + b"}")), lambda client: client.orders())


def test_the_candles_of_several_markets_cost_what_cannot_be_read() -> None:
    candle = {"end_period_ts": 3600, "price": {}, "yes_bid": {}, "yes_ask": {}, "volume_fp": "1.00"}
    rows = [
        {"market_ticker": "A", "candlesticks": [candle, None, candle | {"end_period_ts": "soon"}]},
        {"market_ticker": "B", "candlesticks": "none"}, None, {"market_ticker": {}, "candlesticks": []},
        {"market_ticker": "C", "candlesticks": [candle]},
    ]  # fmt: skip
    found = ask(Stub((200, {"markets": rows})), lambda client: client.candlesticks_of(["A", "B", "C"], 0, 60))
    assert {name: (len(candles), len(candles.unreadable)) for name, candles in found.items()} == {
        "A": (1, 2),
        "C": (1, 0),
    }
    assert len(found.unreadable) == 3
    spoiled = json.dumps({"markets": rows[::4]}).encode().replace(b"null", b'{"a":NaN}').replace(b'"C"', b'"\\u0000"')
    found = ask(Stub((200, spoiled)), lambda client: client.candlesticks_of(["A", "C"], 0, 60))
    assert ({name: len(candles) for name, candles in found.items()}, len(found.unreadable)) == ({"A": 1}, 2)


def test_positions_do_not_hang_on_what_stands_beside_them() -> None:
    position = {
        "ticker": "M", "position_fp": "3.00", "market_exposure_dollars": "1", "total_traded_dollars": "1",
        "realized_pnl_dollars": "0", "fees_paid_dollars": "0",
    }  # fmt: skip
    raw = json.dumps({"market_positions": [position], "event_positions": [None], "note": "x\0", "cursor": ""}).encode()
    assert [found.market_id for found in ask(Stub((200, raw)), lambda client: client.positions())] == ["M"]
    with pytest.raises(IncompleteList, match="event_positions"):
        ask(Stub((200, raw)), lambda client: client.holdings())


@pytest.mark.parametrize("raw", [b'{"items":[1,2', b'{"other":[]}', b"", b"[", b'{"items":"x"}'])
def test_a_list_that_is_not_there_or_does_not_end_is_no_list(raw: bytes) -> None:
    with pytest.raises(ValueError, match="items"):
        split_list(raw, "items")


@pytest.mark.parametrize("text", [b'\\"' * 200_000, b"\\" * 400_001, b'"' * 400_001], ids=lambda text: repr(text[:2]))
def test_an_answer_cut_off_within_a_text_is_read_once(text: bytes) -> None:
    """It ends at once: nothing that stands in the text is taken for the begin of another one."""
    with pytest.raises(UnreadableAnswer):
        read_page(b'{"markets":[{"a":1},{"question":"' + text, "markets", as_sent)
    with pytest.raises(BadDocument):
        parse_document('{"a":"' + text.decode())


def test_json_has_one_meaning() -> None:
    assert strict_loads(b'{"a" : {"b":1}, "c":"\\":"}') == {"a": {"b": 1}, "c": '":'}
    for raw in (b'{"a":1,"a":1}', b'[{"b":{"a":1,"a" :2}}]', b"[" * 200 + b"]" * 200):
        with pytest.raises(ValueError, match=r"twice|deeper"):
            strict_loads(raw)


@pytest.mark.parametrize("cursor", [1.5, ["c"], {"c": 1}, "c\x00", "c\n", "\ud800", "c" * 5000, True])
def test_a_cursor_that_could_not_be_sent_back_is_no_cursor(cursor: object) -> None:
    with pytest.raises(TransientError):
        cursor_of({"cursor": cursor}, "cursor")


def test_an_escaped_backslash_before_the_letters_of_nul_is_harmless() -> None:
    check_text(b'{"a":"\\\\u0000"}')
    with pytest.raises(ValueError, match="NUL"):
        check_text(b'{"a":"\\\\\\u0000"}')


def test_half_of_a_surrogate_pair_is_hashed_and_the_first_year_is_no_date() -> None:
    assert text_hash(Listing(Venue.KALSHI, "M", "E", "a\ud800")) != text_hash(
        Listing(Venue.KALSHI, "M", "E", "a\ud801")
    )
    assert parse_time("0001-01-01T00:00:00Z") is None
    assert parse_time("2026-01-01T00:00:00Z") is not None


def test_a_list_of_money_with_an_unreadable_item_is_incomplete_and_says_what_it_has() -> None:
    order = {
        "order_id": "o", "client_order_id": "c", "ticker": "M", "status": "resting", "outcome_side": "yes",
        "yes_price_dollars": "0.4000", "initial_count_fp": "3.00", "fill_count_fp": "1.00",
        "remaining_count_fp": "2.00", "taker_fill_cost_dollars": "0.40", "maker_fill_cost_dollars": "0",
        "taker_fees_dollars": "0.0168", "maker_fees_dollars": "0",
    }  # fmt: skip
    with pytest.raises(IncompleteList) as incomplete:
        ask(Stub((200, {"orders": [order, None, {"order_id": "x"}], "cursor": ""})), lambda client: client.orders())
    assert [item.order_id for item in incomplete.value.items] == ["o"]  # type: ignore[attr-defined]
    assert [json.loads(lost.raw) for lost in incomplete.value.unreadable] == [None, {"order_id": "x"}]


def polymarket(body: bytes, use: Callable[[PolymarketClient], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
        async with httpx.AsyncClient(transport=transport) as http:
            limits = PolymarketLimits()
            return await use(PolymarketClient(endpoints(Settings(_env_file=None)), WALLET, http=http, limits=limits))

    return asyncio.run(main())


@pytest.mark.parametrize("body", [b'{"error":"x"}', b'{"data":[],"error":"x"}', b'{"data":"x"}', b"{}", b"null", HTML])
def test_an_error_instead_of_our_orders_is_no_empty_list(body: bytes) -> None:
    with pytest.raises(TransientError):
        polymarket(body, lambda client: client.open_orders())


def test_points_and_books_that_cannot_be_read_cost_themselves() -> None:
    points = (
        b'{"history":[{"t":60,"p":0.5},null,{"t":"x","p":0.5},{"t":1e300,"p":0.5},{"t":120,"p":2},{"t":180,"p":NaN}]}'
    )
    found = polymarket(points, lambda client: client.prices_history("1", 0, 1_000))
    assert ([candle.price_close_e4 for candle in found], len(found.unreadable)) == ([5_000], 5)
    book = b'{"asset_id":"1","market":"0xa","bids":[],"asks":[]}'
    books = polymarket(b"[" + book + b',null,{"asset_id":"1"}]', lambda client: client.books(["1"]))
    assert (len(books), len(books.unreadable)) == (1, 2)


def test_errors_of_the_tree_stay_what_they_are() -> None:
    assert isinstance(kalshi_errors(400, b'{"error":{"code":"invalid_price"}}', {}, True), Refused)
    assert issubclass(IncompleteList, StreamsError)


@pytest.mark.parametrize("address", ["http://xn--a/", "http://127.0.0.1:-1/", "http://127.0.0.1:1/\udcff"])
def test_an_address_that_only_the_socket_finds_out_to_be_none_is_a_failed_connection(address: str) -> None:
    with pytest.raises(httpx.ConnectError, match="cannot be used"):
        whole_exchange(HttpRequest("GET", address), 1.0)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"cursor":"abc","markets":[{"title":"5" screen"},{"ticker":"B"}]}', "abc"),
        (b'{"cursor": "", "markets":[{"title":"5" screen"}]}', ""),
        (b'{"markets":[{"title":"5" screen"},{"ticker":"B"}],"cursor":"e+/=_-9"}', "e+/=_-9"),
        (b'{"markets":[{"title":"5" screen"}],"cursor":"a\\u0000b"}', None),
        (b'{"markets":[{"title":"5" screen"}],"cursor":5}', None),
        (b'{"markets":[{"title":"5" screen"}]}', None),
        (b'<html>"cursor":"abc"</html>', None),
        (b'{"cursor":"%s","markets":[{"title":"5" screen"}]}' % (b"x" * 5_000), None),
    ],
)
def test_a_page_that_cannot_be_taken_apart_says_where_the_list_goes_on(raw: bytes, told: str | None) -> None:
    with pytest.raises(UnreadableAnswer) as caught:
        read_page(raw, "markets", as_sent, cursor="cursor")
    assert caught.value.next_cursor == told
    with pytest.raises(UnreadableAnswer) as caught:
        read_page(raw, "markets", as_sent)
    assert caught.value.next_cursor is None
