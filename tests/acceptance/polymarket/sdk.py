"""Polymarket's SDK pointed at the sandbox; every request it sends is noted. Runs in the acceptance environment."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
from polymarket._internal.environment import PRODUCTION_CONFIG, create_environment

STAGE = json.loads(Path(os.environ["CROSSBOOK_STAGE"]).read_text())
BASE = STAGE["polymarket"]
SOCKETS = BASE.replace("http://", "ws://") + "/ws"
_NOWHERE = "http://127.0.0.1:9"
Found = TypeVar("Found")

# The SDK knows production only; an environment with other addresses is made from the same parts.
ENVIRONMENT = create_environment(
    name="sandbox",
    config=replace(
        PRODUCTION_CONFIG,
        clob_url=f"{BASE}/clob", gamma_url=f"{BASE}/gamma", data_url=f"{BASE}/data", relayer_url=f"{BASE}/relayer",
        rpc_url=f"{BASE}/rpc", clob_market_ws_url=f"{SOCKETS}/market", clob_user_ws_url=f"{SOCKETS}/user",
        rfq_url=_NOWHERE, rtds_ws_url=_NOWHERE, sports_ws_url=_NOWHERE, builder_gateway_url=_NOWHERE,
        collateral_return_url=_NOWHERE, perps_url=_NOWHERE, perps_ws_url=_NOWHERE, realtime_ws_url=_NOWHERE,
        relayer_poll_frequency_ms=50,
    ),
)  # fmt: skip

REQUESTS: list[tuple[str, str, int]] = []
"""Method, path and status of everything sent since the list was last emptied."""


def note_requests() -> None:
    """Keep what httpx sends."""
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def noted(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        response = send(self, request, **options)
        REQUESTS.append((request.method, request.url.path, response.status_code))
        return response

    async def noted_async(self: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
        response = await send_async(self, request, **options)
        REQUESTS.append((request.method, request.url.path, response.status_code))
        return response

    httpx.Client.send = noted  # type: ignore[method-assign]
    httpx.AsyncClient.send = noted_async  # type: ignore[method-assign]


def say(**line: Any) -> None:
    """One JSON line for the test; decimals and models as text."""
    sys.stdout.write(json.dumps(line, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)


def admin(method: str, path: str, body: Any = None) -> Any:
    """Do something on the sandbox's admin port.

    Raises:
        RuntimeError: If it is refused.
    """
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(STAGE["admin"] + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def house(market_id: str, side: str, price_e4: int, shares: int, *, is_immediate: bool = False) -> None:
    """An order of the house, who stands for everybody else; side bid or ask of YES."""
    order = {"venue": "polymarket", "market_id": market_id, "side": side, "price_e4": price_e4}
    admin("POST", "/orders", order | {"size_e6": shares * 1_000_000, "is_immediate": is_immediate})


def eventually(what: str, ask: Callable[[], Found | None], limit_s: float = 10) -> Found:
    """Ask until the answer is something.

    Raises:
        TimeoutError: If it never is.
    """
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = ask()
        if found:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"within {limit_s} seconds there was no {what}")
