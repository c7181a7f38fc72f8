"""WebSockets through the doors: messages, protocols and close codes pass; changes of who may what close them."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from app.doors.roles import IDENTITY_HEADER, Role, from_header
from tests.support.doors import OpenDoors, Recorded, open_doors


class Echo:
    """A stand-in with a WebSocket: it answers messages with themselves, and does as `!` messages say."""

    def __init__(self) -> None:
        self.scopes: list[Scope] = []
        self.closes: list[tuple[int, str]] = []
        self.received: list[Any] = []
        self.went = threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        await receive()
        if scope["path"] == "/refused":
            await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-why", b"tea")]})
            await send({"type": "websocket.http.response.body", "body": b"no"})
            return
        await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1]})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.closes.append((message["code"], message.get("reason") or ""))
                self.went.set()
                return
            content = message["bytes"] if message.get("bytes") is not None else message["text"]
            self.received.append(content)
            if content == "!close":
                await send({"type": "websocket.close", "code": 4003, "reason": "enough"})
            elif content == "!pour":
                for _ in range(2_000):
                    await send({"type": "websocket.send", "bytes": bytes(50_000)})
                self.received.append("poured")
            else:
                await send({"type": "websocket.send", "text" if isinstance(content, str) else "bytes": content})


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def doors(tmp_path: Path, echo: Echo) -> Iterator[OpenDoors]:
    with open_doors(tmp_path / "home", {"dashboard": echo, "dagster": echo, "api": Recorded()}) as opened:
        for role in Role:
            opened.person(role.value, role)
        yield opened


def open_socket(doors: OpenDoors, door: str, name: str, path: str = "/s?a=b", **given: Any) -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{doors.port(door)}{path}",
        origin=given.pop("origin", doors.url(door, "")),
        additional_headers=given.pop("headers", None) or doors.cookie(name),
        **given,
    )


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_messages_pass_both_ways_with_their_kind_and_protocol(doors: OpenDoors, echo: Echo) -> None:
    with open_socket(doors, "dashboard", "viewer", subprotocols=["streamlit", "b"]) as browser:
        assert browser.subprotocol == "b"
        for message in ("text", "", b"", b"\x00\xff", "é" * 100_000, b"x" * 1_000_000):
            browser.send(message)
            assert browser.recv(10) == message
        assert browser.ping().wait(10)
    [scope] = echo.scopes
    headers = dict(scope["headers"])
    identity = from_header(headers[IDENTITY_HEADER.encode()].decode())
    assert identity is not None
    assert identity.name == "viewer"
    assert (scope["path"], scope["query_string"]) == ("/s", b"a=b")
    assert headers[b"host"].decode() == f"127.0.0.1:{doors.port('dashboard')}"
    assert headers[b"origin"].decode() == doors.url("dashboard", "")
    assert b"cookie" not in headers


def test_close_codes_pass_both_ways(doors: OpenDoors, echo: Echo) -> None:
    with open_socket(doors, "dashboard", "viewer") as browser:
        browser.send("!close")
        with pytest.raises(ConnectionClosed) as closed:
            browser.recv(10)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4003, "enough")
    echo.went.clear()
    browser = open_socket(doors, "dashboard", "viewer")
    browser.close(4001, "bye")
    assert echo.went.wait(10)
    assert echo.closes[-1] == (4001, "bye")
    echo.went.clear()
    browser = open_socket(doors, "dashboard", "viewer")
    browser.socket.shutdown(socket.SHUT_RDWR)
    assert echo.went.wait(10)
    browser.close()


def test_a_handshake_that_is_refused_behind_is_refused_the_same_way(doors: OpenDoors) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(doors, "dashboard", "viewer", "/refused")
    response = refused.value.response
    assert (response.status_code, response.body, response.headers["x-why"]) == (418, b"no", "tea")
    assert response.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("headers", "origin", "status"),
    [
        ({"A": "b"}, "own", 401),
        ({"Authorization": "Bearer wrong"}, "own", 401),
        ("cookie", "http://evil.test", 403),
        ("cookie", "http://127.0.0.1:9", 403),
        ("cookie", "null", 403),
        ("cookie", None, 403),
        ("bearer", "http://evil.test", 403),
    ],
)
def test_a_socket_of_nobody_or_of_another_page_is_refused(
    doors: OpenDoors, echo: Echo, headers: Any, origin: str | None, status: int
) -> None:
    given = doors.cookie("owner") if headers == "cookie" else doors.bearer() if headers == "bearer" else headers
    with pytest.raises(InvalidStatus) as refused:
        open_socket(
            doors, "dashboard", "", headers=given, origin=doors.url("dashboard", "") if origin == "own" else origin
        )
    assert refused.value.response.status_code == status
    assert echo.scopes == []


def test_a_program_opens_a_socket_by_its_bearer_alone(doors: OpenDoors) -> None:
    with open_socket(doors, "dashboard", "", headers=doors.bearer(), origin=None) as program:
        program.send("a")
        assert program.recv(10) == "a"


def test_a_message_of_more_than_a_mebibyte_closes(doors: OpenDoors, echo: Echo) -> None:
    with open_socket(doors, "dashboard", "viewer") as browser:
        browser.send("x" * (1024 * 1024 + 1))
        with pytest.raises(ConnectionClosed) as closed:
            browser.recv(10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
    assert echo.received == []


def test_a_browser_that_does_not_read_holds_the_server_behind_up(doors: OpenDoors, echo: Echo) -> None:
    with open_socket(doors, "dashboard", "viewer", max_queue=1) as browser:
        browser.send("!pour")  # 100 MB
        assert browser.recv(10)
        assert not within(1.0, lambda: "poured" in echo.received)
        for _ in range(1_999):
            browser.recv(10)
        assert within(10.0, lambda: "poured" in echo.received)


@pytest.mark.parametrize("role", list(Role))
def test_only_who_may_run_starts_a_mutation_over_dagsters_socket(doors: OpenDoors, echo: Echo, role: Role) -> None:
    reading = json.dumps({"type": "start", "id": "1", "payload": {"query": "subscription { a }"}})
    changing = json.dumps({"type": "start", "id": "2", "payload": {"query": "mutation { stop }"}})
    with open_socket(doors, "dagster", role.value, "/graphql", subprotocols=["graphql-ws"]) as browser:
        browser.send(reading)
        assert browser.recv(10) == reading
        browser.send(changing)
        if role in (Role.TRADER, Role.OWNER):
            assert browser.recv(10) == changing
            return
        with pytest.raises(ConnectionClosed) as closed:
            browser.recv(10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert echo.received == [reading]


def changed_role(doors: OpenDoors, _cookie: str) -> None:
    doors.accounts.set_role("trader", Role.VIEWER)


def closed_account(doors: OpenDoors, _cookie: str) -> None:
    doors.accounts.set_active("trader", is_active=False)


def new_password(doors: OpenDoors, _cookie: str) -> None:
    doors.accounts.set_password("trader", "correct horse battery")


def signed_out(doors: OpenDoors, cookie: str) -> None:
    doors.accounts.end_session(cookie.partition("=")[2])


@pytest.mark.parametrize("change", [changed_role, closed_account, new_password, signed_out])
def test_a_socket_closes_within_a_second_of_what_ends_it(
    doors: OpenDoors, change: Callable[[OpenDoors, str], None]
) -> None:
    headers = doors.cookie("trader")
    with (
        open_socket(doors, "dashboard", "", headers=headers) as browser,
        open_socket(doors, "dashboard", "owner") as other,
    ):
        browser.send("a")
        assert browser.recv(10) == "a"
        change(doors, headers["Cookie"])
        changed_at = time.monotonic()
        with pytest.raises(ConnectionClosed) as closed:
            browser.recv(10)
        assert time.monotonic() - changed_at < 1.0
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4401
        other.send("still here")
        assert other.recv(10) == "still here"
    with pytest.raises(InvalidStatus) if change is not changed_role else open_socket(doors, "dashboard", "trader"):
        open_socket(doors, "dashboard", "", headers=headers).close()


def test_a_revoked_token_closes_its_socket(doors: OpenDoors) -> None:
    from app.doors.roles import Act

    token, text = doors.accounts.add_token("bot", "owner", [Act.VIEW])
    with open_socket(doors, "dashboard", "", headers={"Authorization": f"Bearer {text}"}) as program:
        doors.accounts.revoke_token(token.token_id)
        with pytest.raises(ConnectionClosed):
            program.recv(10)


def test_a_handshake_whose_address_no_socket_can_have_is_refused(doors: OpenDoors) -> None:
    lines = [
        "GET /s#a HTTP/1.1", f"Host: 127.0.0.1:{doors.port('dashboard')}", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + "A" * 22 + "==", f"Origin: {doors.url('dashboard', '')}",
        f"Cookie: {doors.cookie('viewer')['Cookie']}",
    ]  # fmt: skip
    with socket.create_connection(("127.0.0.1", doors.port("dashboard")), 20) as raw:
        raw.sendall("\r\n".join([*lines, "", ""]).encode())
        assert raw.recv(12) == b"HTTP/1.1 400"


def test_without_a_server_behind_a_socket_is_refused_and_the_doors_stay(tmp_path: Path) -> None:
    with open_doors(tmp_path / "home", {}) as doors:
        doors.person("owner", Role.OWNER)
        with pytest.raises(InvalidStatus) as refused:
            open_socket(doors, "dashboard", "owner")
        assert refused.value.response.status_code == 503
