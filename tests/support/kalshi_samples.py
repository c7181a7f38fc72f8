"""Reads every REST body of a folder of samples with the client's own calls and says what became of each.

`python -m tests.support.kalshi_samples <folder of samples>` writes docs/venues/kalshi-samples.md.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import orjson

from streams.market.errors import OutcomeUnknown, RateLimited, StreamsError, TransientError
from streams.market.units import price_e4, size_e6
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.kalshi.types.catalogue import Event
from streams.venues.kalshi.types.order_changes import Amendment, BatchItem
from streams.venues.kalshi.types.orders import OrderRequest
from streams.venues.kalshi.types.portfolio import Positions

PAGE = Path(__file__).resolve().parents[2] / "docs" / "venues" / "kalshi-samples.md"
Call = Callable[[KalshiClient, Any], Awaitable[Any]]
ORDER = OrderRequest("KXA-1", "bid", 5_000, 1_000_000, "c")
# How a request names its shard is ours to choose, and what is absent is what is false.
_ROUTING = {"exchange_index", "market_ticker", "subaccount"}


@dataclass(frozen=True)
class Reading:
    """What became of one sample: the call that read it, and the type, count or error it gave."""

    file: str
    call: str
    status: int
    result: str


def _batch(client: KalshiClient, body: Any) -> Awaitable[Any]:
    names = [entry["client_order_id"] for entry in body["orders"]]
    return client.create_orders([OrderRequest("KXA-1", "bid", 5_000, 1_000_000, name) for name in names])


def _cancels(client: KalshiClient, body: Any) -> Awaitable[Any]:
    return client.cancel_orders([(entry["order_id"], "KXA-1") for entry in body["orders"]])


def _amend(client: KalshiClient, body: Any) -> Awaitable[Any]:
    return client.amend_order(Amendment(body["order_id"], "KXA-1", "bid", 5_000, 1_000_000))


def _create(client: KalshiClient, body: Any) -> Awaitable[Any]:
    name = (body or {}).get("client_order_id") or ORDER.client_order_id
    return client.create_order(replace(ORDER, client_order_id=name))


# By the start of a file's name, the longest first.
READERS: dict[str, tuple[str, Call]] = {
    "rest_account_endpoint_costs": ("endpoint_costs", lambda client, _: client.endpoint_costs()),
    "rest_account_limits": ("account_limits", lambda client, _: client.account_limits()),
    "rest_amend_order_v2.response": ("amend_order", _amend),
    "rest_balance": ("account_balance", lambda client, _: client.account_balance()),
    "rest_batch_cancel_v2.response": ("cancel_orders", _cancels),
    "rest_batch_create_v2.response": ("create_orders", _batch),
    "rest_cancel_all": ("cancel_all", lambda client, _: client.cancel_all()),
    "rest_cancel_order_v2.response": (
        "cancel_order",
        lambda client, body: client.cancel_order(body["order_id"], "KXA-1"),
    ),
    "rest_candlesticks_historical": (
        "historical_candlesticks",
        lambda client, body: client.historical_candlesticks(body["ticker"], 1, 2),
    ),
    "rest_candlesticks_batch": ("candlesticks_of", lambda client, _: client.candlesticks_of(["KXA-1"], 1, 2)),
    "rest_candlesticks": ("candlesticks", lambda client, body: client.candlesticks("KXA", body["ticker"], 1, 2)),
    "rest_create_order_v2.response": ("create_order", _create),
    "rest_decrease_order_v2.response": (
        "decrease_order",
        lambda client, body: client.decrease_order(body["order_id"], "KXA-1", to_e6=0),
    ),
    "rest_event_single": ("event", lambda client, body: client.event(body["event"]["event_ticker"])),
    "rest_events_fee_changes": ("event_fee_changes", lambda client, _: client.event_fee_changes()),
    "rest_events": ("events", lambda client, _: client.events(with_nested_markets=True)),
    "rest_exchange_schedule": ("exchange_schedule", lambda client, _: client.exchange_schedule()),
    "rest_exchange_status": ("exchange_status", lambda client, _: client.exchange_status()),
    "rest_fills": ("fills", lambda client, _: client.fills()),
    "rest_historical_cutoff": ("historical_cutoff", lambda client, _: client.historical_cutoff()),
    "rest_market_": ("market", lambda client, body: client.market(body["market"]["ticker"])),
    "rest_markets": ("markets", lambda client, _: client.markets()),
    "rest_order_group_create.response": ("create_order_group", lambda client, _: client.create_order_group(1_000_000)),
    "rest_order_group_single": ("order_group", lambda client, _: client.order_group("g")),
    "rest_order_groups_list": ("order_groups", lambda client, _: client.order_groups()),
    "rest_order_single": ("order", lambda client, body: client.order(body["order"]["order_id"])),
    "rest_orderbooks_batch": ("order_books", lambda client, _: client.order_books(["KXA-1"])),
    "rest_orderbook": ("order_book", lambda client, _: client.order_book("KXA-1")),
    "rest_orders_list": ("orders", lambda client, _: client.orders()),
    "rest_positions": ("holdings", lambda client, _: client.holdings()),
    "rest_queue_positions": ("queue_positions", lambda client, _: client.queue_positions()),
    "rest_queue_position_single": ("queue_position", lambda client, _: client.queue_position("o")),
    "rest_resting_value": ("resting_value", lambda client, _: client.resting_value()),
    "rest_series_fee_changes": ("series_fee_changes", lambda client, _: client.series_fee_changes()),
    "rest_series_list": ("series_list", lambda client, _: client.series_list()),
    "rest_series_single": ("series", lambda client, body: client.series(body["series"]["ticker"])),
    "rest_settlements": ("settlements", lambda client, _: client.settlements()),
    "rest_target_allocation": ("target_allocation", lambda client, _: client.target_allocation()),
    "rest_trades": ("trades", lambda client, _: client.trades(market_id="KXA-1")),
    "rest_transfer_create.response": ("transfer", lambda client, _: client.transfer(0, 2, 10_000)),
    "rest_transfers_list": ("transfers", lambda client, _: client.transfers()),
    "rest_user_data_timestamp": ("user_data_timestamp", lambda client, _: client.user_data_timestamp()),
}
BUILDERS: dict[str, tuple[str, Call]] = {
    "rest_amend_order_v2.request": ("amend_order", lambda client, body: client.amend_order(_amendment(body))),
    "rest_batch_cancel_v2.request": ("cancel_orders", _cancels),
    "rest_batch_create_v2.request": (
        "create_orders",
        lambda client, body: client.create_orders([_request(entry) for entry in body["orders"]]),
    ),
    "rest_create_order_v2.request": ("create_order", lambda client, body: client.create_order(_request(body))),
    "rest_decrease_order_v2.request": (
        "decrease_order",
        lambda client, body: client.decrease_order("o", "KXA-1", by_e6=size_e6(body["reduce_by"])),
    ),
    "rest_order_group_create.request": (
        "create_order_group",
        lambda client, body: client.create_order_group(size_e6(body["contracts_limit_fp"])),
    ),
}


def _request(body: dict[str, Any]) -> OrderRequest:
    return OrderRequest(
        body["ticker"],
        body["side"],
        price_e4(body["price"]),
        size_e6(body["count"]),
        body["client_order_id"],
        body["time_in_force"],
        post_only=body.get("post_only", False),
    )


def _amendment(body: dict[str, Any]) -> Amendment:
    return Amendment(
        "o",
        body["ticker"],
        body["side"],
        price_e4(body["price"]),
        size_e6(body["count"]),
        body["client_order_id"],
        body["updated_client_order_id"],
        body["expiration_time"],
    )


def read_sample(file: str, status: int, method: str, raw: bytes) -> Reading:
    """Read one sample and tell what it gave. Raises StreamsError for a body that should have parsed."""
    if file.startswith("err_"):
        return _read_error(file, status, method, raw)
    stem = file.removesuffix(".json")
    if ".request" in stem:
        return _build(file, _of(BUILDERS, stem), json.loads(raw))
    name, call = _of(READERS, stem)
    body = json.loads(raw)
    if stem.startswith("rest_cancel_all"):
        status, raw = body["http_status"], b""
    result = asyncio.run(_ask(call, body, [(status, raw)])[0])
    return Reading(file, name, status, _told(result))


def _of(table: dict[str, tuple[str, Call]], stem: str) -> tuple[str, Call]:
    names = sorted((name for name in table if stem.startswith(name)), key=len)
    assert names, f"no call reads {stem}"
    return table[names[-1]]


def _ask(call: Call, body: Any, answers: list[tuple[int, bytes]]) -> tuple[Any, list[httpx.Request]]:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        # A sample that ends in a cursor is followed by an empty last page.
        status, raw = answers[min(len(requests), len(answers)) - 1]
        if len(requests) > len(answers):
            raw = orjson.dumps(dict.fromkeys(orjson.loads(raw)))
        return httpx.Response(status, content=raw)

    async def main() -> Any:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            where = endpoints(Settings(_env_file=None))
            return await call(KalshiClient(where, None, http=http, limits=KalshiLimits.unlimited()), body)

    return main(), requests


def _read_error(file: str, status: int, method: str, raw: bytes) -> Reading:
    is_write = method not in ("GET", "")
    name, call = READERS["rest_create_order_v2.response" if is_write else "rest_balance"]
    try:
        asyncio.run(_ask(call, None, [(status, raw)])[0])
    except StreamsError as error:
        code = getattr(error, "code", "")
        return Reading(file, name, status, f"{type(error).__name__}({code})" if code else type(error).__name__)
    raise AssertionError(f"{file} is no error")


def _build(file: str, builder: tuple[str, Call], body: dict[str, Any]) -> Reading:
    name, call = builder
    main, requests = _ask(call, body, [(503, b"")])
    try:
        asyncio.run(main)
    except OutcomeUnknown:
        sent = json.loads(requests[0].content)
        assert _bare(sent) == _bare(body), f"{file}: {sent}"
        return Reading(file, name, 0, "sent alike")
    raise AssertionError(f"{file}: a write without an answer must be unknown")


def _bare(body: Any) -> Any:
    if isinstance(body, dict):
        return {key: _bare(value) for key, value in body.items() if key not in _ROUTING and value not in (None, False)}
    return [_bare(item) for item in body] if isinstance(body, list) else body


def _told(result: Any) -> str:
    if isinstance(result, list):
        kinds = Counter(_kind(item) for item in result)
        return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "empty list"
    return _kind(result)


def _kind(item: Any) -> str:
    if isinstance(item, BatchItem):
        return f"BatchItem({type(item.answer or item.error).__name__})"
    if isinstance(item, Event):
        return f"Event with {len(item.markets())} Market"
    if isinstance(item, Positions):
        return f"Positions of {len(item.markets)} markets, {len(item.events)} events"
    if isinstance(item, datetime):
        return "datetime"
    return "nothing" if item is None else type(item).__name__


def read_folder(folder: Path) -> list[Reading]:
    """Read all REST bodies of a folder with an `index.json` (file, http_status, method, maybe body), in its order."""
    readings = []
    for entry in json.loads((folder / "index.json").read_text()):
        if entry["file"].startswith(("rest_", "err_")) and entry["file"].endswith(".json"):
            body = entry.get("body")
            raw = (folder / entry["file"]).read_bytes() if body is None else json.dumps(body).encode()
            status = entry.get("http_status") or 200
            readings.append(read_sample(entry["file"], status, entry.get("method") or "", raw))
    return readings


def page(readings: Iterable[Reading]) -> str:
    """Return the page of docs: one row per sample and the counts."""
    rows = list(readings)
    errors = [row for row in rows if row.file.startswith("err_")]
    requests = [row for row in rows if row.result == "sent alike"]
    lines = [
        "<!-- Generated by `python -m tests.support.kalshi_samples` from the folder of samples; do not edit. -->",
        "",
        "# Kalshi's REST samples and what the client makes of them",
        "",
        f"{len(rows)} of {len(rows)}: {len(rows) - len(errors) - len(requests)} answers parsed into typed results, "
        f"{len(errors)} errors into the documented typed error, {len(requests)} requests sent alike (but for how they "
        "name the shard).",
        "",
        "| sample | call | HTTP | result |",
        "|---|---|---|---|",
        *(f"| `{row.file}` | `{row.call}` | {row.status or ''} | {row.result} |" for row in rows),
        "",
        "## What the errors mean",
        "",
        "| may be done next | samples |",
        "|---|---|",
    ]
    for what, names in _consequences(errors).items():
        lines.append(f"| {what} | {', '.join(f'`{name}`' for name in names)} |")
    return "\n".join(lines) + "\n"


def _consequences(errors: list[Reading]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in errors:
        kind = row.result.partition("(")[0]
        what = {RateLimited.__name__: "wait", TransientError.__name__: "retry"}.get(kind, "give up")
        found.setdefault(what, []).append(row.file.removesuffix(".json"))
    return dict(sorted(found.items()))


if __name__ == "__main__":
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(read_folder(Path(sys.argv[1]))))
