"""Checks before anything is started; each failure is one sentence that names the remedy."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import psutil

from app.doors.accounts import Accounts
from app.doors.roles import Role
from app.doors.subjects import is_of_issuer
from app.supervisor.checks.database_check import check_database
from streams.disk import INODE_MARKS, free_inodes
from streams.market.errors import ConfigurationError
from streams.settings import Settings, check_intent, setting_name
from streams.storage.database import embedded_server
from streams.storage.server.embedded import binaries_dir

_OLDEST_GLIBC = (2, 28)
UNFINISHED_RESTORE = "restore-unfinished"
"""File in a home whose restore was broken off; the next restore begins again."""


def wanted_ports(settings: Settings) -> dict[str, int]:
    """Return the ports this start will listen on, by the field that sets each."""
    fields = ["dagster_port", "dashboard_port", "api_port", "code_server_port"]
    if settings.venues == "sandbox":
        fields += ["kalshi_sandbox_port", "polymarket_sandbox_port", "sandbox_admin_port"]
    if settings.database_url is None and embedded_server(settings).running_pid() is None:
        fields.append("postgres_port")
    return {field: getattr(settings, field) for field in fields}


def check_all(settings: Settings) -> None:
    """Run every check.

    Raises:
        ConfigurationError: At the first one that fails.
    """
    check_intent(settings)
    check_platform()
    check_home(settings.home_dir, settings.min_free_disk_mb)
    check_restored(settings.home_dir)
    if settings.database_url is None:
        binaries_dir()
    check_people(settings)
    check_ports(wanted_ports(settings))
    check_database(settings)


def check_platform() -> None:
    """Refuse an operating system or C library that the binaries do not run on."""
    if platform.system() != "Linux":
        raise ConfigurationError(f"Crossbook runs on Linux; this is {platform.system()}.")
    name, version = platform.libc_ver()
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if name == "glibc" and parts < _OLDEST_GLIBC:
        raise ConfigurationError(f"This system's glibc {version} is too old; 2.28 or newer is needed.")


def check_home(home: Path, min_free_mb: int) -> None:
    """Refuse a home that cannot be written or has too little room; how much is not asked where 0 MB are needed."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home) as probe:  # of no name: several may look at once
            probe.write(b"x" * 4096)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise ConfigurationError(f"The disk of CROSSBOOK_HOME ({home}) is full; free some space.") from None
        raise ConfigurationError(f"CROSSBOOK_HOME ({home}) cannot be written: {error.strerror}.") from None
    free_mb = shutil.disk_usage(home).free // 1_000_000
    if free_mb < min_free_mb:
        raise ConfigurationError(
            f"Only {free_mb} MB are free on the disk of CROSSBOOK_HOME ({home}); "
            f"{min_free_mb} MB are needed (CROSSBOOK_MIN_FREE_DISK_MB)."
        )
    inodes = free_inodes([home])
    if min_free_mb and inodes < INODE_MARKS.only_recording:
        raise ConfigurationError(
            f"Only {inodes:.0f} inodes are free on the disk of CROSSBOOK_HOME ({home}), and each new file needs one; "
            "delete files there, or set CROSSBOOK_HOME to another disk."
        )


def check_restored(home: Path) -> None:
    """Refuse a home whose restore was broken off."""
    if (home / UNFINISHED_RESTORE).exists():
        raise ConfigurationError(
            f"A restore into {home} was broken off; run `crossbook restore` again, or `crossbook reset` to begin empty."
        )


def check_people(settings: Settings) -> None:
    """Refuse live orders on live venues where nobody could prove who they are; a link proves too little for that."""
    if not settings.is_live:
        return
    with closing(Accounts(settings.home_dir)) as accounts:
        people = accounts.list_people()
    if not any(
        person.is_active
        and person.role in (Role.TRADER, Role.OWNER)
        and (person.has_password or is_of_issuer(person.subject, settings.oidc_issuer))
        for person in people
    ):
        raise ConfigurationError(
            "Live trading needs a trader or owner who signs in with a password or OIDC; add one with `crossbook users "
            "add NAME --role trader --with-password`, or give an owner one with `crossbook users password NAME`."
        )


def check_ports(ports: Mapping[str, int]) -> None:
    """Refuse a port that is taken (naming its holder and the setting) or named twice."""
    seen: dict[int, str] = {}
    for field, port in ports.items():
        name = setting_name(field)
        if port in seen:
            raise ConfigurationError(f"{name} and {seen[port]} are both {port}; give each a port of its own.")
        seen[port] = name
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise ConfigurationError(f"{name}={port} cannot be used: {error.strerror}.") from None
                holder = port_holder(port)
                raise ConfigurationError(f"Port {port} is taken by {holder}; set {name} to a free port.") from None


def port_holder(port: int) -> str:
    """Return who listens on a port, as far as we may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            is_listener = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
            if is_listener and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return "another program" if os.geteuid() == 0 else "another user's program"
