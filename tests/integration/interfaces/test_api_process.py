"""The API as a process of its own: what large and slow bodies cost it, measured by the kernel."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.api.__main__ import SOCKET
from app.api.bodies import BODY_MAX, BODY_WITHIN_S
from app.doors.roles import Identity, Role
from app.doors.shell import shell_name
from streams.private_folders import home_socket
from streams.settings import PROJECT_ROOT
from streams.storage.kill_files import is_kill_on_disk, kill_folder
from tests.support.api import by_the_doors, home_token
from tests.support.ports import free_port

LARGE = 300_000_000
_MOST_KB = 20_000
_PART = b" " * 65_536


@dataclass(frozen=True)
class Api:
    """A running API."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path

    def peak_kb(self) -> int:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1])

    def begin(self) -> int:
        """Let the kernel count the peak from now on; return what it is."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.peak_kb()

    def send(self, head: str, part: bytes, size: int) -> tuple[bytes, int]:
        """Send a request with a body of a size, as long as somebody reads; return the answer and what was sent."""
        sent = 0
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode())
            with suppress(OSError):
                while sent < size:
                    connection.sendall(part)
                    sent += len(part)
            answer = b""
            with suppress(OSError):
                while piece := connection.recv(65_536):
                    answer += piece
        return answer, sent


def _start(home: Path, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CROSSBOOK_", "DATABASE"))}
    environment = kept | {"CROSSBOOK_HOME": str(home), "PYTHONPATH": str(PROJECT_ROOT)} | settings
    command = [sys.executable, "-m", "app.api", *arguments]
    return subprocess.Popen(command, env=environment, cwd=home)


def _await_answer(process: subprocess.Popen[bytes], client: httpx.Client) -> None:
    deadline = time.monotonic() + 120
    while True:
        with suppress(httpx.HTTPError):
            client.get("/docs")
            return
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    home, port = tmp_path_factory.mktemp("home"), free_port()
    process = _start(home, CROSSBOOK_API_PORT=str(port))
    found = Api(process, port, home)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            _await_answer(process, client)
        found.send("POST /api/trading/pause HTTP/1.1\r\nContent-Length: 2", b"{}", 2)
        yield found
    finally:
        process.terminate()
        process.wait(60)


def test_on_its_socket_it_believes_the_doors_and_kills_without_them(tmp_path: Path) -> None:
    process = _start(tmp_path, "--socket")
    transport = httpx.HTTPTransport(uds=str(home_socket(tmp_path, SOCKET)))
    try:
        with httpx.Client(base_url="http://crossbook.example", transport=transport, timeout=60) as client:
            _await_answer(process, client)
            viewer, trader = (by_the_doors(Identity("Ada", role, "password")) for role in (Role.VIEWER, Role.TRADER))
            assert client.post("/api/trading/kill", json={}).status_code == 401
            assert client.post("/api/trading/kill", json={}, headers=viewer).status_code == 403
            assert not is_kill_on_disk(tmp_path)
            for headers, name in ((trader, "Ada"), (home_token(tmp_path), shell_name())):
                answer = client.post("/api/trading/kill", json={"reason": "drill"}, headers=headers)
                assert (answer.status_code, answer.json()["set_by"]) == (202, name)
    finally:
        process.terminate()
        process.wait(60)
    assert len(list(kill_folder(tmp_path).iterdir())) == 2


@pytest.mark.parametrize("framed", [f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("who", ["nobody", "a wrong token", "the home's token"])
def test_300_mb_cost_no_memory(api: Api, framed: str, who: str) -> None:
    token = {"nobody": "", "a wrong token": "Authorization: Bearer wrong\r\n"}.get(
        who, f"Authorization: {home_token(api.home)['Authorization']}\r\n"
    )
    part = b"10000\r\n" + _PART + b"\r\n" if "chunked" in framed else _PART
    before = api.begin()
    head = f"POST /api/trading/pause HTTP/1.1\r\n{token}Content-Type: application/json\r\n{framed}"
    answer, sent = api.send(head, part, LARGE)
    assert api.peak_kb() - before < _MOST_KB
    assert sent < 20_000_000, "the connection was not closed"
    if answer:  # a connection that is reset may lose it
        assert answer.startswith(b"HTTP/1.1 413" if who == "the home's token" else b"HTTP/1.1 401")


def test_reads_with_300_mb_cost_no_memory(api: Api) -> None:
    before = api.begin()
    for framed in (f"Content-Length: {LARGE}", "Transfer-Encoding: chunked"):
        part = b"10000\r\n" + _PART + b"\r\n" if "chunked" in framed else _PART
        _, sent = api.send(f"GET /docs HTTP/1.1\r\n{framed}", part, LARGE)
        assert sent < 20_000_000
    assert api.peak_kb() - before < _MOST_KB


def test_the_answer_reaches_who_waits_for_it_before_they_send(api: Api) -> None:
    head = f"POST /api/trading/pause HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: {LARGE}"
    answer, _ = api.send(head, b"", 0)
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer.lower()


def test_a_byte_a_moment_ends_after_the_limit(api: Api) -> None:
    token = home_token(api.home)["Authorization"]
    head = (
        f"POST /api/trading/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {BODY_MAX}\r\n\r\n"
    )
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", api.port)) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.5)
        answer = b""
        while not answer:
            assert time.monotonic() - begun < BODY_WITHIN_S + 20
            connection.sendall(b" ")
            with suppress(TimeoutError):
                answer = connection.recv(65_536)
        connection.settimeout(60)
        with suppress(ConnectionError):
            while part := connection.recv(65_536):
                answer += part
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"too_slow" in answer
    assert time.monotonic() - begun >= BODY_WITHIN_S - 1
