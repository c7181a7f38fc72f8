"""HTTP through the doors: whose a request is, what of it reaches the server behind, and what comes back."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.doors.proxy.decisions.asked import SESSION_COOKIE
from app.doors.roles import IDENTITY_HEADER, Act, Identity, Role, to_header
from app.doors.shell import shell_name
from tests.support.doors import DOORS, OpenDoors, Recorded, open_doors

OPENED = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none"}
OWNER = to_header(Identity("mallory", Role.OWNER, "token"))


@pytest.fixture
def behind() -> dict[str, Recorded]:
    return {name: Recorded() for name in DOORS}


@pytest.fixture
def doors(tmp_path: Path, behind: dict[str, Recorded]) -> Iterator[OpenDoors]:
    with open_doors(tmp_path / "home", behind) as opened:
        yield opened


@pytest.mark.parametrize("door", DOORS)
def test_the_home_token_opens_every_door_as_the_shell_user(
    doors: OpenDoors, behind: dict[str, Recorded], door: str
) -> None:
    answer = httpx.post(doors.url(door, "/a%2Fb?c=%20d&c"), headers=doors.bearer(), content=b"x" * 1000)
    assert (answer.status_code, answer.text) == (200, "behind")
    method, target, _, body = behind[door].requests[-1]
    assert (method, target, body) == ("POST", "/a%2Fb?c=%20d&c", b"x" * 1000)
    assert behind[door].identity() == Identity(shell_name(), Role.OWNER, "token")
    assert bool(behind[door].header("authorization")) == (door == "api")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_an_identity_only_reads_of_the_api_pass(
    doors: OpenDoors, behind: dict[str, Recorded], door: str, method: str
) -> None:
    answer = httpx.request(method, doors.url(door, "/graphql"), headers={"Origin": doors.url(door, "")})
    if (door, method) == ("api", "GET"):
        assert answer.status_code == 200
        assert behind["api"].identity() is None
        return
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert behind[door].requests == []


def test_a_browser_that_opens_a_page_is_sent_to_sign_in_and_comes_back(doors: OpenDoors) -> None:
    answer = httpx.get(doors.url("dashboard", "/risk?a=b"), headers={"Accept": "text/html"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/-/sign-in?next=%2Frisk%3Fa%3Db"
    picture = {"Accept": "text/html", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert httpx.get(doors.url("dashboard"), headers=picture).status_code == 401


def test_a_link_signs_in_once(doors: OpenDoors, behind: dict[str, Recorded]) -> None:
    doors.person("ann", Role.TRADER)
    code = doors.accounts.make_link("ann")
    with httpx.Client(follow_redirects=True) as browser:
        browser.get(doors.url("dashboard", f"/-/link?code={code}"), headers=OPENED)
        assert browser.get(doors.url("dashboard")).text == "behind"
    identity = behind["dashboard"].identity()
    assert identity is not None
    assert (identity.name, identity.role, identity.how) == ("ann", Role.TRADER, "link")
    assert httpx.get(doors.url("dashboard", f"/-/link?code={code}"), headers=OPENED).status_code == 403


@pytest.mark.parametrize(("scheme", "is_secure"), [("https", True), ("http", False)])
def test_a_session_under_a_name_reached_by_tls_stays_on_tls(tmp_path: Path, scheme: str, *, is_secure: bool) -> None:
    with open_doors(tmp_path / "home", {}, other_hosts="desk.example") as doors:
        doors.accounts.add_person("ann", Role.OWNER, by="test", password="correct horse battery")
        answer = httpx.post(
            doors.url("dashboard", "/-/sign-in"),
            headers={"Host": "desk.example", "Origin": f"{scheme}://desk.example"},
            data={"name": "ann", "password": "correct horse battery"},
            timeout=60,
        )
        assert answer.status_code == 303
        assert ("Secure" in answer.headers["set-cookie"]) == is_secure


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-IP", "Via"])
def test_a_link_that_a_server_in_front_passes_on_opens_nothing(doors: OpenDoors, name: str) -> None:
    doors.person("ann", Role.OWNER)
    address = doors.url("dashboard", f"/-/link?code={doors.accounts.make_link('ann')}")
    answer = httpx.get(address, headers={**OPENED, name: "10.0.0.1", "Connection": name})
    assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
    assert "set-cookie" in httpx.get(address, headers=OPENED).headers


@pytest.mark.parametrize(
    "name", ["x-crossbook-identity", "X-Crossbook-Identity", "X_Crossbook_Identity", "x-crossbook_identity"]
)
@pytest.mark.parametrize("door", DOORS)
def test_an_identity_from_outside_is_dropped_however_it_is_spelled(
    doors: OpenDoors, behind: dict[str, Recorded], door: str, name: str
) -> None:
    doors.person("vic", Role.VIEWER)
    claims = [(name, OWNER), (name, OWNER), ("Connection", IDENTITY_HEADER)]
    answer = httpx.get(doors.url(door), headers=[*claims, *doors.cookie("vic").items()])
    assert answer.status_code == 200
    identity = behind[door].identity()
    assert identity is not None
    assert (identity.name, identity.role) == ("vic", Role.VIEWER)
    assert OWNER not in str(behind[door].requests)


@pytest.mark.parametrize("door", DOORS)
def test_the_session_never_reaches_what_stands_behind(doors: OpenDoors, behind: dict[str, Recorded], door: str) -> None:
    doors.person("ann", Role.OWNER)
    cookie = doors.cookie("ann")["Cookie"]
    answer = httpx.get(doors.url(door), headers={"Cookie": f"a=1; {cookie}; b=2"})
    assert answer.status_code == 200
    assert behind[door].header("cookie") == ["a=1; b=2"]


def test_on_live_venues_a_link_changes_nothing_in_dagster(tmp_path: Path) -> None:
    dagster = Recorded()
    live = {"venues": "live", "trading": "live", "i_understand": True}
    with open_doors(tmp_path / "home", {"dagster": dagster}, **live) as doors:
        doors.person("ann", Role.OWNER)

        def ask(document: str) -> int:
            page = doors.page("dagster", "ann")
            return httpx.post(doors.url("dagster", "/graphql"), json={"query": document}, headers=page).status_code

        assert (ask("mutation { a }"), ask("{ a }")) == (403, 200)
        assert len(dagster.requests) == 1


def test_two_different_sessions_are_none(doors: OpenDoors, behind: dict[str, Recorded]) -> None:
    doors.person("ann", Role.OWNER)
    cookie = f"{doors.cookie('ann')['Cookie']}; {doors.cookie('ann')['Cookie']}"
    assert httpx.get(doors.url("dashboard"), headers={"Cookie": cookie}).status_code == 401
    assert behind["dashboard"].requests == []


def test_a_token_opens_what_its_scopes_say(doors: OpenDoors, behind: dict[str, Recorded]) -> None:
    doors.person("ann", Role.OWNER)
    token, text = doors.accounts.add_token("bot", "ann", [Act.STOP])
    headers = {"Authorization": f"Bearer {text}"}
    assert httpx.get(doors.url("dashboard"), headers=headers).status_code == 403
    assert httpx.post(doors.url("api", "/api/trading/pause"), headers=headers).status_code == 200
    identity = behind["api"].identity()
    assert identity is not None
    assert identity.scopes == {Act.STOP}
    doors.accounts.revoke_token(token.token_id)
    assert httpx.post(doors.url("api", "/api/trading/pause"), headers=headers).status_code == 401
    assert httpx.get(doors.url("api", "/api/markets"), headers=headers).status_code == 401


def test_every_answer_is_kept_out_of_frames_and_pools(doors: OpenDoors, behind: dict[str, Recorded]) -> None:
    behind["dagster"].headers = [
        (b"content-security-policy", b"default-src 'self'"),
        (b"x-frame-options", b"SAMEORIGIN"),
        (b"access-control-allow-origin", b"*"),
        (b"set-cookie", f"{SESSION_COOKIE}=evil".encode()),
        (b"set-cookie", b"theme=dark"),
    ]
    answers = [
        httpx.get(doors.url("dagster"), headers=doors.bearer()),
        httpx.get(doors.url("dagster")),
        httpx.get(doors.url("dagster", "/-/sign-in")),
        httpx.get(doors.url("dagster"), headers={"Host": "evil.test"}),
    ]
    assert [answer.status_code for answer in answers] == [200, 401, 200, 403]
    for answer in answers:
        assert "frame-ancestors 'none'" in answer.headers.get_list("content-security-policy")
        assert answer.headers.get_list("x-frame-options") == ["DENY"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        assert answer.headers["referrer-policy"] == "same-origin"
    assert "default-src 'self'" in answers[0].headers.get_list("content-security-policy")
    assert "access-control-allow-origin" not in answers[0].headers
    assert answers[0].headers.get_list("set-cookie") == ["theme=dark"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (
            "POST / HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            "0\r\n\r\nX",
            400,
        ),
        ("POST / HTTP/1.1\r\nHost: {host}\r\n{bearer}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        ("POST / HTTP/1.1\r\nHost: {host}\r\n{bearer}Content-Length: +5\r\n\r\nhello", 400),
        ("GET / HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n{bearer}\r\n", 403),
        ("GET / HTTP/1.1\r\n{bearer}\r\n", 403),
        ("TRACE / HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n", 405),
        ("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n", 400),
        ("GET /a/../b HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n", 400),
        ("GET /a/%2e%2e/b HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n", 400),
        ("GET //b HTTP/1.1\r\nHost: {host}\r\n{bearer}\r\n", 400),
    ],
)
def test_a_request_with_two_meanings_never_gets_in(
    doors: OpenDoors, behind: dict[str, Recorded], head: str, status: int
) -> None:
    host, bearer = (
        f"127.0.0.1:{doors.port('dashboard')}",
        f"Authorization: Bearer {doors.token}\r\nConnection: close\r\n",
    )
    assert f" {status} " in _raw(doors.port("dashboard"), head.format(host=host, bearer=bearer))
    assert behind["dashboard"].requests == []


@pytest.mark.parametrize("where", ["in a header", "in a trailer", "in a chunk's extension"])
def test_a_head_without_end_is_cut_off(doors: OpenDoors, behind: dict[str, Recorded], where: str) -> None:
    head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{doors.port('dashboard')}\r\nAuthorization: Bearer {doors.token}\r\n"
    chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n"
    starts = {
        "in a header": f"{head}A: ",
        "in a trailer": f"{chunked}0\r\nA: ",
        "in a chunk's extension": f"{chunked}3;a=",
    }
    with socket.create_connection(("127.0.0.1", doors.port("dashboard")), 10) as connection:
        connection.sendall(starts[where].encode())
        with pytest.raises(OSError, match=r"reset|pipe"):
            _pour(connection)
    assert behind["dashboard"].requests == []


def test_trailers_and_headers_of_one_hop_stay_outside(doors: OpenDoors, behind: dict[str, Recorded]) -> None:
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{doors.port('dashboard')}\r\nAuthorization: Bearer {doors.token}\r\n"
        "Transfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Late\r\nKeep-Alive: 5\r\nX-Hop: 1\r\n"
        "Connection: X-Hop, close\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
        f"3\r\nabc\r\n0\r\n{IDENTITY_HEADER}: {OWNER}\r\n\r\n"
    )
    assert " 200 " in _raw(doors.port("dashboard"), head)
    names = {name for name, _ in behind["dashboard"].requests[-1][2]}
    assert behind["dashboard"].requests[-1][3] == b"abc"
    assert not names & {b"te", b"trailer", b"keep-alive", b"x-hop", b"x-forwarded-for", b"x-late"}
    identity = behind["dashboard"].identity()
    assert identity is not None
    assert identity.name == shell_name()


def _pour(connection: socket.socket) -> None:
    for _ in range(1000):
        connection.sendall(b"x" * 10_000)


def _raw(port: int, head: str) -> str:
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(head.encode())
        said = b""
        while part := connection.recv(65_536):
            said += part
    return said.decode("latin-1")
