"""Bodies of the API: what cannot be meant is refused with its place, before anything is asked of the warehouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from streams.redaction import redact_text
from tests.support.api import api_client, home_token


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    client = api_client(tmp_path)
    client.headers.update(home_token(tmp_path) | {"Content-Type": "application/json"})
    return client


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"who": "a", "who": "b"}', "key 'who' stands twice"), (b'{"who": NaN}', "NaN"), (b"[" * 5000, "deeper"),
        (b'{"who": "\\ud800"}', "Unicode"), (b'{"who": "\\u0000"}', "zero"),
        (b"\xff", "UTF-8"), (b'{"who"', "column"), (b'{"who": 1e999}', "out of range"),
        (b'{"who": 9' + b"9" * 5000 + b"}", "digits"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_meant_is_refused_with_its_place(client: TestClient, body: bytes, said: str) -> None:
    answer = client.post("/api/trading/pause", content=body)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/trades?stat=HEDGED", "there are cursor, group_id, limit, mode, state"),
        ("/api/trades?state=HEDGED&state=FLAT", "state twice"), ("/api/get_market_pairs?State=approved", "'State'"),
        ("/api/markets?limit=5&limit=5", "limit twice"), ("/api/health?verbose=1", "there is none"),
        ("/api/trades/1/flatten?slippage=1", "'slippage'"), ("/api/markets?limit=1_0", "limit cannot"),
        ("/api/markets?limit=%EF%BC%95", "limit cannot"), ("/api/markets?limit=%2B5", "limit cannot"),
        ("/api/markets?limit=+5", "limit cannot"), ("/api/trades/%EF%BC%91/flatten", "execution_id cannot"),
        ("/api/spreads?a%0A%1B[31m=1", "no parameter here"),
    ],
)  # fmt: skip
def test_a_query_that_cannot_be_meant_is_refused_by_its_name(client: TestClient, path: str, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]["message"]


def test_a_huge_body_is_refused(client: TestClient) -> None:
    answer = client.post("/api/trading/pause", content=b'{"who": "' + b"a" * 200_000 + b'"}')
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_the_token_is_a_loaded_secret(client: TestClient) -> None:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    assert token not in redact_text(f"x {token} y")
