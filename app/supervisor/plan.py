"""The processes of a start, in order, and how to see that each is ready."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping

import httpx

from app.supervisor.children import MARKER, Child
from app.supervisor.dagster_api import DagsterApi
from streams.settings import PROJECT_ROOT, Settings, setting_name

_LOOPBACK = "127.0.0.1"


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


def base_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of every child: ours, the settings that differ from ours, and the marker of this home."""
    environment = dict(os.environ)
    environment[MARKER] = str(settings.home_dir)
    for field in settings.model_fields_set:
        value = getattr(settings, field)
        secret = getattr(value, "get_secret_value", None)
        if value is not None:
            environment[setting_name(field)] = secret() if secret else str(value)
    environment[setting_name("home")] = str(settings.home_dir)
    environment["PYTHONPATH"] = str(PROJECT_ROOT)
    environment["PYTHONUNBUFFERED"] = "1"
    environment["DO_NOT_TRACK"] = "1"
    return environment


def sandbox_child(settings: Settings, environment: Mapping[str, str]) -> Child:
    """Return the process of the two local exchanges."""
    return _child(
        settings,
        "sandbox",
        [sys.executable, "-m", "streams.sandbox"],
        environment,
        lambda: (
            _answers(f"http://{_LOOPBACK}:{settings.polymarket_sandbox_port}/clob/ok")
            and _answers(f"http://{_LOOPBACK}:{settings.kalshi_sandbox_port}/trade-api/v2/exchange/status")
        ),
        stop_limit_s=20,
    )


def warm_runner_child(settings: Settings, environment: Mapping[str, str]) -> Child:
    """Return the process that forks Dagster's runs; ending it ends the runs, recorders drain first."""
    log_path = settings.home_dir / "logs" / "runner.log"
    said_before = log_path.stat().st_size if log_path.exists() else 0

    def listens() -> bool:
        return b"warm runner listens" in log_path.read_bytes()[said_before:]

    return _child(
        settings,
        "runner",
        [sys.executable, "-m", "orchestration.runtime.warm_runner"],
        environment,
        listens,
        stop_limit_s=60,
    )


def dagster_children(settings: Settings, environment: Mapping[str, str]) -> list[Child]:
    """Return the code server, the webserver and the daemon, in the order of their start."""
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    api = DagsterApi(settings.dagster_port)
    code_server = [
        *("-m", "dagster", "api", "grpc", "--module-name", "orchestration.definitions"),
        *("--host", _LOOPBACK, "--port", str(settings.code_server_port)),
        *("--location-name", "crossbook"),
    ]
    webserver = ["-m", "dagster_webserver", "-h", _LOOPBACK, "-p", str(settings.dagster_port), "-w", workspace]
    daemon = ["-m", "dagster._daemon", "run", "-w", workspace]
    return [
        _child(settings, "code-server", [sys.executable, *code_server], environment, lambda: True),
        _child(settings, "webserver", [sys.executable, *webserver], environment, api.is_loaded),
        _child(settings, "daemon", [sys.executable, *daemon], environment, lambda: True, stop_limit_s=20),
    ]


def interface_children(settings: Settings, environment: Mapping[str, str]) -> list[Child]:
    """Return the dashboard and the API."""
    dashboard = [
        *("-m", "streamlit", "run", "app/dashboard/main.py"),
        *("--server.address", _LOOPBACK, "--server.port", str(settings.dashboard_port)),
        *("--server.headless", "true", "--browser.gatherUsageStats", "false", "--server.fileWatcherType", "none"),
    ]
    return [
        _child(
            settings,
            "dashboard",
            [sys.executable, *dashboard],
            environment,
            lambda: _answers(f"http://{_LOOPBACK}:{settings.dashboard_port}/_stcore/health"),
        ),
        _child(
            settings,
            "api",
            [sys.executable, "-m", "app.api"],
            environment,
            lambda: _answers(f"http://{_LOOPBACK}:{settings.api_port}/openapi.json"),
        ),
    ]


def _child(
    settings: Settings,
    name: str,
    command: list[str],
    environment: Mapping[str, str],
    is_ready: Callable[[], bool],
    stop_limit_s: float = 10,
) -> Child:
    return Child(
        name=name,
        command=command,
        environment=environment,
        log_path=settings.home_dir / "logs" / f"{name}.log",
        working_dir=PROJECT_ROOT,
        is_ready=is_ready,
        stop_limit_s=stop_limit_s,
    )


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code < 500
    except httpx.HTTPError:
        return False
