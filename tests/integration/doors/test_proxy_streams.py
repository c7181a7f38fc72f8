"""Bodies and answers pass part by part, with their limits; how often one may ask; a login that is broken."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from starlette.types import Receive, Scope, Send

from app.api_token import ensure_token
from app.doors.accounts import accounts_path
from app.doors.proxy.ports import READY_PATH
from app.doors.roles import Role
from streams.settings import PROJECT_ROOT, load_settings, setting_name
from tests.support.doors import DOORS, OpenDoors, Recorded, open_doors
from tests.support.ports import free_port
from tests.support.whole_home import wait_for

MIB = 1024 * 1024


class Dripping:
    """A stand-in whose answer comes in parts, each when it is let go; it notes what of a body has arrived."""

    def __init__(self) -> None:
        self.arrived = 0
        self.went = threading.Event()
        self.parts = threading.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            while (message := await receive())["type"] == "http.request":
                self.arrived += len(message["body"])
                if not message["more_body"]:
                    break
            else:
                self.went.set()
                return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        gone = asyncio.ensure_future(self._gone(receive))
        for number in range(3):
            while not self.parts.acquire(blocking=False):
                if gone.done():
                    self.went.set()
                    return
                await asyncio.sleep(0.01)
            await send({"type": "http.response.body", "body": b"part %d" % number, "more_body": True})
        gone.cancel()
        await send({"type": "http.response.body", "body": b""})

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


@pytest.fixture
def dripping() -> Dripping:
    return Dripping()


@pytest.fixture
def doors(tmp_path: Path, dripping: Dripping) -> Iterator[OpenDoors]:
    with open_doors(tmp_path / "home", {"dashboard": dripping, "api": Recorded()}) as opened:
        opened.person("ann", Role.TRADER)
        yield opened


def test_an_answer_passes_as_it_comes(doors: OpenDoors, dripping: Dripping) -> None:
    with httpx.stream("GET", doors.url("dashboard"), headers=doors.cookie("ann")) as answer:
        parts = answer.iter_raw()
        for number in range(3):
            dripping.parts.release()
            assert next(parts) == b"part %d" % number
        assert list(parts) == []


def test_an_answer_ends_when_its_reader_leaves(doors: OpenDoors, dripping: Dripping) -> None:
    with httpx.stream("GET", doors.url("dashboard"), headers=doors.cookie("ann")) as answer:
        dripping.parts.release()
        assert next(answer.iter_raw()) == b"part 0"
    assert dripping.went.wait(10)


def test_an_answer_under_way_breaks_off_when_its_person_signs_out(doors: OpenDoors, dripping: Dripping) -> None:
    cookie = doors.cookie("ann")
    with httpx.stream("GET", doors.url("dashboard"), headers=cookie) as answer:
        parts = answer.iter_raw()
        dripping.parts.release()
        assert next(parts) == b"part 0"
        doors.accounts.end_session(cookie["Cookie"].partition("=")[2])
        signed_out_at = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            next(parts)
        assert time.monotonic() - signed_out_at < 1.0
    assert dripping.went.wait(10)


def test_a_body_passes_as_it_comes(doors: OpenDoors, dripping: Dripping) -> None:
    for _ in range(3):
        dripping.parts.release()

    def body() -> Iterator[bytes]:
        yield b"a" * 1000
        assert wait_for(lambda: dripping.arrived == 1000, 10, 0.01) is not None
        yield b"b"

    answer = httpx.post(doors.url("dashboard"), content=body(), headers=doors.bearer())
    assert (answer.status_code, dripping.arrived) == (200, 1001)


def test_a_body_above_a_mebibyte_is_refused_declared_or_counted(doors: OpenDoors, dripping: Dripping) -> None:
    for _ in range(3):
        dripping.parts.release()
    assert httpx.post(doors.url("dashboard"), content=bytes(MIB), headers=doors.bearer()).status_code == 200
    dripping.arrived = 0
    assert httpx.post(doors.url("dashboard"), content=bytes(MIB + 1), headers=doors.bearer()).status_code == 413
    assert dripping.arrived == 0
    parts = (bytes(MIB // 4) for _ in range(8))
    assert httpx.post(doors.url("dashboard"), content=parts, headers=doors.bearer()).status_code == 413
    assert dripping.went.wait(10), "what was under way behind is broken off"


def test_a_body_that_breaks_off_never_arrives_as_if_it_were_whole(doors: OpenDoors, dripping: Dripping) -> None:
    with socket.create_connection(("127.0.0.1", doors.port("dashboard")), 10) as connection:
        connection.sendall(
            f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{doors.port('dashboard')}\r\n"
            f"Authorization: Bearer {doors.token}\r\nContent-Length: 100\r\n\r\nhalf".encode()
        )
        assert wait_for(lambda: dripping.arrived == 4, 10, 0.01) is not None
    assert dripping.went.wait(10)


def test_a_server_behind_that_ends_is_said_and_its_next_start_is_found(tmp_path: Path) -> None:
    with open_doors(tmp_path / "home", {}) as doors:
        answer = httpx.get(doors.url("dagster"), headers=doors.bearer())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    with open_doors(tmp_path / "home", {"dagster": Recorded()}) as doors:
        assert httpx.get(doors.url("dagster"), headers=doors.bearer()).status_code == 200


def test_who_asks_too_often_waits_but_never_to_stop_trading(tmp_path: Path) -> None:
    limits = {"requests_per_s": 2, "unknown_requests_per_s": 1}
    with open_doors(tmp_path / "home", {"api": Recorded(), "dashboard": Recorded()}, **limits) as doors:
        doors.person("ann", Role.TRADER)
        page = doors.page("api", "ann")
        with httpx.Client(base_url=doors.url("api", "")) as client:
            known = [client.get("/api/markets", headers=page) for _ in range(15)]
            unknown = [client.get("/api/markets") for _ in range(10)]
            stops = [client.post("/api/trading/kill", headers=page).status_code for _ in range(30)]
            others = client.get("/api/markets", headers=doors.bearer())
        for answers, most in ((known, 12), (unknown, 7)):
            passed = [answer for answer in answers if answer.status_code == 200]
            refused = [answer for answer in answers if answer.status_code == 429]
            assert len(passed) <= most
            assert len(passed) + len(refused) == len(answers)
            assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
        assert set(stops) == {200}
        assert others.status_code == 200


def test_the_home_token_stops_trading_while_the_login_is_broken(tmp_path: Path) -> None:
    behind = {name: Recorded() for name in DOORS}
    with open_doors(tmp_path / "home", behind) as doors:
        doors.person("ann", Role.OWNER)
        cookie = doors.page("api", "ann")
        assert httpx.post(doors.url("api", "/api/trading/pause"), headers=cookie).status_code == 200
        path = accounts_path(doors.settings.home_dir)
        away = path.parent.rename(path.parent.with_name("away"))
        path.parent.mkdir(mode=0o700)
        path.write_bytes(b"this is no database" * 1000)
        for act in ("pause", "reduce", "kill"):
            answer = httpx.post(doors.url("api", f"/api/trading/{act}"), headers=doors.bearer())
            assert answer.status_code == 200
        assert httpx.get(doors.url("dashboard"), headers=doors.bearer()).status_code == 200
        refused = httpx.post(doors.url("api", "/api/trading/pause"), headers=cookie)
        assert (refused.status_code, refused.json()["code"]) == (503, "sign_in_unavailable")
        token = {"Authorization": "Bearer cbk_of_somebody"}
        assert httpx.get(doors.url("api"), headers=token).status_code == 503, "it may well be in force"
        shutil.rmtree(path.parent)
        away.rename(path.parent)
        assert wait_for(
            lambda: httpx.post(doors.url("api", "/api/trading/pause"), headers=cookie).status_code == 200, 10, 0.2
        ), "mended accounts are found without a new start"


@contextmanager
def doors_process(home: Path) -> Iterator[tuple[int, str]]:
    """Run the doors as the supervisor does; give the number of the process and the address of the API."""
    ports = {name: free_port() for name in ("dagster_port", "dashboard_port", "api_port", "sandbox_admin_port")}
    environment = {**os.environ, **{setting_name(name): str(port) for name, port in ports.items()}}
    environment[setting_name("home")] = str(home)
    with subprocess.Popen([sys.executable, "-m", "app.doors"], env=environment, cwd=PROJECT_ROOT) as process:
        try:
            base = f"http://127.0.0.1:{ports['api_port']}"
            assert wait_for(lambda: _is_up(base), 60, 0.1) is not None
            yield process.pid, base
        finally:
            process.terminate()


def test_the_doors_open_over_broken_accounts(tmp_path: Path) -> None:
    path = accounts_path(tmp_path / "home")
    path.parent.mkdir(parents=True, mode=0o700)
    path.write_bytes(b"this is no database" * 1000)
    with doors_process(tmp_path / "home") as (_, base):
        token = ensure_token(load_settings(home=tmp_path / "home"))
        asked = {"Cookie": "crossbook_session=x", "Origin": base}, {"Authorization": f"Bearer {token}"}
        codes = [httpx.post(f"{base}/api/trading/kill", headers=headers).json()["code"] for headers in asked]
        assert codes == ["sign_in_unavailable", "not_running"]
        assert httpx.get(f"{base}/-/sign-in").status_code == 503


@pytest.mark.parametrize("framing", ["declared", "chunked"])
def test_300_megabytes_without_a_token_cost_no_memory(tmp_path: Path, framing: str) -> None:
    with doors_process(tmp_path / "home") as (pid, base):
        assert httpx.post(f"{base}/api/pairs", headers={"Origin": base}, content=b"x").status_code == 401
        watched = psutil.Process(pid)
        before = watched.memory_info().rss
        most, is_over = [before], threading.Event()
        watcher = threading.Thread(target=_watch, args=(watched, most, is_over))
        watcher.start()
        status = _pour(base, framing)
        is_over.set()
        watcher.join()
        assert status.startswith("HTTP/1.1 401")
        assert len(most) > 10
        assert max(most) - before < 20_000_000


def _is_up(base: str) -> bool:
    try:
        return httpx.get(f"{base}{READY_PATH}").status_code == 200
    except httpx.TransportError:
        return False


def _watch(process: psutil.Process, most: list[int], is_over: threading.Event) -> None:
    while not is_over.wait(0.002):
        most.append(process.memory_info().rss)


def _pour(base: str, framing: str) -> str:
    """Send 300 MB without reading, then read the head of the answer."""
    host = base.removeprefix("http://")
    head = f"POST /api/pairs HTTP/1.1\r\nHost: {host}\r\nOrigin: {base}\r\nSec-Fetch-Site: same-origin\r\n"
    length = f"Content-Length: {300_000_000}" if framing == "declared" else "Transfer-Encoding: chunked"
    part = bytes(1_000_000)
    with socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), 30) as connection:
        connection.sendall(f"{head}{length}\r\n\r\n".encode())
        with suppress(OSError):  # it may be ended before all is sent
            for _ in range(300):
                connection.sendall(part if framing == "declared" else b"f4240\r\n" + part + b"\r\n")
        return connection.recv(4096).decode("latin-1")
