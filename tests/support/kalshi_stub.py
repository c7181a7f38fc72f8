"""Kalshi's REST client on a stubbed transport, for tests: what it asks is kept, what it is answered is made up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from streams.settings import Settings
from streams.venues.common.endpoints import endpoints
from streams.venues.credentials.keys import KalshiCredentials
from streams.venues.kalshi.limits import KalshiLimits
from streams.venues.kalshi.rest.client import KalshiClient

T = TypeVar("T")
PREFIX = "/trade-api/v2"
KEY = Ed25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
CREDENTIALS = KalshiCredentials("key-1", SecretStr(KEY.decode()))


class Stub:
    """Answers by path, in the order given, and keeps what was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status, body = self.answers.pop(0)
        return httpx.Response(status, content=body if isinstance(body, bytes) else json.dumps(body).encode())


def ask(
    stub: Callable[[httpx.Request], httpx.Response],
    use: Callable[[KalshiClient], Awaitable[T]],
    *,
    signed: bool = True,
    subaccount: int | None = None,
) -> T:
    async def main() -> T:
        async with httpx.AsyncClient(transport=httpx.MockTransport(stub)) as http:
            client = KalshiClient(
                endpoints(Settings(_env_file=None)),
                CREDENTIALS if signed else None,
                http=http,
                clock=lambda: 1781159489957 * 1_000_000,
                limits=KalshiLimits.unlimited(),
                subaccount=subaccount,
            )
            return await use(client)

    return asyncio.run(main())


FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "kalshi" / "index.json"


def made(name: str) -> tuple[int, Any]:
    """One of the made-up bodies with its status."""
    for entry in json.loads(FIXTURES.read_text()):
        if entry["file"] == f"{name}.json":
            return entry["http_status"], entry["body"]
    raise LookupError(name)
