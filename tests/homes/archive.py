"""One stored home: `NAME.tar.xz` holds `.env`, the home and PostgreSQL's data folder; `NAME.json` what was in it."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from psycopg import sql

from streams.storage.database import Connection, connect, embedded_server
from streams.storage.server.embedded import EmbeddedServer, binaries_dir
from tests.support.whole_home import ROOT, Home

HERE = Path(__file__).parent
_LEFT_OUT = ("home/logs", "home/run", "home/dbt", "home/postgres", "home/dagster/storage", "pgdata/postmaster.opts")
_PASSWORDS = ("pg_password", "reader_password")


def facts_path(name: str) -> Path:
    """Return where it is written what a stored home held."""
    return HERE / f"{name}.json"


def archive_path(name: str) -> Path:
    """Return where a stored home lies."""
    return HERE / f"{name}.tar.xz"


def read_facts(name: str) -> dict[str, Any]:
    """Return what a stored home held when it was written."""
    facts: dict[str, Any] = json.loads(facts_path(name).read_text())
    return facts


def digest(text: str) -> str:
    """Return what is written down of a secret."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def pack(home: Home, name: str) -> None:
    """Store a stopped home; its tables are written anew first, so that no dead rows and no old log are stored."""
    server = embedded_server(home.settings())
    _tidy(home, server)
    folder = home.path.parent
    with lzma.open(archive_path(name), "wb", preset=9 | lzma.PRESET_EXTREME) as packed:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(folder / ".env", ".env", filter=_nobodys)
            archive.add(home.path, "home", filter=_nobodys)
            for password in _PASSWORDS:
                archive.add(server.home / password, f"home/postgres/{password}", filter=_nobodys)
            archive.add(server.data_dir, "pgdata", filter=_nobodys)


def unpack(name: str, folder: Path) -> Home:
    """Lay a stored home out in a folder, as it would lie there had it been written there; nothing runs yet.

    PostgreSQL's data goes where the product looks for it, owned by whoever the server runs as.
    """
    home = Home.make(folder / "home", folder)
    server = embedded_server(home.settings())
    server.start()
    server.stop()
    owner = server.data_dir.stat()
    shutil.rmtree(server.data_dir)
    with lzma.open(archive_path(name), "rb") as packed, tarfile.open(fileobj=packed) as archive:
        archive.extractall(folder, filter="tar")
    shutil.move(folder / "pgdata", server.data_dir)
    for path in (server.data_dir, *server.data_dir.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    return home


def _tidy(home: Home, server: EmbeddedServer) -> None:
    with home.only_database():
        for database in ("crossbook", "postgres"):
            with connect(server.dsn(database)) as connection:
                _forget_checkout(connection)
                connection.execute("VACUUM FULL")
                connection.execute("CHECKPOINT")
    owner = server.data_dir.stat()
    command = [str(binaries_dir() / "pg_resetwal"), "-D", str(server.data_dir)]
    as_owner: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid} if os.geteuid() == 0 else {}
    subprocess.run(command, check=True, capture_output=True, cwd="/", **as_owner)


def _forget_checkout(connection: Connection) -> None:
    """Put a name that is nobody's in place of this checkout's folder, which Dagster's events name."""
    columns = connection.execute(
        """SELECT table_name, column_name FROM information_schema.columns
           WHERE table_schema = 'dagster' AND data_type IN ('text', 'character varying')"""
    ).fetchall()
    for row in columns:
        column, table = sql.Identifier(row["column_name"]), sql.Identifier("dagster", row["table_name"])
        connection.execute(
            sql.SQL("UPDATE {table} SET {column} = replace({column}, %(root)s, '/srv/crossbook') "
                    "WHERE position(%(root)s IN {column}) > 0").format(table=table, column=column),
            {"root": str(ROOT)},
        )  # fmt: skip


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Leave out what a start makes anew, and take names of this machine's users off the rest."""
    if entry.name in _LEFT_OUT or not (entry.isfile() or entry.isdir()):
        return None
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry
