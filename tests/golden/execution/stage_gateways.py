"""The third module that knows internals: the venues' gateways on scripted answers, as plain values."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from pydantic import SecretStr

from orchestration.execution.venues.gateway import Gateway, OrderKey, OrderSpec
from orchestration.execution.venues.kalshi import KalshiGateway
from orchestration.execution.venues.polymarket import PolymarketGateway
from streams.market.errors import StreamsError
from streams.market.fees import from_json
from streams.market.identity import Venue
from streams.market.listing import MarketTerms
from streams.market.trading import Target
from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient
from streams.venues.polymarket.client import PolymarketClient
from tests.golden.execution.stage import Plain

SENT_AT = datetime(2024, 2, 3, tzinfo=UTC)
_WALLET = PolymarketCredentials(
    SecretStr("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
    "key",
    SecretStr("c2VjcmV0"),
    SecretStr("words"),
)
_VARY = ("client_order_id", "salt", "timestamp", "signature")
Answers = Mapping[str, tuple[int, Any]]
"""The end of "METHOD /path" -> status and body."""


def prepared(venue: str, market: Plain, order: Plain) -> Plain:
    """Return the body of the request that an order becomes, or why it becomes none."""

    async def prepare(gateway: Gateway) -> Plain:
        body = json.loads(gateway.prepare(OrderSpec(_target(venue, market), **order)).request["body"])
        return {"body": _steady(body)}

    return _use(venue, {}, prepare)[0]


def reading(venue: str, market: Plain, order: Plain, answers: Answers) -> Plain:
    """Return what a gateway reads of an order, and what it asked."""
    key = OrderKey(order["client_order_id"], None, _target(venue, market), order["outcome"], order["action"], SENT_AT)

    async def read(gateway: Gateway) -> Plain:
        found = await gateway.read(key)
        fills = [
            {
                "venue_fill_id": fill.venue_fill_id,
                "contracts_e6": fill.contracts_e6,
                "cash_e6": fill.cash_e6,
                "fee_e6": fill.fee_e6,
                "state": fill.state,
            }
            for fill in found.fills
        ]
        return {
            "is_found": found.is_found,
            "is_final": found.is_final,
            "venue_order_id": found.venue_order_id,
            "filled_e6": found.filled_e6,
            "status": found.status,
            "fills": fills,
        }

    answer, requests = _use(venue, answers, read)
    return {"reading": answer, "requests": requests}


def _target(venue: str, market: Plain) -> Target:
    terms = MarketTerms(**{**market, "price_ranges": tuple(map(tuple, market["price_ranges"]))})
    return Target(Venue(venue), "M", terms, from_json(venue, terms.fee_schedule))


def _steady(body: Any) -> Any:
    if isinstance(body, dict):
        return {name: f"<{name}>" if name in _VARY else _steady(value) for name, value in body.items()}
    return body


def _use(venue: str, answers: Answers, call: Callable[[Gateway], Awaitable[Plain]]) -> tuple[Plain, list[str]]:
    requests: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked = f"{request.method} {request.url.path}"
        requests.append(f"{asked}?{request.url.params}".rstrip("?"))
        status, body = next(found for end, found in answers.items() if asked.endswith(end))
        return httpx.Response(status, json=body)

    async def main() -> Plain:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
            where = endpoints(Settings(_env_file=None))
            gateway: Gateway
            if venue == "kalshi":
                gateway = KalshiGateway(KalshiClient(where, None, http=http, limits=KalshiLimits.unlimited()))
            else:
                gateway = PolymarketGateway(PolymarketClient(where, _WALLET, http=http), _WALLET)
            try:
                return await call(gateway)
            except StreamsError as error:
                return {"error": str(error)}

    return asyncio.run(main()), requests
