"""What the doors add to a request: through the proxy, signed in, against the bare Unix socket behind it.

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}: percentiles in milliseconds of requests that
take turns, one at a time; the server behind answers at once and stands in a process of its own, as the doors do.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from starlette.types import Receive, Scope, Send
from websockets.sync.client import connect, unix_connect

from app.doors.accounts import Accounts
from app.doors.proxy.ports import READY_PATH
from app.doors.roles import Role
from app.doors.signed_in import COOKIE
from streams.private_folders import home_socket
from streams.processes.unix_server import serve_on_socket
from streams.settings import PROJECT_ROOT, setting_name
from tests.support.ports import free_port

REPEATS = 2_000
WARM = 200
BODY = json.dumps({"rows": [{"market": f"M{n}", "price": "0.51"} for n in range(50)]}).encode()
QUERY = json.dumps({"query": "query Runs { " + " ".join(f"a{n}: runs {{ id status }}" for n in range(60)) + " }"})


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer at once, and echo messages."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("127.0.0.1")
        self._path = path

    def connect(self) -> None:
        """Open the connection."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(str(self._path))


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="doors-") as folder, running(Path(folder)) as (ports, cookie):
        path, port = home_socket(Path(folder), "dagster.sock"), ports["dagster_port"]
        origin = f"http://127.0.0.1:{port}"
        headers = {"Cookie": cookie, "Origin": origin, "Content-Type": "application/json"}
        straight, through = UnixConnection(path), http.client.HTTPConnection("127.0.0.1", port)
        with (
            closing(straight),
            closing(through),
            unix_connect(str(path), uri="ws://127.0.0.1/graphql", compression=None) as straight_socket,
            connect(
                f"ws://127.0.0.1:{port}/graphql", origin=origin, additional_headers={"Cookie": cookie}, compression=None
            ) as through_socket,
        ):
            kinds: dict[str, list[Callable[[], object]]] = {
                "page": [lambda c=c: ask(c, "GET", "/runs", None, headers) for c in (straight, through)],
                "GraphQL of a viewer": [
                    lambda c=c: ask(c, "POST", "/graphql", QUERY, headers) for c in (straight, through)
                ],
                "message of a socket": [
                    lambda s=s: (s.send('{"type": "ping"}'), s.recv()) for s in (straight_socket, through_socket)
                ],
            }
            rows = [row for name, calls in kinds.items() for row in compare(name, *calls)]
    print(json.dumps(rows))


def compare(name: str, straight: Callable[[], object], through: Callable[[], object]) -> Iterator[dict[str, object]]:
    """Let both take turns; give the percentiles of the one through the doors against the other."""
    took: dict[Callable[[], object], list[float]] = {straight: [], through: []}
    for number in range(REPEATS + WARM):
        for call in (straight, through):
            started = time.perf_counter()
            call()
            if number >= WARM:
                took[call].append((time.perf_counter() - started) * 1000)
    for percentile in (50, 95):
        bare, with_doors = (statistics.quantiles(took[call], n=100)[percentile - 1] for call in (straight, through))
        yield {
            "name": f"doors, {name}, p{percentile} added",
            "value": round(with_doors - bare, 3),
            "unit": "ms",
            "baseline": "bare socket",
            "baseline_value": round(bare, 3),
            "ratio": round(with_doors / bare, 2),
        }


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: str | None, headers: dict[str, str]
) -> None:
    """Send a request and read its whole answer."""
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


@contextmanager
def running(home: Path) -> Iterator[tuple[dict[str, int], str]]:
    """Run the doors and a server behind them; give the ports, and the cookie of a viewer who is signed in."""
    with closing(Accounts(home)) as accounts:
        accounts.add_person("vera", Role.VIEWER, by="bench")
        cookie = f"{COOKIE}={accounts.open_session('vera', 'link')}"
    ports = {name: free_port() for name in ("dagster_port", "dashboard_port", "api_port", "sandbox_admin_port")}
    given = {setting_name(name): str(value) for name, value in {**ports, "requests_per_s": 100_000}.items()}
    environment = {**os.environ, **given, setting_name("home"): str(home)}
    commands = (["-m", "app.doors"], ["-m", "tests.bench.bench_doors", "--behind"])
    processes = [
        subprocess.Popen([sys.executable, *command], env=environment, cwd=PROJECT_ROOT) for command in commands
    ]
    try:
        _await(lambda: http.client.HTTPConnection("127.0.0.1", ports["dagster_port"]), READY_PATH)
        _await(lambda: UnixConnection(home_socket(home, "dagster.sock")), "/")
        yield ports, cookie
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)


def _await(make: Callable[[], http.client.HTTPConnection], path: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with closing(make()) as connection:
                ask(connection, "GET", path, None, {})
                return
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    if "--behind" in sys.argv:
        serve_on_socket(
            behind,
            home_socket(Path(os.environ[setting_name("home")]), "dagster.sock"),
            log_level="warning",
            ws="websockets-sansio",
            lifespan="off",
        )
    else:
        main()
