"""A provider that answers nonsense is away, in one sentence: whatever it sends."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import httpx
import pytest

from app.doors import oidc
from app.doors.oidc import Provider, ProviderAway
from streams.settings import Settings

ISSUER = "http://127.0.0.1:1"
NONSENSE = [
    b"", b"null", b"[]", b"7", b'"x"', b"{", b"<html>", b"\xff\xfe", b'{"issuer": 5}', b'{"issuer": "http://else"}',
    b"[" * 200_000, b'{"a":' * 200_000, b'{"issuer":' + b"[" * 200_000, b"9" * 10_000, b'{"a": 1e999999}',
    b'{"issuer": "\\ud800"}', b"\x00" * 100,
]  # fmt: skip


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body[:12]))
@pytest.mark.parametrize("status", [200, 404, 500])
def test_whatever_it_sends(monkeypatch: pytest.MonkeyPatch, body: bytes, status: int) -> None:
    transport = httpx.MockTransport(lambda _request: httpx.Response(status, content=body))
    monkeypatch.setattr(oidc.httpx, "AsyncClient", partial(httpx.AsyncClient, transport=transport))
    settings = Settings(_env_file=None, oidc_issuer=ISSUER, oidc_client_id="crossbook")
    with pytest.raises(ProviderAway, match="cannot be used now"):
        asyncio.run(Provider(settings, time.time).start("http://127.0.0.1/back"))
