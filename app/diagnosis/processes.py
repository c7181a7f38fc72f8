"""Which processes of a home live, and who holds the ports it wants."""

from __future__ import annotations

from pathlib import Path

import psutil

from app.diagnosis.facts import ProcessFacts
from app.supervisor.checks.preflight import check_ports, wanted_ports
from streams.market.errors import ConfigurationError
from streams.settings import Settings
from streams.storage.database import embedded_server

PROCESSES: dict[str, tuple[str, ...]] = {
    "sandbox": ("streams.sandbox",),
    "runner": ("orchestration.runtime.warm_runner",),
    "code server": ("api", "grpc"),
    "webserver": ("orchestration.runtime.webserver",),
    "daemon": ("dagster._daemon",),
    "dashboard": ("app.dashboard",),
    "api": ("app.api",),
    "doors": ("app.doors",),
}
"""The supervisor's children, each with the words that stand in its command line."""
_PORTS = {
    "dagster_port": "doors",
    "dashboard_port": "doors",
    "api_port": "doors",
    "code_server_port": "code server",
    "kalshi_sandbox_port": "sandbox",
    "polymarket_sandbox_port": "sandbox",
    "sandbox_admin_port": "doors",
    "postgres_port": "postgres",
}


def wanted_processes(settings: Settings) -> frozenset[str]:
    """Return the names of the processes that a start of these settings keeps alive."""
    names = set(PROCESSES) | ({"postgres"} if settings.database_url is None else set())
    return frozenset(names if settings.venues == "sandbox" else names - {"sandbox"})


def look_at_processes(settings: Settings, supervisor_pid: int | None) -> ProcessFacts:
    """Return what lives of a home whose supervisor is `supervisor_pid` (None: nothing runs)."""
    alive = frozenset() if supervisor_pid is None else _children(supervisor_pid)
    if settings.database_url is None and embedded_server(settings).running_pid() is not None:
        alive |= {"postgres"}
    return ProcessFacts(
        alive=alive,
        ports=_taken_ports(settings, alive),
        is_abandoned=supervisor_pid is None and _is_left_behind(settings.home_dir),
    )


def _is_left_behind(home: Path) -> bool:
    """Whether a supervisor says it runs: one that ends empties its line."""
    try:
        return (home / "supervisor.json").stat().st_size > 0
    except OSError:
        return (home / "run" / "state.json").exists()


def name_of(command: list[str]) -> str | None:
    """Return which of `PROCESSES` a command line is, None for any other."""
    for name, words in PROCESSES.items():
        if all(word in command for word in words):
            return name
    return None


def _children(supervisor_pid: int) -> frozenset[str]:
    names = set()
    try:
        children = psutil.Process(supervisor_pid).children()
    except psutil.Error:
        return frozenset()
    for child in children:
        try:
            name = name_of(child.cmdline())
        except psutil.Error:
            continue
        if name is not None:
            names.add(name)
    return frozenset(names)


def _taken_ports(settings: Settings, alive: frozenset[str]) -> str:
    """Return what keeps the processes that do not live from listening, empty where nothing does."""
    ports = {field: port for field, port in wanted_ports(settings).items() if _PORTS.get(field) not in alive}
    try:
        check_ports(ports)
    except ConfigurationError as error:
        return str(error)
    return ""
