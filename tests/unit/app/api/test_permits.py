"""Each route of the API for each role and each scope, without a database: who is let through, and who is not."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from app.api.acts import ActTable
from app.api.main import _PREFIX, _ROUTERS
from app.api.strict_body import StrictRoute
from app.doors.accounts import Accounts
from app.doors.roles import Act, How, Identity, Role
from app.doors.shell import shell_name
from streams.market.errors import ConfigurationError
from streams.storage.kill_files import is_kill_on_disk, kill_folder
from tests.support.api import Headers, api_client, by_the_doors, home_token, token_of

READS = [
    "/api/markets", "/api/get_market_pairs", "/api/spreads", "/api/get_order_books?venue=kalshi", "/api/opportunities",
    "/api/trades", "/api/health", "/api/accounts", "/api/orders/unknown", "/api/groups", "/api/groups/g",
    "/api/execution", "/api/limits", "/api/waiting",
]  # fmt: skip
ACTS: dict[str, tuple[Act, Role]] = {
    "/api/pairs/abc/decision": (Act.DECIDE_PAIRS, Role.REVIEWER),
    "/api/trading/pause": (Act.STOP, Role.TRADER),
    "/api/trading/reduce": (Act.STOP, Role.TRADER),
    "/api/trading/kill": (Act.STOP, Role.TRADER),
    "/api/trading/resume": (Act.RESUME, Role.TRADER),
    "/api/trades/1/flatten": (Act.FLATTEN, Role.TRADER),
    "/api/accounts/kalshi/reopen": (Act.RESUME, Role.TRADER),
    "/api/orders/1/resolve": (Act.RESUME, Role.TRADER),
    "/api/limits/total_usd": (Act.LIMITS, Role.OWNER),
    "/api/opportunities/1/release": (Act.LIMITS, Role.OWNER),
}
OFFER = "/api/trades/1/flatten"
"""What a flatten would sell: read by who may ask for it, with the same permission."""
BODIES: dict[str, dict[str, Any]] = {
    "/api/pairs/abc/decision": {"decision": "pause"},
    "/api/trades/1/flatten": {"seen": "x"},
    "/api/accounts/kalshi/reopen": {"reason": "it was me"},
    "/api/orders/1/resolve": {"filled": "0", "reason": "the page"},
    "/api/limits/total_usd": {"value": "100"},
    "/api/opportunities/1/release": {"up_to": "0.07"},
}
RANK = list(Role)


def _away() -> None:
    raise ConfigurationError("There is no database.")


def _client(home: Path, monkeypatch: pytest.MonkeyPatch, *, behind_doors: bool = False, **more: object) -> TestClient:
    monkeypatch.setattr("app.api.routes.health.gather", lambda *_: {})
    client = api_client(home, behind_doors=behind_doors, **more)
    client.app.state.pool = client.app.state.acts_pool = _away  # type: ignore[attr-defined]
    return client


@dataclass(frozen=True)
class World:
    """One home with people of every role, tokens of every scope, and its API, for all tests that change none of it."""

    home: Path
    client: TestClient
    by_role: dict[Role, Headers]
    by_scope: dict[Act, Headers]
    all_but: dict[Act, Headers]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        yield World(
            home,
            _client(home, patch, api_token_requests_per_s=100_000, api_open_requests_per_s=100_000),
            {role: token_of(home, f"A {role}", role) for role in Role},
            {scope: token_of(home, "Ada", Role.OWNER, [scope]) for scope in Act},
            {act: token_of(home, "Ada", Role.OWNER, set(Act) - {act}) for act, _ in ACTS.values()},
        )


@pytest.fixture(autouse=True)
def _nothing_killed(world: World) -> None:
    shutil.rmtree(kill_folder(world.home), ignore_errors=True)


def _act(client: TestClient, path: str, headers: Headers) -> tuple[int, str]:
    answer = client.post(path, json=BODIES.get(path, {}), headers=headers)
    return answer.status_code, answer.json().get("error", {}).get("code", "")


def _passed(path: str) -> tuple[int, str]:
    """Return what an act that was let through gets while the database is away."""
    return (202, "") if path == "/api/trading/kill" else (503, "warehouse_unavailable")


def test_every_route_is_in_the_table() -> None:
    """A new route must be written here."""
    tested = {("GET", path.partition("?")[0]) for path in READS} | {("POST", path) for path in ACTS}
    tested.add(("GET", OFFER))
    table = ActTable(_ROUTERS, _PREFIX)
    assert {(method, table.act_of(method, path) is None) for method, path in tested} == {
        ("GET", False),
        ("POST", False),
    }
    assert sum(len(router.routes) for router in _ROUTERS) == len(tested) - 1  # pause and reduce are one route


def test_a_route_that_names_no_act_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="must name one act"):
        APIRouter(route_class=StrictRoute).get("/secret")(lambda: 1)


@pytest.mark.parametrize("path", ACTS)
def test_an_act_is_for_its_role_and_those_above(world: World, path: str) -> None:
    _, lowest = ACTS[path]
    for role in Role:
        is_enough = RANK.index(role) >= RANK.index(lowest)
        expected = _passed(path) if is_enough else (403, "forbidden")
        assert _act(world.client, path, world.by_role[role]) == expected, role
        assert is_kill_on_disk(world.home) == (is_enough and path == "/api/trading/kill")


@pytest.mark.parametrize("path", ACTS)
def test_a_token_is_for_its_scopes_alone(world: World, path: str) -> None:
    act, _ = ACTS[path]
    for scope, headers in world.by_scope.items():
        expected = _passed(path) if act is scope else (403, "forbidden")
        assert _act(world.client, path, headers) == expected, scope
    assert _act(world.client, path, world.all_but[act]) == (403, "forbidden")


@pytest.mark.parametrize("path", ACTS)
def test_the_token_of_the_home_is_for_everything(world: World, path: str) -> None:
    assert _act(world.client, path, home_token(world.home)) == _passed(path)


@pytest.mark.parametrize("path", ACTS)
def test_nobody_acts_without_a_name(world: World, path: str) -> None:
    for sent in ("", "Bearer", "Bearer wrong", "Basic eDp5", "Bearer \u00e4", "bearer  "):
        headers = {"Authorization": sent.encode()} if sent else {}
        answer = world.client.post(path, json=BODIES.get(path, {}), headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorised"), sent
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not kill_folder(world.home).exists()


def test_a_token_that_was_revoked_or_whose_person_left_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, path = _client(tmp_path, monkeypatch), "/api/trading/pause"
    headers = token_of(tmp_path, "Ada", Role.TRADER)
    assert _act(client, path, headers) == _passed(path)
    accounts = Accounts(tmp_path)
    accounts.set_role("Ada", Role.VIEWER)
    assert _act(client, path, headers) == (403, "forbidden")
    accounts.set_role("Ada", Role.TRADER)
    accounts.set_active("Ada", is_active=False)
    assert _act(client, path, headers) == (401, "unauthorised")
    accounts.set_active("Ada", is_active=True)
    again = token_of(tmp_path, "Ada", Role.TRADER)
    assert _act(client, path, again) == _passed(path)
    accounts.revoke_token(max(token.token_id for token in accounts.list_tokens()))
    for over in (headers, again):
        assert _act(client, path, over) == (401, "unauthorised")
    accounts.close()


@pytest.mark.parametrize("path", READS)
def test_reads_are_open_by_default_whatever_a_token_is_for(world: World, path: str) -> None:
    for headers in ({}, world.by_scope[Act.STOP], home_token(world.home)):
        assert world.client.get(path, headers=headers).status_code == 503
    assert world.client.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


def test_the_offer_of_a_flatten_is_for_who_may_ask_for_it(world: World) -> None:
    assert world.client.get(OFFER).status_code == 401
    for headers in (world.by_role[Role.REVIEWER], world.by_scope[Act.VIEW], world.all_but[Act.FLATTEN]):
        assert world.client.get(OFFER, headers=headers).status_code == 403
    for headers in (world.by_role[Role.TRADER], world.by_scope[Act.FLATTEN], home_token(world.home)):
        assert world.client.get(OFFER, headers=headers).status_code == 503


def test_reads_need_a_token_where_that_is_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = _client(world.home, monkeypatch, api_reads_without_token=False)
    for path in READS:
        assert client.get(path).status_code == 401
        assert client.get(path, headers=world.by_scope[Act.STOP]).status_code == 403
        for headers in (world.by_scope[Act.VIEW], *world.by_role.values()):
            assert client.get(path, headers=headers).status_code == 503


@pytest.mark.parametrize("is_behind_doors", [False, True])
def test_only_behind_the_doors_their_header_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_behind_doors: bool
) -> None:
    client = _client(tmp_path, monkeypatch, behind_doors=is_behind_doors)
    headers = by_the_doors(Identity("Ada", Role.OWNER, "password"))
    assert _act(client, "/api/trading/pause", headers)[0] == (503 if is_behind_doors else 401)


def test_a_header_of_the_doors_that_says_nothing_or_too_much_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = _client(tmp_path, monkeypatch, behind_doors=True)
    good = by_the_doors(Identity("Ada", Role.OWNER, "password"))
    ((name, value),) = good.items()
    for pairs in ([(name, "nonsense")], [(name, value), (name, value)], [(name, value), (name, "")]):
        answer = client.post("/api/trading/pause", json={}, headers=pairs)
        assert answer.status_code == 401


def test_a_session_behind_the_doors_acts_by_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = _client(tmp_path, monkeypatch, behind_doors=True)
    for path, (_, lowest) in ACTS.items():
        for role in Role:
            person = Identity("Ada", role, "password", confirmed_at=time.time(), session="s", can_confirm=True)
            is_enough = RANK.index(role) >= RANK.index(lowest)
            assert _act(client, path, by_the_doors(person)) == (_passed(path) if is_enough else (403, "forbidden"))


def test_only_a_flatten_asks_again_before_it_reads_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = _client(tmp_path, monkeypatch, behind_doors=True)
    long_ago = Identity("Ada", Role.OWNER, "password", confirmed_at=time.time() - 301, session="s", can_confirm=True)
    for path in ACTS:
        is_asked = ACTS[path][0] in (Act.FLATTEN, Act.LIMITS)
        expected = (403, "confirmation_needed") if is_asked else _passed(path)
        assert _act(client, path, by_the_doors(long_ago)) == expected


@pytest.mark.parametrize(("how", "passes"), [("link", False), ("password", True), ("oidc", True), ("token", True)])
def test_on_live_venues_a_link_may_stop_and_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: How, passes: bool
) -> None:
    client = _client(tmp_path, monkeypatch, behind_doors=True, venues="live", trading="live", i_understand=True)
    person = by_the_doors(Identity("Ada", Role.OWNER, how, confirmed_at=time.time(), session="s"))
    for path, (act, _) in ACTS.items():
        assert _act(client, path, person)[0] == (_passed(path)[0] if passes or act is Act.STOP else 403), path


def test_a_kill_needs_neither_the_accounts_nor_the_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "doors").mkdir(mode=0o700)
    (tmp_path / "doors" / "accounts.sqlite").write_text("no database at all" * 100)
    client = _client(tmp_path, monkeypatch)
    answer = client.post("/api/trading/kill", json={"reason": "books look wrong"}, headers=home_token(tmp_path))
    assert answer.status_code == 202
    body = answer.json()
    assert (body["switch_id"], body["state"], body["set_by"]) == (None, "kill", shell_name())
    assert not body["is_recorded"]
    assert not body["is_under_way_known"]
    assert is_kill_on_disk(tmp_path)
    unknown = client.post("/api/trading/kill", json={}, headers={"Authorization": "Bearer cbk_of-somebody"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (503, "accounts_unavailable")
    assert unknown.headers["Retry-After"]


@pytest.mark.parametrize("who", ["supervisor", "x" * 500, "a\u202eb", "  "])
def test_no_name_that_is_sent_along_keeps_a_kill_back(world: World, who: str) -> None:
    answer = world.client.post("/api/trading/kill", json={"who": who}, headers=home_token(world.home))
    assert answer.status_code == 202
