"""Doors with stand-ins behind them: the real proxy on free ports, and ASGI applications on the home's sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api_token import ensure_token
from app.doors.accounts import Accounts
from app.doors.proxy.decisions.asked import SESSION_COOKIE
from app.doors.proxy.ports import doors_of
from app.doors.proxy.server import create_proxy, listen, proxy_config
from app.doors.roles import IDENTITY_HEADER, Identity, Role, from_header
from streams.private_folders import home_socket
from streams.processes.handover import listen_at
from streams.settings import Settings, load_settings
from tests.support.ports import free_port

DOORS = ("dagster", "dashboard", "api", "sandbox")


@dataclass
class Recorded:
    """A stand-in: it notes what reached it, and answers as it is told."""

    requests: list[tuple[str, str, list[tuple[bytes, bytes]], bytes]] = field(default_factory=list)
    headers: list[tuple[bytes, bytes]] = field(default_factory=lambda: [(b"content-type", b"text/plain")])
    body: bytes = b"behind"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        body = b""
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return  # only whole requests count
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        query = scope["query_string"].decode()
        path = scope["raw_path"].decode() + (f"?{query}" if query else "")
        self.requests.append((scope["method"], path, scope["headers"], body))
        await send({"type": "http.response.start", "status": 200, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})

    def header(self, name: str) -> list[str]:
        """Return every value of a header of the last request."""
        return [value.decode() for key, value in self.requests[-1][2] if key == name.encode()]

    def identity(self) -> Identity | None:
        """Return whose the last request was."""
        values = self.header(IDENTITY_HEADER)
        assert len(values) < 2
        return from_header(values[0]) if values else None


@dataclass
class OpenDoors:
    """The running doors of one home."""

    settings: Settings
    accounts: Accounts
    token: str

    def url(self, door: str, path: str = "/") -> str:
        """Return an address behind a door."""
        return f"http://127.0.0.1:{self.port(door)}{path}"

    def port(self, door: str) -> int:
        """Return the port of a door."""
        return next(each.port for each in doors_of(self.settings) if each.name == door)

    def bearer(self) -> dict[str, str]:
        """Return the headers of a program with the home's own token."""
        return {"Authorization": f"Bearer {self.token}"}

    def person(self, name: str, role: Role) -> None:
        """Add an account."""
        self.accounts.add_person(name, role, by="test")

    def cookie(self, name: str) -> dict[str, str]:
        """Return the headers of a person's browser, on a page of a door's own."""
        return {"Cookie": f"{SESSION_COOKIE}={self.accounts.open_session(name, 'link')}"}

    def page(self, door: str, name: str) -> dict[str, str]:
        """Return the headers of a request by a script of a page of ours."""
        return {**self.cookie(name), "Origin": self.url(door, ""), "Sec-Fetch-Site": "same-origin"}


@contextmanager
def open_doors(home: Path, behind: Mapping[str, ASGIApp], **given: Any) -> Iterator[OpenDoors]:
    """Run the doors of a home, and what stands behind them, each in a thread."""
    ports = {name: free_port() for name in ("dagster_port", "dashboard_port", "api_port", "sandbox_admin_port")}
    settings = load_settings(home=home, **ports, **given)
    with ExitStack() as stack:
        for name, app in behind.items():
            path = home_socket(home, f"{name}.sock")
            stack.enter_context(_served(uvicorn.Config(app, log_level="error", lifespan="off"), [listen_at(path)]))
        token = ensure_token(settings)
        listeners = listen(door.port for door in doors_of(settings))
        stack.enter_context(_served(proxy_config(create_proxy(settings)), listeners))
        accounts = Accounts(home)
        stack.callback(accounts.close)
        yield OpenDoors(settings, accounts, token)


@contextmanager
def _served(config: uvicorn.Config, listeners: list[socket.socket]) -> Iterator[None]:
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=(listeners,), daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
        for listener in listeners:
            listener.close()
