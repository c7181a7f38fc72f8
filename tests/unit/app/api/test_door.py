"""The API's own door: size, time and kind of bodies, how often, under which Host, and with which query."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.api import bodies, door
from app.api.main import create_app
from app.doors.roles import Act, Role
from tests.support.api import api_client, api_settings, home_token, token_of

PAUSE = "/api/trading/pause"
ONE = bodies.BODY_MAX


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    client = api_client(tmp_path)
    client.app.state.pool = client.app.state.acts_pool = _never  # type: ignore[attr-defined]
    return client


def _never() -> None:
    raise AssertionError("nothing is asked of the database")


class Request:
    """One request at the application itself, whose body comes part by part; counts what was read of it."""

    def __init__(
        self, parts: Iterator[bytes], headers: dict[str, str], method: str = "POST", path: str = PAUSE
    ) -> None:
        raw = {"host": "127.0.0.1", "content-type": "application/json", **headers}
        self.scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": None,
            "server": ("127.0.0.1", 8000),
            "headers": [(name.lower().encode(), value.encode()) for name, value in raw.items()],
        }  # fmt: skip
        self.read = 0
        self.sent: list[Any] = []
        self._parts = parts

    async def receive(self) -> dict[str, Any]:
        part = next(self._parts, None)
        self.read += 1
        return {"type": "http.request", "body": part or b"", "more_body": part is not None}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def is_closed(self) -> bool:
        return (b"connection", b"close") in self.sent[0]["headers"]

    def answer(self, home: Path, **more: object) -> Request:
        app = create_app(api_settings(home, **more))
        asyncio.run(app(self.scope, self.receive, self.send))
        return self


def _endless() -> Iterator[bytes]:
    while True:
        yield b" " * 65_536


CHUNKED = {"transfer-encoding": "chunked"}


@pytest.mark.parametrize("framed", [CHUNKED, {"content-length": "300000000"}])
def test_a_body_from_nobody_is_not_read(tmp_path: Path, framed: dict[str, str]) -> None:
    request = Request(_endless(), framed).answer(tmp_path)
    assert (request.status, request.read, request.is_closed) == (401, 0, True)


@pytest.mark.parametrize("length", [str(ONE + 1), "300000000", "9" * 30, "-1", "1e3"])
def test_a_body_that_says_it_is_too_large_is_not_read(tmp_path: Path, length: str) -> None:
    request = Request(_endless(), {**home_token(tmp_path), "content-length": length}).answer(tmp_path)
    assert (request.status, request.read, request.is_closed) == (413, 0, True)


def test_a_body_that_does_not_say_so_is_read_to_the_limit_and_no_further(tmp_path: Path) -> None:
    request = Request(_endless(), home_token(tmp_path) | CHUNKED).answer(tmp_path)
    assert (request.status, request.read, request.is_closed) == (413, 2, True)


@pytest.mark.parametrize("path", ["/api/markets", "/docs", "/api/nothing"])
def test_a_body_where_none_belongs_is_not_read(tmp_path: Path, path: str) -> None:
    for framed, status in ((CHUNKED, None), ({"content-length": "300000000"}, 413)):
        request = Request(_endless(), framed, "GET", path)
        app = create_app(api_settings(tmp_path))
        app.state.pool = app.state.acts_pool = _away
        asyncio.run(app(request.scope, request.receive, request.send))
        assert request.read == 0
        assert request.is_closed
        assert status in (None, request.status)


def _away() -> None:
    from streams.market.errors import ConfigurationError

    raise ConfigurationError("There is no database.")


def test_an_act_that_is_no_route_is_not_read_either(tmp_path: Path) -> None:
    request = Request(_endless(), home_token(tmp_path) | CHUNKED, path="/api/nothing").answer(tmp_path)
    assert (request.status, request.read, request.is_closed) == (404, 0, True)


def test_a_small_body_leaves_the_connection_open(client: TestClient, tmp_path: Path) -> None:
    answer = client.post(PAUSE, content=b"{", headers={**home_token(tmp_path), "content-type": "application/json"})
    assert answer.status_code == 422
    assert "connection" not in answer.headers


def test_a_body_that_comes_too_slowly_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_WITHIN_S", 0.2)

    class Slow(Request):
        async def receive(self) -> dict[str, Any]:
            await asyncio.sleep(0.05)
            return await super().receive()

    begun = time.monotonic()
    request = Slow(iter([b" "] * 1000), home_token(tmp_path) | CHUNKED).answer(tmp_path)
    assert (request.status, request.is_closed) == (408, True)
    assert request.read < 10
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 422), ("application/json; charset=utf-8", 422), ('Application/JSON;charset="UTF-8"', 422),
        ("text/plain", 415), ("application/x-www-form-urlencoded", 415), ("multipart/form-data; boundary=x", 415),
        ("application/json; charset=utf-16", 415), ("application/jsonp", 415), ("", 415),
        ("text/plain, application/json", 415),
    ],
)  # fmt: skip
def test_an_act_is_json(client: TestClient, tmp_path: Path, kind: str, status: int) -> None:
    answer = client.post(PAUSE, content=b"[]", headers={**home_token(tmp_path), "content-type": kind})
    assert answer.status_code == status, answer.text


def test_an_act_without_a_kind_is_refused(client: TestClient, tmp_path: Path) -> None:
    answer = client.post(PAUSE, content=b"{}", headers=home_token(tmp_path))
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "unsupported_media_type")


_BOMBS: dict[str, Callable[[], bytes]] = {
    "nesting": lambda: b"[" * (ONE - 1),
    "objects": lambda: b'{"a":' * (ONE // 5 - 1),
    "a number": lambda: b'{"who": 9' + b"9" * (ONE - 100) + b"}",
    "an exponent": lambda: b'{"who": 1e999999999}',
    "keys": lambda: b"{" + b",".join(b'"%x":1' % number for number in range(ONE // 12)) + b"}",
    "the same key": lambda: b"{" + b'"a":1,' * (ONE // 6 - 10) + b'"a":1}',
}


@pytest.mark.parametrize("bomb", _BOMBS)
def test_a_body_made_to_cost_costs_nothing(client: TestClient, tmp_path: Path, bomb: str) -> None:
    headers = {**home_token(tmp_path), "content-type": "application/json"}
    content = _BOMBS[bomb]()

    def cost(body: bytes) -> float:
        begun = time.process_time()
        answer = client.post(PAUSE, content=body, headers=headers)
        assert answer.status_code == 422
        assert len(answer.content) < 2_000
        return time.process_time() - begun

    usual = sorted(cost(b"[]") for _ in range(9))[4]
    assert min(cost(content) for _ in range(3)) < 50 * usual


@pytest.mark.parametrize("path", ["/api/trades/" + "9" * 10_000 + "/flatten", "/api/markets?limit=" + "9" * 10_000])
def test_a_huge_number_in_an_address_costs_nothing(client: TestClient, tmp_path: Path, path: str) -> None:
    def cost(address: str) -> float:
        begun = time.process_time()
        assert client.get(address, headers=home_token(tmp_path)).status_code == 422
        return time.process_time() - begun

    usual = sorted(cost("/api/markets?limit=x") for _ in range(9))[4]
    assert min(cost(path) for _ in range(3)) < 50 * usual


class Clock:
    """A steady clock that somebody else moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _limited(home: Path) -> tuple[TestClient, Clock]:
    """Return an API that takes ten requests at once from a token, and five from everybody else."""
    client = api_client(home, api_token_requests_per_s=2, api_open_requests_per_s=1)
    clock = Clock()
    for middleware in client.app.user_middleware:  # type: ignore[attr-defined]
        if middleware.cls is door.Door:
            middleware.kwargs["clock"] = clock
    return client, clock


def test_who_asks_too_often_waits_and_the_others_do_not(tmp_path: Path) -> None:
    client, clock = _limited(tmp_path)
    ada, bob = (token_of(tmp_path, name, Role.OWNER) for name in ("Ada", "Bob"))

    def asked(headers: dict[str, str]) -> int:
        return client.get("/openapi.json", headers=headers).status_code

    assert [asked(ada) for _ in range(11)] == [200] * 10 + [429]
    assert [asked({}) for _ in range(6)] == [200] * 5 + [429]
    assert asked(bob) == 200
    assert asked({"Authorization": "Bearer wrong"}) == 429
    clock.now += 0.5
    assert [asked(ada), asked(ada), asked({})] == [200, 429, 429]
    clock.now += 0.5
    assert asked({}) == 200


def test_a_refusal_says_when_to_ask_again(tmp_path: Path) -> None:
    client, _ = _limited(tmp_path)
    for _ in range(5):
        client.get("/openapi.json")
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
    assert answer.headers["Retry-After"] == "1"


def test_who_may_stop_is_never_kept_waiting_with_that(tmp_path: Path) -> None:
    client, _ = _limited(tmp_path)
    ada, viewer = token_of(tmp_path, "Ada", Role.TRADER), token_of(tmp_path, "Bob", Role.VIEWER)
    for headers in (ada, viewer, {}):
        while client.get("/openapi.json", headers=headers).status_code == 200:
            pass
    assert client.post("/api/trading/resume", json={"bad": 1}, headers=ada).status_code == 429
    for stop in ("pause", "reduce", "kill"):
        # 422: the body was looked at
        assert client.post(f"/api/trading/{stop}", json={"bad": 1}, headers=ada).status_code == 422
        assert client.post(f"/api/trading/{stop}", json={"bad": 1}, headers=viewer).status_code == 429
        assert client.post(f"/api/trading/{stop}", json={"bad": 1}).status_code == 429


@pytest.mark.parametrize(
    ("path", "field"),
    [("/api/health?verbose=1", "verbose"), ("/api/markets?limit=5&limit=5", "limit"), ("/openapi.json?x=1", "x"),
     ("/docs?page=2", "page"), ("/api/markets?", None)],
)  # fmt: skip
def test_a_parameter_that_nobody_reads_is_named(client: TestClient, path: str, field: str | None) -> None:
    client.app.state.pool = client.app.state.acts_pool = _away  # type: ignore[attr-defined]
    answer = client.get(path)
    assert answer.status_code == (422 if field else 503)
    assert answer.json()["error"]["field"] == field


@pytest.mark.parametrize("path", [PAUSE, "/api/trading/kill", "/api/pairs/abc/decision", "/api/trades/1/flatten"])
def test_an_act_has_no_parameters(client: TestClient, tmp_path: Path, path: str) -> None:
    answer = client.post(f"{path}?force=1", json={}, headers=home_token(tmp_path))
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == "force"
    assert "there is none" in answer.json()["error"]["message"]


def test_a_list_of_markets_is_several_parameters_of_one_name(client: TestClient) -> None:
    client.app.state.pool = client.app.state.acts_pool = _away  # type: ignore[attr-defined]
    assert client.get("/api/get_order_books?venue=kalshi&market_id=A&market_id=B").status_code == 503
    assert client.get("/api/get_order_books?venue=kalshi&venue=kalshi").status_code == 422


@pytest.mark.parametrize("is_behind_doors", [False, True])
def test_the_host_is_checked_by_whom_browsers_reach(tmp_path: Path, is_behind_doors: bool) -> None:
    client = api_client(tmp_path, behind_doors=is_behind_doors)
    answer = client.get("/openapi.json", headers={"Host": "crossbook.example"})
    assert answer.status_code == (200 if is_behind_doors else 403)


def test_the_description_names_schemes_scopes_and_roles(tmp_path: Path) -> None:
    document = api_client(tmp_path).get("/openapi.json").json()
    schemes = document["components"]["securitySchemes"]
    assert (schemes["token"]["type"], schemes["token"]["scheme"]) == ("http", "bearer")
    assert set(schemes["token"]["x-scopes"]) == set(Act)
    assert schemes["session"]["in"] == "cookie"
    asked = {path: next(iter(methods.values()))["security"] for path, methods in document["paths"].items()}
    assert asked["/api/markets"] == [{"token": ["view"]}, {"session": ["view"]}, {}]
    assert asked["/api/trading/kill"] == [{"token": ["stop"]}, {"session": ["stop"]}]
    closed = api_client(tmp_path, api_reads_without_token=False).get("/openapi.json").json()
    assert closed["paths"]["/api/markets"]["get"]["security"] == [{"token": ["view"]}, {"session": ["view"]}]
    page = api_client(tmp_path).get("/docs").text
    assert "scope <code>resume</code>, for traders and above" in page
    assert "open without a token" in page
