"""The processes of a start, in order, and how to see that each is ready."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypedDict, Unpack

import httpx

from app.doors.proxy.ports import READY_PATH, doors_of
from app.supervisor.children import Child
from app.supervisor.dagster_api import DagsterApi
from app.supervisor.restarts import OPTIONAL, QUICK, RestartPolicy
from streams.private_folders import home_socket
from streams.processes.parts import Process, environment_of, without_secrets
from streams.settings import PROJECT_ROOT, Settings
from streams.venues.common.http import HttpRequest, whole_exchange

SOCKETS = ("dagster.sock", "dashboard.sock", "api.sock", "sandbox.sock")
"""What the servers behind the doors listen on."""
_LOOPBACK = "127.0.0.1"
_PROBE_LIMIT_S = 2.0
_PING = b"\n\x05ready"
"""A `PingRequest` whose only field says `ready`."""


class _Options(TypedDict, total=False):
    stop_limit_s: float
    policy: RestartPolicy


def addresses(settings: Settings, sql_dsn: str) -> dict[str, str]:
    """Return the addresses that a person may open or connect to. `sql_dsn` is shown as given."""
    shown = {
        "dashboard": f"http://{_LOOPBACK}:{settings.dashboard_port}",
        "dagster": f"http://{_LOOPBACK}:{settings.dagster_port}",
        "api": f"http://{_LOOPBACK}:{settings.api_port}/docs",
        "sql": sql_dsn,
    }
    if settings.venues == "sandbox":
        shown["kalshi"] = f"http://{_LOOPBACK}:{settings.kalshi_sandbox_port}/trade-api/v2"
        shown["polymarket"] = f"http://{_LOOPBACK}:{settings.polymarket_sandbox_port}"
    return shown


def sandbox_child(settings: Settings) -> Child:
    """Return the process of the two local exchanges."""
    return _child(
        settings,
        "sandbox",
        [sys.executable, "-m", "streams.sandbox", "--admin-socket"],
        environment_of(settings, Process.SANDBOX),
        lambda: (
            _answers(f"http://{_LOOPBACK}:{settings.polymarket_sandbox_port}/clob/ok")
            and _answers(f"http://{_LOOPBACK}:{settings.kalshi_sandbox_port}/trade-api/v2/exchange/status")
        ),
        stop_limit_s=20,
    )


def warm_runner_child(settings: Settings, dagster: Mapping[str, str]) -> Child:
    """Return the process that forks Dagster's runs; ending it ends the runs, recorders drain first.

    It is optional: without it the code server launches the runs.
    """
    return _child(
        settings,
        "runner",
        [sys.executable, "-m", "orchestration.runtime.warm_runner"],
        environment_of(settings, Process.RUNNER) | without_secrets(dagster),
        lambda: _listens(str(home_socket(settings.home_dir, "warm.sock"))),
        stop_limit_s=60,
        policy=OPTIONAL,
    )


def dagster_children(settings: Settings, dagster: Mapping[str, str]) -> list[Child]:
    """Return the code server, the webserver and the daemon, in the order of their start."""
    api = DagsterApi(home_socket(settings.home_dir, "dagster.sock"))

    def given(process: Process) -> dict[str, str]:
        return environment_of(settings, process, dagster)

    code_server = [
        *("-m", "dagster", "api", "grpc", "--module-name", "orchestration.definitions"),
        *("--host", _LOOPBACK, "--port", str(settings.code_server_port)),
        *("--location-name", "crossbook"),
    ]
    daemon = ["-m", "dagster._daemon", "run", "-w", str(PROJECT_ROOT / "workspace.yaml")]
    return [
        _child(
            settings,
            "code-server",
            [sys.executable, *code_server],
            given(Process.CODE_SERVER),
            lambda: _pings(settings.code_server_port),
        ),
        _child(
            settings,
            "webserver",
            [sys.executable, "-m", "orchestration.runtime.webserver"],
            given(Process.WEBSERVER),
            api.is_loaded,
            policy=OPTIONAL,
        ),
        _child(
            settings,
            "daemon",
            [sys.executable, *daemon],
            given(Process.DAEMON),
            _DaemonBeats(api.heartbeats),
            stop_limit_s=20,
        ),
    ]


class _DaemonBeats:
    """Whether every daemon that is needed has given a sign of life since the first time that was asked."""

    def __init__(self, heartbeats: Callable[[], dict[str, float | None] | None]) -> None:
        self._heartbeats = heartbeats
        self._before: dict[str, float | None] | None = None

    def __call__(self) -> bool:
        now = self._heartbeats()
        if now is None:
            return False
        if self._before is None:
            self._before = now
        is_ready = all(beat is not None and beat != self._before.get(daemon) for daemon, beat in now.items())
        if is_ready:
            self._before = None  # the next time it is asked is after another start
        return is_ready


def interface_children(settings: Settings) -> list[Child]:
    """Return the dashboard and the API, and the doors in front of them and of Dagster."""
    dashboard, api = (home_socket(settings.home_dir, f"{name}.sock") for name in ("dashboard", "api"))
    ports = [door.port for door in doors_of(settings)]
    return [
        _child(
            settings,
            "dashboard",
            [sys.executable, "-m", "app.dashboard"],
            environment_of(settings, Process.INTERFACE),
            lambda: _answers("http://dashboard/_stcore/health", dashboard),
            policy=OPTIONAL,
        ),
        _child(
            settings,
            "api",
            [sys.executable, "-m", "app.api", "--socket"],
            environment_of(settings, Process.INTERFACE),
            lambda: _answers("http://127.0.0.1/openapi.json", api),
            policy=OPTIONAL,
        ),
        _child(
            settings,
            "doors",
            [sys.executable, "-m", "app.doors"],
            environment_of(settings, Process.DOORS),
            lambda: all(_answers(f"http://{_LOOPBACK}:{port}{READY_PATH}") for port in ports),
            policy=QUICK,
        ),
    ]


def _child(
    settings: Settings,
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    is_ready: Callable[[], bool],
    **options: Unpack[_Options],
) -> Child:
    return Child(
        name=name,
        command=command,
        environment=environment,
        log_path=settings.home_dir / "logs" / f"{name}.log",
        working_dir=PROJECT_ROOT,
        is_ready=is_ready,
        **options,
    )


def _answers(url: str, path: Path | None = None) -> bool:
    """Whether somebody answers at an address, or at a Unix socket."""
    try:
        return whole_exchange(HttpRequest("GET", url), _PROBE_LIMIT_S, path).status < 500
    except (httpx.HTTPError, TimeoutError):
        return False


def _listens(path: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_PROBE_LIMIT_S)
            probe.connect(path)
    except OSError:
        return False
    return True


def _pings(port: int) -> bool:
    """Whether a code server answers its own ping on a port of loopback."""
    import grpc

    with grpc.insecure_channel(f"{_LOOPBACK}:{port}") as channel:
        try:
            channel.unary_unary("/api.DagsterApi/Ping")(_PING, timeout=_PROBE_LIMIT_S)
        except grpc.RpcError:
            return False
    return True
