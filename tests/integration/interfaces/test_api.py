"""The HTTP API over a real server: lists, filters, pages, acts behind the token, and typed errors."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import current_default_thread_limiter
from fastapi.testclient import TestClient

from app.api.main import create_app
from app.api_token import ensure_token, token_path
from app.doors.shell import shell_name
from streams.market.errors import ConfigurationError
from streams.settings import load_settings
from streams.storage.database import connect
from tests.fixtures.seed_warehouse import PAIR_IDS
from tests.support.api import api_client, home_token

LISTS = ["markets", "get_market_pairs", "get_order_books?venue=kalshi", "spreads", "opportunities", "trades"]


@pytest.fixture
def client(seeded: str, tmp_path: Path) -> Iterator[TestClient]:
    with api_client(tmp_path, seeded) as opened:
        yield opened


@pytest.fixture
def bearer(client: TestClient, tmp_path: Path) -> dict[str, str]:
    return home_token(tmp_path)


def _walk(client: TestClient, path: str, limit: int) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    joint = "&" if "?" in path else "?"
    while True:
        page = client.get(f"/api/{path}{joint}limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


@pytest.mark.parametrize("path", LISTS)
def test_small_pages_give_the_same_items_as_one_large_page(client: TestClient, path: str) -> None:
    if path == "spreads":
        path = f"spreads?pair_id={PAIR_IDS[0]}"
    key = ("pair_id", "minute", "execution_id", "signal_id", "venue", "market_id")
    names = [[item.get(name) for name in key] for item in _walk(client, path, 1000)]
    assert names
    assert [[item.get(name) for name in key] for item in _walk(client, path, 5 if len(names) < 100 else 90)] == names


@pytest.mark.parametrize("path", LISTS)
def test_an_empty_database_gives_empty_lists(database: str, tmp_path: Path, path: str) -> None:
    with api_client(tmp_path, database) as client:
        answer = client.get(f"/api/{path}")
    assert answer.status_code == 200
    assert answer.json()["items"] == []


def test_missing_marts_are_said_and_not_hidden(database: str, tmp_path: Path) -> None:
    with api_client(tmp_path, database) as client:
        assert "not been built" in client.get("/api/spreads").json()["note"]
        health = client.get("/api/health").json()
    assert health["status"] == "degraded"
    assert any("not been built" in problem for problem in health["problems"])


def test_decimals_are_strings(client: TestClient) -> None:
    trade = client.get("/api/trades", params={"state": "SETTLED"}).json()["items"][0]
    assert trade["edge_usd"] == "0.0164"
    assert Decimal(trade["realised_pnl_usd"]) == Decimal("2.14")
    book = client.get("/api/get_order_books", params={"venue": "kalshi", "market_id": "KXFED-26DEC-H0"}).json()
    assert book["items"][0]["bids"][0] == ["0.6100", "77.000000"]


def test_filters_narrow_the_lists(client: TestClient) -> None:
    assert len(client.get("/api/markets", params={"venue": "kalshi", "recorded": True}).json()["items"]) == 6
    assert len(client.get("/api/get_market_pairs", params={"state": "approved"}).json()["items"]) == 2
    refused = client.get("/api/opportunities", params={"reason": "cooldown"}).json()["items"]
    assert refused
    assert all("cooldown" in item["refusals"] for item in refused)


def test_health_tells_counts_and_alerts(client: TestClient) -> None:
    health = client.get("/api/health").json()
    assert health["deltas"] == 214_523
    assert health["mode"] == {"venues": "sandbox", "trading": "live"}
    assert health["open_alerts"] == 1
    assert health["status"] == "degraded"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eDp5"}])
@pytest.mark.parametrize("path", [f"pairs/{PAIR_IDS[0]}/decision", "trading/kill"])
def test_a_write_without_the_token_is_refused(client: TestClient, path: str, headers: dict[str, str]) -> None:
    answer = client.post(f"/api/{path}", json={"decision": "approve", "who": "Ada"}, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthorised"


def test_a_decision_is_written_under_the_name_of_the_tokens_person(
    client: TestClient, bearer: dict[str, str], seeded: str
) -> None:
    body = {"decision": "approve", "who": "Ada", "reason": "same source"}
    answer = client.post(f"/api/pairs/{PAIR_IDS[2]}/decision", json=body, headers=bearer)
    assert answer.status_code == 201
    assert answer.json()["pair"]["state"] == "approved"
    with connect(seeded) as connection:
        row = connection.execute("SELECT * FROM trading.pair_decisions ORDER BY decision_id DESC LIMIT 1").fetchone()
    assert row is not None
    assert (row["decided_by"], row["reason"]) == (shell_name(), "same source (for Ada)")
    assert (row["environment"], row["kalshi_text_hash"]) == ("sandbox", "hash-KXCPI-26NOV-T3")


def test_a_decision_on_texts_that_changed_is_refused(client: TestClient, bearer: dict[str, str]) -> None:
    body = {"decision": "approve", "who": "Ada", "kalshi_text_hash": "old", "polymarket_text_hash": "hash-0xcpi3"}
    answer = client.post(f"/api/pairs/{PAIR_IDS[2]}/decision", json=body, headers=bearer)
    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "texts_changed"
    pair = client.get("/api/get_market_pairs", params={"market_id": "0xcpi3"}).json()["items"][0]
    assert pair["state"] == "proposed"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("pairs/0000/decision", {"decision": "approve", "who": "Ada"}, 404),
        (f"pairs/{PAIR_IDS[0]}/decision", {"decision": "maybe", "who": "Ada"}, 422),
        (f"pairs/{PAIR_IDS[0]}/decision", {"decision": "approve", "who": "sandbox"}, 422),
        (f"pairs/{PAIR_IDS[0]}/decision", {"decision": "approve", "who": "Ada", "kalshi_text_hash": "x"}, 422),
        (f"pairs/{PAIR_IDS[0]}/decision", {"decision": "approve", "who": "x" * 81}, 422),
        ("trading/pause", {"who": "supervisor"}, 422),
        ("trading/explode", {"who": "Ada"}, 422),
        ("trading/kill", {"who": "Ada", "extra": 1}, 422),
        ("trading/kill", {"who": "A\u0000da"}, 422),
        ("trading/run", {}, 422),
    ],
)
def test_an_unusable_act_gets_a_typed_error_and_writes_nothing(
    client: TestClient, bearer: dict[str, str], seeded: str, path: str, body: dict[str, Any], status: int
) -> None:
    answer = client.post(f"/api/{path}", json=body, headers=bearer)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"code", "message", "field"}
    with connect(seeded) as connection:
        row = connection.execute("SELECT count(*) AS n FROM trading.switches").fetchone()
    assert row == {"n": 1}


@pytest.mark.parametrize(
    ("act", "state"), [("pause", "pause"), ("reduce", "reduce"), ("kill", "kill"), ("resume", "run")]
)
def test_trading_is_switched(client: TestClient, bearer: dict[str, str], act: str, state: str) -> None:
    answer = client.post(f"/api/trading/{act}", json={"who": "Ada", "reason": "drill"}, headers=bearer)
    assert answer.status_code == 201
    assert (answer.json()["state"], answer.json()["set_by"]) == (state, shell_name())
    assert client.get("/api/health").json()["switch"] == state


@pytest.mark.parametrize(
    "query", ["markets?limit=0", "markets?limit=1001", "markets?venue=nyse", "trades?cursor=zzz", "spreads?since=never",
              "get_order_books", "markets?search=%00", "trades?state=%00", "get_market_pairs?market_id=%00"],
)  # fmt: skip
def test_bad_queries_get_a_typed_error_or_nothing(client: TestClient, query: str) -> None:
    answer = client.get(f"/api/{query}")
    assert answer.status_code in {200, 422}
    if answer.status_code == 422:
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", ""])
def test_another_host_name_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/health", headers={"Host": host}).status_code == 403


def test_an_unreachable_warehouse_is_a_typed_503(tmp_path: Path) -> None:
    with api_client(tmp_path, "postgresql://nobody:secret@127.0.0.1:9/none") as client:
        client.app.state.pool().timeout = 0.2  # type: ignore[attr-defined]
        answer = client.get("/api/markets")
    assert answer.status_code == 503
    assert "secret" not in answer.text


def test_an_unknown_path_gets_the_same_error_body(client: TestClient) -> None:
    assert client.get("/api/nothing").json()["error"]["code"] == "not_found"


def test_the_description_is_served_offline(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert {f"/api/{path.split('?')[0]}" for path in LISTS} <= set(description["paths"])
    assert "http://" not in client.get("/docs").text
    assert "https://" not in client.get("/docs").text


def test_the_token_is_made_once_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    first = ensure_token(settings)
    assert ensure_token(settings) == first
    assert stat.S_IMODE(token_path(settings).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["api_token"]


def test_a_token_others_can_read_stops_the_start(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    ensure_token(settings)
    token_path(settings).chmod(0o644)
    with pytest.raises(ConfigurationError, match="read by others"):
        create_app(settings)


def test_an_act_has_a_connection_and_a_thread_that_reads_cannot_take(
    client: TestClient, bearer: dict[str, str]
) -> None:
    async def take_all_threads() -> None:
        limiter = current_default_thread_limiter()
        for number in range(int(limiter.available_tokens)):
            limiter.acquire_on_behalf_of_nowait(number)

    async def give_them_back() -> None:
        limiter = current_default_thread_limiter()
        for number in range(int(limiter.borrowed_tokens)):
            limiter.release_on_behalf_of(number)

    app: Any = client.app
    pool = app.state.pool()
    with ExitStack() as taken:
        for _ in range(pool.max_size):
            taken.enter_context(pool.connection())
        assert client.portal is not None
        client.portal.call(take_all_threads)
        try:
            answer = client.post("/api/trading/kill", json={"who": "Ada"}, headers=bearer)
            decided = client.post(
                f"/api/pairs/{PAIR_IDS[0]}/decision", json={"who": "Ada", "decision": "pause"}, headers=bearer
            )
        finally:
            client.portal.call(give_them_back)
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "kill"
    assert decided.status_code == 201, decided.text


def test_a_kill_names_the_orders_under_way(client: TestClient, bearer: dict[str, str], seeded: str) -> None:
    with connect(seeded) as connection:
        connection.execute("UPDATE trading.orders SET state = 'unknown' WHERE order_id = 1")
        row = connection.execute(
            """SELECT o.order_id, i.execution_id, o.venue, i.market_id, o.state FROM trading.orders AS o
               JOIN trading.intents AS i USING (intent_id) WHERE o.order_id = 1"""
        ).fetchone()
    answer = client.post("/api/trading/kill", json={"who": "Ada"}, headers=bearer).json()
    assert row in answer["under_way"]
    assert answer["is_under_way_known"]
    assert not answer["is_intent_open"]
    assert client.post("/api/trading/pause", json={"who": "Ada"}, headers=bearer).json()["under_way"] == []
