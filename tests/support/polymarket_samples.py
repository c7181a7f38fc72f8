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
from streams.venues.polymarket.clob.market_data import book_of, taker_delay_of
from streams.venues.polymarket.clob.orders import parse_trade
from streams.venues.polymarket.data import portfolio
from streams.venues.polymarket.errors import HeartbeatMismatch
from streams.venues.polymarket.gamma.listings import parse_market
from streams.venues.polymarket.signing import SignedOrder, build_order

PAGE = Path(__file__).resolve().parents[2] / "docs" / "venues" / "polymarket-samples.md"
KINDS = ("gamma_", "clob_", "data_", "geoblock")
UNREAD = (
    "gamma_event", "gamma_tags", "gamma_series", "gamma_public_search", "clob_market",
    "clob_simplified_markets_page", "data_v1_trades", "data_v2_trades", "data_v2_value", "data_v2_holders",
)  # fmt: skip
"""Responses to requests that the client does not make."""
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


async def _markets(client: PolymarketClient) -> list[Any]:
    page = await client.gamma_markets_page()
    return [parse_market(row) for row in page.items]


_ORDER_ID = "0xcdd382e9475bfae40185afd9bfec7fea0ec8b4010af7ed616040f016e19dcb3f"


async def _post_orders(client: PolymarketClient) -> list[Any]:
    return list(await client.post_orders([SignedOrder(order_id, {}) for order_id in (_ORDER_ID, "0x02")]))


# By the start of a file's name, the longest fits.
READERS: dict[str, tuple[str, Call]] = {
    "gamma_markets_keyset": ("GET /markets/keyset", _markets),
    "clob_auth_api_key": ("POST /auth/api-key", lambda client: client.obtain_credentials()),
    "clob_balance_allowance": ("GET /balance-allowance", lambda client: client.balance_allowance("COLLATERAL")),
    "clob_books": ("POST /books", lambda client: client.books(["1"])),
    "clob_cancel_response": ("DELETE /orders", lambda client: client.cancel_orders(["0x1"])),
    "clob_data_order": ("GET /data/order/{id}", lambda client: client.order(_ORDER_ID)),
    "clob_data_orders": ("GET /data/orders", lambda client: client.open_orders()),
    "clob_data_trades": ("GET /data/trades", lambda client: client.trades()),
    "clob_post_order_response": ("POST /order", lambda client: client.send_order(b"{}")),
    "clob_post_orders_response": ("POST /orders", _post_orders),
    "clob_prices_history": ("GET /prices-history", lambda client: client.prices_history("1", interval="1d")),
    "data_v2_positions": ("GET /v2/positions", lambda client: client.positions("0x1")),
    "data_v2_activity": ("GET /v2/activity", lambda client: client.activity("0x1")),
    "geoblock": ("GET /api/geoblock", lambda client: client.geoblock()),
}
SCALARS: dict[str, Call] = {
    "GET /auth/ban-status/closed-only": lambda client: client.closed_only(),
    "GET /auth/api-keys": lambda client: client.api_keys(),
    "DELETE /auth/api-key": lambda client: client.delete_api_key(),
    "GET /balance-allowance/update": lambda client: client.update_balance_allowance("COLLATERAL"),
}
# An element of what a call reads, alone or as a request gives it that no call makes. By the start of a file's name.
ROWS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "gamma_market": ("a row of GET /markets/keyset", parse_market),
    "clob_book": ("a row of POST /books", book_of),
    "clob_clob_market_info": ("GET /clob-markets/{id}", lambda answer: taker_delay_of(answer, answer["c"])),
    "clob_trade_2024": ("a row of GET /data/trades", lambda row: parse_trade(row, WALLET.api_key, WALLET.wallet)),
    "data_v1_positions": ("GET /positions", lambda rows: [portfolio.parse_position(row) for row in rows]),
}


def read_sample(file: str, body: Any) -> list[Reading]:
    """Read one file of bodies and tell what each gave. Raises StreamsError for one that should have parsed."""
    stem = file.removesuffix(".json")
    if stem == "clob_errors":
        return [_error(file, entry) for entry in body]
    if stem == "clob_scalars":
        read_ones = [(name, answer) for name, answer in body.items() if name.startswith(tuple(SCALARS))]
        return [_scalar(file, name, answer) for name, answer in read_ones]
    if stem == "clob_heartbeat":
        return _heartbeat(file, body)
    if stem == "data_v2_error":
        return [_error(file, {"status": 400, "body": body}, READERS["data_v2_positions"])]
    if stem.startswith("clob_post_order_request"):
        return [_request(file, body)]
    name = reader_of(stem)
    if name in ROWS:
        request, parse = ROWS[name]
        return [Reading(file, request, told(read(body, parse)))]
    request, call = READERS[name]
    return [Reading(file, request, told(_ask(call, (200, {}, body))))]


def reader_of(stem: str) -> str:
    """Return the name in `READERS` or `ROWS` of what reads a file: the longest that its name begins with."""
    return max((name for name in (*READERS, *ROWS) if stem.startswith(name)), key=len)


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
        if is_read(path.name)
        for reading in read_sample(path.name, json.loads(path.read_text()))
    ]


def is_read(file: str) -> bool:
    """Whether a file holds bodies that the client sends or receives."""
    return file.startswith(KINDS) and not file.startswith(UNREAD)


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
