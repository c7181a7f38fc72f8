"""Which process gets what: the one table of logins and secrets, and the environment made from it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import SecretStr

from streams.settings import PROJECT_ROOT, SUPERVISED, Settings, is_secret, setting_name, written_value
from streams.storage.access.logins import Login


class Process(StrEnum):
    """A kind of process that the supervisor starts, or that is forked for a run."""

    SANDBOX = "sandbox"
    PREPARE_DAGSTER = "prepare_dagster"
    PREPARE_VIEWS = "prepare_views"
    END_ORPHANS = "end_orphans"
    RUNNER = "runner"
    CODE_SERVER = "code_server"
    WEBSERVER = "webserver"
    DAEMON = "daemon"
    INTERFACE = "interface"
    DOORS = "doors"
    RECORDER_RUN = "recorder_run"
    TRADING_RUN = "trading_run"
    BATCH_RUN = "batch_run"
    UPKEEP_RUN = "upkeep_run"


@dataclass(frozen=True)
class Part:
    """What a process works with.

    Attributes:
        logins: Its logins of the warehouse; the first is the one it uses where it names none.
        secrets: The fields of the settings it may know besides.
        has_dagster: Whether it opens Dagster's own tables.
    """

    logins: tuple[Login, ...] = ()
    secrets: tuple[str, ...] = ()
    has_dagster: bool = False


# Whoever signs opens the keystore: recorders for Kalshi's socket, discovery for Kalshi's budget of signed reads.
PARTS: Mapping[Process, Part] = {
    Process.SANDBOX: Part(),
    Process.PREPARE_DAGSTER: Part((Login.DAGSTER,)),
    Process.PREPARE_VIEWS: Part((Login.DBT,)),
    Process.END_ORPHANS: Part((Login.BATCH,), has_dagster=True),
    Process.RUNNER: Part(),
    # Sensors are evaluated there; one of them sends alerts.
    Process.CODE_SERVER: Part((Login.BATCH,), ("alert_webhook_url", "alert_channels"), has_dagster=True),
    Process.WEBSERVER: Part(has_dagster=True),
    Process.DAEMON: Part(has_dagster=True),
    Process.INTERFACE: Part((Login.INTERFACE,)),
    # It opens the accounts of the home, and never the warehouse: people sign in while that is away.
    Process.DOORS: Part((), ("oidc_client_secret",)),
    Process.RECORDER_RUN: Part((Login.RECORDER,), ("keystore_passphrase",), has_dagster=True),
    Process.TRADING_RUN: Part((Login.TRADING,), ("keystore_passphrase",), has_dagster=True),
    Process.BATCH_RUN: Part((Login.BATCH, Login.DBT), ("openai_api_key", "keystore_passphrase"), has_dagster=True),
    # Only the owner of a table may detach a day of it while others read.
    Process.UPKEEP_RUN: Part((Login.OWNER,), has_dagster=True),
}

RUNS = (Process.RECORDER_RUN, Process.TRADING_RUN, Process.BATCH_RUN, Process.UPKEEP_RUN)

SECRET_NAMES = frozenset(setting_name(name) for name, field in Settings.model_fields.items() if is_secret(field))
"""The variables that hold a secret."""

_MEMORY = {
    # Threads of a server each get memory pools of their own otherwise, which keep what was freed.
    "MALLOC_ARENA_MAX": "2",
    # Bytes. Without fixed ones glibc raises both with the largest buffer that was ever freed, and keeps the next ones.
    "MALLOC_MMAP_THRESHOLD_": "131072",
    "MALLOC_TRIM_THRESHOLD_": "131072",
}
"""What glibc's allocator is told (mallopt(3))."""

_POSTGRES_SECRETS = frozenset({"PGPASSWORD", "PGPASSFILE", "PGSERVICEFILE", "PGSERVICE"})


def secrets_of(settings: Settings, process: Process, dagster: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the secrets of a process as variables, as far as they are set.

    Args:
        settings: Of the whole system.
        process: Whose.
        dagster: The variables of Dagster's own tables, given to those that open them.
    """
    part = PARTS[process]
    values = {setting_name(field): _revealed(settings, field) for field in part.secrets}
    for place, login in enumerate(part.logins):
        address = _revealed(settings, login.field) or _revealed(settings, "database_url")
        values[setting_name("database_url" if place == 0 else login.field)] = address
    if part.has_dagster:
        values |= dagster or {}
    return {name: value for name, value in values.items() if value}


def environment_of(settings: Settings, process: Process, dagster: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the whole environment of a process: ours without any secret, the settings in force, and its own secrets.

    Args:
        settings: Of the whole system, whatever they were read from.
        process: Whose.
        dagster: The variables of Dagster's own tables, given to those that open them.
    """
    environment = without_secrets(os.environ)
    if not PARTS[process].logins and not PARTS[process].has_dagster:
        environment = {name: value for name, value in environment.items() if name not in _POSTGRES_SECRETS}
    for field in settings.model_fields_set:
        value = getattr(settings, field)
        if value is not None and setting_name(field) not in SECRET_NAMES:
            environment[setting_name(field)] = written_value(value)
    environment |= {
        SUPERVISED: str(settings.home_dir),
        setting_name("home"): str(settings.home_dir),
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        "DO_NOT_TRACK": "1",
        **{name: os.environ.get(name, value) for name, value in _MEMORY.items()},
    }
    return environment | secrets_of(settings, process, dagster)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the variables that hold our secrets, however they are written."""
    return {name: value for name, value in environment.items() if name.upper() not in SECRET_NAMES}


def _revealed(settings: Settings, field: str) -> str:
    value: SecretStr | None = getattr(settings, field)
    return "" if value is None else value.get_secret_value()
