"""Which request may pass which door, for whom."""

from __future__ import annotations

import pytest

from app.doors.proxy.decisions import rules
from app.doors.proxy.decisions.asked import Asked, Door, DoorName, credential_of, malformed, path_of
from app.doors.proxy.decisions.buckets import Buckets
from app.doors.roles import Act, How, Identity, Role

PORTS: dict[DoorName, int] = {"dagster": 3000, "dashboard": 8501, "api": 8000, "sandbox": 8603}
JSON = [(b"content-type", b"application/json")]
VIEWER, REVIEWER, TRADER, OWNER = (Identity("ann", role, "password") for role in Role)


def asked(door: DoorName, method: str, path: str, query: bytes = b"", headers: object = (), **more: bool) -> Asked:
    return Asked(Door(door, PORTS[door]), method, path, query, headers, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("door", "method", "path", "lowest"),
    [
        ("dagster", "GET", "/", Role.VIEWER),
        ("dagster", "GET", "/runs/1", Role.VIEWER),
        ("dagster", "GET", "/graphql", Role.VIEWER),
        ("dagster", "POST", "/graphql", Role.VIEWER),
        ("dagster", "GET", "/logs/a/b.err", Role.VIEWER),
        ("dagster", "GET", "/download_debug/1", Role.VIEWER),
        ("dagster", "GET", "/notebook", Role.TRADER),
        ("dagster", "GET", "/dagit/notebook", Role.TRADER),
        ("dagster", "POST", "/report_asset_materialization/a", Role.TRADER),
        ("dagster", "POST", "/report_asset_check/a", Role.TRADER),
        ("dagster", "POST", "/report_asset_observation/a", Role.TRADER),
        ("dagster", "POST", "/graphql/", Role.TRADER),
        ("dagster", "PUT", "/graphql", Role.TRADER),
        ("dagster", "DELETE", "/anything", Role.TRADER),
        ("dashboard", "GET", "/", Role.VIEWER),
        ("dashboard", "PUT", "/_stcore/upload_file/1", Role.VIEWER),
        ("sandbox", "GET", "/truth/kalshi", Role.VIEWER),
        ("sandbox", "POST", "/flow", Role.TRADER),
        ("sandbox", "DELETE", "/faults", Role.TRADER),
        ("api", "POST", "/api/trading/limits", Role.VIEWER),
    ],
)
def test_each_role_passes_what_it_may(door: DoorName, method: str, path: str, lowest: Role) -> None:
    roles = list(Role)
    request = asked(door, method, path, headers=JSON)
    passing = [
        who.role for who in (VIEWER, REVIEWER, TRADER, OWNER) if rules.refused_for(request, who, is_live=False) is None
    ]
    assert passing == roles[roles.index(lowest) :]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_nobody_changes_anything_by_an_address(method: str) -> None:
    for who in (VIEWER, OWNER):
        assert rules.refused_for(asked("dagster", method, "/graphql", b"query=%7Ba%7D"), who, is_live=False) is None
        refusal = rules.refused_for(asked("dagster", method, "/graphql", b"query=mutation%7Ba%7D"), who, is_live=False)
        assert refusal is not None
        assert refusal.status == 403


@pytest.mark.parametrize("who", [VIEWER, OWNER], ids=lambda who: who.role)
@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ([], b"", 415),
        ([(b"content-type", b"text/plain")], b"", 415),
        ([(b"content-type", b"application/graphql")], b"", 415),
        ([(b"content-type", b"multipart/form-data")], b"", 415),
        ([(b"content-type", b"text/plain"), *JSON], b"", 415),
        (JSON, b"query=mutation%7Ba%7D", 400),
        (JSON, b"query=%7Ba%7D", 400),
        (JSON, b"operationName=B", 400),
        (JSON, b"op=Runs", 0),
        (JSON, b"", 0),
    ],
)
def test_a_document_is_taken_as_json_in_the_body_and_nowhere_else(
    who: Identity, headers: list[tuple[bytes, bytes]], query: bytes, status: int
) -> None:
    refusal = rules.refused_for(asked("dagster", "POST", "/graphql", query, headers), who, is_live=False)
    assert (0 if refusal is None else refusal.status) == status


def test_only_who_may_run_sends_a_mutation() -> None:
    body = b'{"query": "mutation { a }"}'
    refused = [rules.refused_body(who, body, is_live=False) is not None for who in (VIEWER, REVIEWER, TRADER, OWNER)]
    assert refused == [True, True, False, False]
    message = '{"type": "start", "payload": {"query": "mutation { a }"}}'
    refused = [
        rules.refused_message(who, message, is_live=False) is not None for who in (VIEWER, REVIEWER, TRADER, OWNER)
    ]
    assert refused == [True, True, False, False]


@pytest.mark.parametrize(("how", "may"), [("link", False), ("password", True), ("oidc", True), ("token", True)])
def test_on_live_venues_a_link_changes_nothing_in_dagster(how: How, *, may: bool) -> None:
    who = Identity("ann", Role.OWNER, how)
    mutation = '{"query": "mutation { a }"}'
    message = f'{{"type": "start", "payload": {mutation}}}'
    for is_live, passes in ((True, may), (False, True)):
        report = asked("dagster", "POST", "/report_asset_materialization/a")
        refusals = [
            rules.refused_for(report, who, is_live=is_live),
            rules.refused_body(who, mutation.encode(), is_live=is_live),
            rules.refused_message(who, message, is_live=is_live),
        ]
        assert [refusal is None for refusal in refusals] == [passes] * 3
        assert all("password or OIDC" in refusal.message for refusal in refusals if refusal is not None)
    assert rules.refused_for(asked("dagster", "GET", "/"), who, is_live=True) is None
    assert rules.refused_body(who, b'{"query": "{ a }"}', is_live=True) is None


def test_a_token_passes_for_its_scopes_alone() -> None:
    def may(scopes: set[Act], request: Asked) -> bool:
        bot = Identity("bot", Role.OWNER, "token", frozenset(scopes))
        return rules.refused_for(request, bot, is_live=False) is None

    assert not may({Act.STOP}, asked("dashboard", "GET", "/"))
    assert may({Act.VIEW}, asked("dashboard", "GET", "/"))
    assert not may({Act.VIEW}, asked("sandbox", "POST", "/flow"))
    assert may({Act.VIEW, Act.SANDBOX}, asked("sandbox", "POST", "/flow"))
    assert not may({Act.SANDBOX}, asked("sandbox", "POST", "/flow"))
    viewing = Identity("bot", Role.OWNER, "token", frozenset({Act.VIEW}))
    assert rules.refused_body(viewing, b'{"query": "mutation { a }"}', is_live=False) is not None


@pytest.mark.parametrize(
    ("door", "method", "headers", "needs"),
    [
        ("api", "GET", [], False),
        ("api", "HEAD", [], False),
        ("api", "POST", [], True),
        ("api", "GET", [(b"content-length", b"1")], True),
        ("api", "GET", [(b"transfer-encoding", b"chunked")], True),
        ("dashboard", "GET", [], True),
        ("dagster", "GET", [], True),
        ("sandbox", "GET", [], True),
    ],
)
def test_only_reads_of_the_api_need_nobody(
    door: DoorName, method: str, headers: list[tuple[bytes, bytes]], *, needs: bool
) -> None:
    request = asked(door, method, "/", headers=headers)
    assert rules.needs_identity(request) == needs
    refusal = rules.refused_for(request, None, is_live=False)
    assert (refusal is not None and refusal.status == 401) == needs


def test_a_socket_of_the_api_needs_somebody() -> None:
    assert rules.needs_identity(asked("api", "GET", "/", is_socket=True))


@pytest.mark.parametrize("path", ["pause", "reduce", "kill"])
def test_a_stop_is_known(path: str) -> None:
    assert rules.is_stop(asked("api", "POST", f"/api/trading/{path}"))
    assert not rules.is_stop(asked("api", "GET", f"/api/trading/{path}"))
    assert not rules.is_stop(asked("dashboard", "POST", f"/api/trading/{path}"))
    assert not rules.is_stop(asked("api", "POST", "/api/trading/resume"))


@pytest.mark.parametrize(
    ("raw_path", "is_well"),
    [
        (b"/", True), (b"/a%2Fb/c%20d", True), (b"/assets/a..b/.c", True), (b"/%C3%A9", True),
        (b"", False), (b"*", False), (b"a", False), (b"//a", False), (b"/%2Fa", False), (b"/a/..", False),
        (b"/a/%2e%2e/b", False), (b"/./a", False), (b"/a%00", False), (b"/a%0d%0a", False), (b"/a\\b", False),
        (b"/a%5c..%5cb", False), (b"/..%2fa", False),
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(raw_path: bytes, *, is_well: bool) -> None:
    assert (malformed(asked("dagster", "GET", path_of(raw_path))) is None) == is_well


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "get", ""])
def test_other_methods_are_refused(method: str) -> None:
    refusal = malformed(asked("api", method, "/"))
    assert refusal is not None
    assert refusal.status == 405


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"authorization": "Bearer abc"}, ("bearer", "abc")),
        ({"authorization": "bearer  abc "}, ("bearer", "abc")),
        ({"authorization": "Bearer abc", "cookie": "crossbook_session=x"}, ("bearer", "abc")),
        ({"authorization": "Basic abc", "cookie": "crossbook_session=x"}, ("session", "x")),
        ({"cookie": "a=b; crossbook_session=x; c=d"}, ("session", "x")),
        ({"cookie": "crossbook_session=x; crossbook_session=x"}, ("session", "x")),
        ({"cookie": "crossbook_session=x; crossbook_session=y"}, None),
        ({"cookie": "xcrossbook_session=x"}, None),
        ({"cookie": "crossbook_session="}, None),
        ({"cookie": "crossbook_session=" + "x" * 501}, None),
        ({}, None),
    ],
)
def test_what_a_request_brings_to_say_whose_it_is(headers: dict[str, str], expected: tuple[str, str] | None) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert credential_of(asked("api", "GET", "/", headers=raw)) == expected


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    buckets = Buckets(per_s=2.0, burst=3.0)
    assert [buckets.acquire("ann", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert buckets.acquire("ann", 0.0) == 0.5
    assert buckets.acquire("ben", 0.0) == 0.0
    assert buckets.acquire("ann", 0.25) == 0.25
    assert buckets.acquire("ann", 0.5) == 0.0
    assert buckets.acquire("ann", 0.4) > 0, "a clock that goes back gives nothing"
    assert [buckets.acquire("ann", 100.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]


def test_buckets_of_many_do_not_grow_for_ever() -> None:
    buckets = Buckets(per_s=1.0, burst=2.0)
    for number in range(30_000):
        buckets.acquire(str(number), number / 1_000)
    assert len(buckets._left) <= 10_001
