"""Reads every HTTP body of a folder of Polymarket samples with the client's own calls and says what became of each.

`python -m tests.support.polymarket_samples <folder of samples>` writes docs/venues/polymarket-samples.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from streams.market.errors import Refused, StreamsError
from streams.market.events import BookSnapshot
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.common.responses import read
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.amounts import Amounts
from streams.venues.polymarket.client import PolymarketClient
from streams.venues.polymarket.clob.market_data import has_right_hash
from streams.venues.polymarket.clob.orders import parse_trade
from streams.venues.polymarket.data import portfolio
from streams.venues.polymarket.errors import HeartbeatMismatch
from streams.venues.polymarket.gamma.catalogue import GammaEvent, SearchResult
from streams.venues.polymarket.gamma.listings import parse_market
from streams.venues.polymarket.signing import SignedOrder, build_order

PAGE = Path(__file__).resolve().parents[2] / "docs" / "venues" / "polymarket-samples.md"
KINDS = ("gamma_", "clob_", "data_", "geoblock")
# A public test key of a development chain, with which the samples of requests were signed.
WALLET = PolymarketCredentials(
    SecretStr("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "00000000-0000-0000-0000-000000000001",
    SecretStr("c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="),
    SecretStr("passphrase-for-tests"),
)
Call = Callable[[PolymarketClient], Awaitable[Any]]
Answer = tuple[int, dict[str, str], Any]


@dataclass(frozen=True)
class Reading:
    """What became of one body: the request it answers, and the type, count or error it gave."""

    file: str
    request: str
    result: str
    is_error: bool = False


async def _first_event(client: PolymarketClient) -> GammaEvent | None:
    async for event in client.gamma_events():
        return event
    return None


async def _markets(client: PolymarketClient) -> list[Any]:
    page = await client.gamma_markets_page()
    return [parse_market(row) for row in page.items]


async def _post_orders(client: PolymarketClient) -> list[Any]:
    ids = ["0xcdd382e9475bfae40185afd9bfec7fea0ec8b4010af7ed616040f016e19dcb3f", "0x02"]
    return list(await client.post_orders([SignedOrder(order_id, {}) for order_id in ids]))


# By the start of a file's name, the longest fits.
READERS: dict[str, tuple[str, Call]] = {
    "gamma_market": ("GET /markets/{id}", lambda client: client.gamma_market("1")),
    "gamma_markets_keyset": ("GET /markets/keyset", _markets),
    "gamma_event": ("GET /events/{id}", lambda client: client.gamma_event("1")),
    "gamma_events_keyset": ("GET /events/keyset", _first_event),
    "gamma_tags": ("GET /tags", lambda client: client.tags()),
    "gamma_series": ("GET /series", lambda client: client.series()),
    "gamma_public_search": ("GET /public-search", lambda client: client.search("bitcoin")),
    "clob_auth_api_key": ("POST /auth/api-key", lambda client: client.obtain_credentials()),
    "clob_balance_allowance": ("GET /balance-allowance", lambda client: client.balance_allowance("COLLATERAL")),
    "clob_book": ("GET /book", lambda client: client.book("1")),
    "clob_books": ("POST /books", lambda client: client.books(["1"])),
    "clob_cancel_response": ("DELETE /orders", lambda client: client.cancel_orders(["0x1"])),
    "clob_clob_market_info": ("GET /clob-markets/{condition}", lambda client: client.clob_market("0x1")),
    "clob_data_order": ("GET /data/order/{id}", lambda client: client.order("0x1")),
    "clob_data_orders": ("GET /data/orders", lambda client: client.open_orders()),
    "clob_data_trades": ("GET /data/trades", lambda client: client.trades()),
    "clob_market": ("GET /markets/{condition}", lambda client: client.clob_listing("0x1")),
    "clob_markets_page": ("GET /markets", lambda client: client.clob_listings_page()),
    "clob_simplified_markets_page": (
        "GET /simplified-markets",
        lambda client: client.clob_listings_page(of="simplified-markets"),
    ),
    "clob_post_order_response": ("POST /order", lambda client: client.send_order(b"{}")),
    "clob_post_orders_response": ("POST /orders", _post_orders),
    "clob_prices_history": ("GET /prices-history", lambda client: client.prices_history("1", interval="1d")),
    "data_v2_positions": ("GET /v2/positions", lambda client: client.positions("0x1")),
    "data_v2_activity": ("GET /v2/activity", lambda client: client.activity("0x1")),
    "data_v2_trades": ("GET /v2/trades", lambda client: client.public_trades_page()),
    "data_v2_value": ("GET /v2/value", lambda client: client.positions_value("0x1")),
    "data_v2_holders": ("GET /v2/holders", lambda client: client.holders(condition="0x1")),
    "geoblock": ("GET /api/geoblock", lambda client: client.geoblock()),
}
SCALARS: dict[str, Call] = {
    "GET /ok": lambda client: client.ok(),
    "GET /time": lambda client: client.server_time(),
    "GET /version": lambda client: client.protocol_version(),
    "GET /price": lambda client: client.price("1", "BUY"),
    "POST /prices": lambda client: client.prices([("1", "BUY")]),
    "GET /midpoint": lambda client: client.midpoint("1"),
    "POST /midpoints": lambda client: client.midpoints(["1"]),
    "GET /spread": lambda client: client.spread("1"),
    "POST /spreads": lambda client: client.spreads(["1"]),
    "GET /last-trade-price": lambda client: client.last_trade_price("1"),
    "POST /last-trades-prices": lambda client: client.last_trade_prices(["1"]),
    "GET /tick-size": lambda client: client.tick_size("1"),
    "GET /neg-risk": lambda client: client.neg_risk("1"),
    "GET /fee-rate": lambda client: client.base_fee_bps("1"),
    "GET /fees/builder-fees": lambda client: client.builder_fees("1"),
    "GET /markets-by-token": lambda client: client.market_of_token("1"),
    "GET /auth/ban-status/closed-only": lambda client: client.closed_only(),
    "GET /auth/api-keys": lambda client: client.api_keys(),
    "DELETE /auth/api-key": lambda client: client.delete_api_key(),
    "GET /balance-allowance/update": lambda client: client.update_balance_allowance("COLLATERAL"),
}
# Bare rows, which are an element of what a call reads, or of the first generation, which no call asks for.
ROWS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "clob_trade_2024": ("a row of GET /data/trades", lambda row: parse_trade(row, WALLET.api_key, WALLET.wallet)),
    "data_v1_positions": ("GET /positions", lambda rows: [portfolio.parse_position(row) for row in rows]),
    "data_v1_trades": ("GET /trades", lambda rows: [portfolio.parse_public_trade(row) for row in rows]),
}


def read_sample(file: str, body: Any) -> list[Reading]:
    """Read one file of bodies and tell what each gave. Raises StreamsError for one that should have parsed."""
    stem = file.removesuffix(".json")
    if stem == "clob_errors":
        return [_error(file, entry) for entry in body]
    if stem == "clob_scalars":
        return [_scalar(file, name, answer) for name, answer in body.items()]
    if stem == "clob_heartbeat":
        return _heartbeat(file, body)
    if stem == "data_v2_error":
        return [_error(file, {"status": 400, "body": body}, READERS["data_v2_positions"])]
    if stem.startswith("clob_post_order_request"):
        return [_request(file, body)]
    if stem in ROWS:
        request, parse = ROWS[stem]
        return [Reading(file, request, told(read(body, parse)))]
    request, call = READERS[max((name for name in READERS if stem.startswith(name)), key=len)]
    result = told(_ask(call, (200, {}, body)))
    if stem in ("clob_book", "clob_book_empty"):
        assert has_right_hash(body), file
        result += ", hash verified"
    return [Reading(file, request, result)]


def _scalar(file: str, name: str, answer: Any) -> Reading:
    start = max((known for known in SCALARS if name.startswith(known)), key=len)
    return Reading(file, name, told(_ask(SCALARS[start], (200, {}, answer))))


def _error(file: str, entry: dict[str, Any], reader: tuple[str, Call] | None = None) -> Reading:
    status, words = entry["status"], entry["body"]["error"]
    is_read = status == 404 or words == "Invalid payload" or "L1" in words
    name, call = reader or READERS["clob_books" if is_read else "clob_post_order_response"]
    try:
        _ask(call, (status, entry.get("headers", {}), entry["body"]))
    except StreamsError as error:
        return Reading(file, f"{name}: {status} {words[:60]}", _named(error), is_error=True)
    raise AssertionError(f"{status} {words} is no error")


def _heartbeat(file: str, body: dict[str, Any]) -> list[Reading]:
    async def beat(client: PolymarketClient) -> str:
        return await client.post_heartbeat("")

    requests: list[httpx.Request] = []
    answered = _ask(beat, (200, {}, body["response_200"]), requests)
    assert answered == body["response_200"]["heartbeat_id"]
    assert json.loads(requests[0].content) == body["request"]
    mismatch = _mismatch(beat, body["response_400_wrong_id"])
    assert mismatch.heartbeat_id == body["response_400_wrong_id"]["heartbeat_id"]
    return [
        Reading(file, "POST /v1/heartbeats, request", "sent alike"),
        Reading(file, "POST /v1/heartbeats", "next id"),
        Reading(file, "POST /v1/heartbeats: 400 wrong id", _named(mismatch), is_error=True),
    ]


def _mismatch(beat: Call, body: Any) -> HeartbeatMismatch:
    try:
        _ask(beat, (400, {}, body))
    except HeartbeatMismatch as error:
        return error
    raise AssertionError("a wrong id is no error")


def _request(file: str, body: dict[str, Any]) -> Reading:
    """Build the same order ourselves; the struct of before 2026-04-28 is refused before it is sent."""
    order = body["order"]
    try:
        _ask(lambda client: client.send_order(json.dumps(body).encode()), (503, {}, {}))
    except Refused as error:
        return Reading(file, "POST /order, request", _named(error), is_error=True)
    except StreamsError:
        ours = build_order(
            WALLET,
            token_id=order["tokenId"],
            side=order["side"],
            amounts=Amounts(int(order["makerAmount"]), int(order["takerAmount"])),
            order_type=body["orderType"],
            is_neg_risk=False,
            salt=order["salt"],
            timestamp_ms=int(order["timestamp"]),
        ).body
        # One SDK leaves out what is false.
        assert ours == {"postOnly": False, **body}, file
        return Reading(file, "POST /order, request", "sent alike")
    raise AssertionError("an order without an answer must be unknown")


def _ask(call: Call, answer: Answer, requests: list[httpx.Request] | None = None) -> Any:
    status, headers, body = answer
    asked: list[httpx.Request] = [] if requests is None else requests

    def respond(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, headers=headers, content=json.dumps(body).encode())

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(respond)) as http:
            return await call(PolymarketClient(endpoints(Settings(_env_file=None)), WALLET, http=http))

    return asyncio.run(main())


def told(result: Any) -> str:
    """Return the type of a result, and how many of which where it holds several."""
    rows = getattr(result, "items", None)
    if isinstance(rows, list):
        return f"a page of {told(rows)}"
    if isinstance(result, dict):
        return f"{len(result)} by token"
    if isinstance(result, list):
        kinds = Counter(_kind(item) for item in result)
        return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "empty list"
    return _kind(result)


def _kind(item: Any) -> str:
    if isinstance(item, GammaEvent):
        return f"GammaEvent with {len(item.markets)} markets"
    if isinstance(item, SearchResult):
        return f"SearchResult with {len(item.events)} events"
    if isinstance(item, BookSnapshot):
        return f"BookSnapshot ({len(item.bids)} bids, {len(item.asks)} asks)"
    if isinstance(item, Decimal | bool | int | str):
        return {"str": "text", "int": "integer", "bool": "flag"}.get(type(item).__name__, "Decimal")
    if isinstance(item, StreamsError):
        return _named(item)
    return "nothing" if item is None else type(item).__name__


def _named(error: StreamsError) -> str:
    code, wait = getattr(error, "code", ""), getattr(error, "retry_after_s", None)
    parts = [str(part) for part in (code, f"after {wait:g} s" if wait is not None else "") if part]
    return type(error).__name__ + (f"({', '.join(parts)})" if parts else "")


def read_folder(folder: Path) -> list[Reading]:
    """Read all HTTP bodies of a folder, by name."""
    return [
        reading
        for path in sorted(folder.glob("*.json"))
        if path.name.startswith(KINDS)
        for reading in read_sample(path.name, json.loads(path.read_text()))
    ]


def page(readings: Iterable[Reading]) -> str:
    """Return the page of docs: one row per body and the counts."""
    rows = list(readings)
    files = {row.file for row in rows}
    errors = [row for row in rows if row.is_error]
    alike = [row for row in rows if row.result == "sent alike"]
    lines = [
        "<!-- Generated by `python -m tests.support.polymarket_samples` from the folder of samples; do not edit. -->",
        "",
        "# Polymarket's HTTP samples and what the client makes of them",
        "",
        f"{len(files)} of {len(files)} files, {len(rows)} of {len(rows)} bodies: "
        f"{len(rows) - len(errors) - len(alike)} answers parsed into typed results, {len(errors)} into the documented "
        f"typed error, {len(alike)} requests sent alike.",
        "",
        "| sample | request | result |",
        "|---|---|---|",
        *(f"| `{row.file}` | {_cell(row.request)} | {row.result} |" for row in rows),
        "",
        "| part | files | bodies | typed | typed error | sent alike |",
        "|---|---|---|---|---|---|",
    ]
    for kind in KINDS:
        own = [row for row in rows if row.file.startswith(kind)]
        bad, same = sum(row.is_error for row in own), sum(row.result == "sent alike" for row in own)
        names = len({row.file for row in own})
        lines.append(f"| {kind.rstrip('_')} | {names} | {len(own)} | {len(own) - bad - same} | {bad} | {same} |")
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return f"`{text.replace('|', '/')}`"


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(read_folder(Path(sys.argv[1]))))
