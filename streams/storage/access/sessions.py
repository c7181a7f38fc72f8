"""How every session with PostgreSQL is opened: the one place, with the settings that all of them have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

PINNED = {
    "datestyle": "ISO,MDY",
    "timezone": "UTC",
    "intervalstyle": "postgres",
    "client_encoding": "UTF8",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",  # an order that was confirmed is there after a crash, before it is at a venue
}
"""What every session has, whatever the server, the database or the role has as its default."""

PINNED_ENVIRONMENT = {"PGTZ": "UTC", "PGDATESTYLE": "ISO,MDY", "PGCLIENTENCODING": "UTF8"}
"""For programs that open sessions themselves: libpq lets these variables of a person's win over `options`."""

LIVELINESS = {
    "connect_timeout": "10",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
"""By which a server that is gone without a word is noticed within half a minute, not when the kernel gives up."""

# What the server reports of a session by itself, as it reports it.
_REPORTED = {"DateStyle": "ISO, MDY", "TimeZone": "UTC", "IntervalStyle": "postgres", "client_encoding": "UTF8"}
_PREPARE_OPTION = re.compile(r"(?:^|\s)-c\s*crossbook\.prepare_threshold=(\d+)(?=\s|$)")
_OPTION = re.compile(r"(?:-c\s*|--)([\w.-]+)=((?:\\.|[^\s\\])*)")
_NO_OPTIONS = "unsupported startup parameter"
PREPARE_THRESHOLD = 5
"""How often a statement is asked before the server prepares it, unless an address says otherwise."""
Clock = Callable[[], datetime]
"""Returns the present moment (aware)."""


def with_threshold(dsn: str, threshold: int) -> str:
    """Note in an address how often a statement is asked before it is prepared, 0 for never; it is what is passed on."""
    if threshold == PREPARE_THRESHOLD:
        return dsn
    own = conninfo_to_dict(dsn).get("options") or ""
    return make_conninfo(dsn, options=f"{own} -c crossbook.prepare_threshold={threshold}".strip())


def session_options(dsn: str, **settings: str) -> str:
    """Return the `options` of a session at an address: those the address has, the pinned ones, and `settings`."""
    own = _PREPARE_OPTION.sub("", str(conninfo_to_dict(dsn).get("options") or "")).strip()
    ours = [f"-c {name}={_escaped(value)}" for name, value in {**PINNED, **settings}.items()]
    return " ".join([own, *ours] if own else ours)


def options_arrive(dsn: str) -> bool:
    """Whether what a session is to have from its start on arrives at the server: a pooler may refuse or drop it."""
    probe = make_conninfo(dsn, options="-c crossbook.probe=on", connect_timeout=10)
    try:
        with psycopg.connect(probe, autocommit=True) as connection:
            return connection.execute("SELECT current_setting('crossbook.probe', true)").fetchone() == ("on",)
    except psycopg.OperationalError as error:
        if _NO_OPTIONS in str(error):
            return False
        raise


def libpq_environment(dsn: str) -> dict[str, str]:
    """Return the variables by which a program that opens sessions itself finds an address, as far as there are any."""
    variables = {option.keyword.decode(): option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar}
    given = conninfo_to_dict(dsn)
    return {variables[name]: str(value) for name, value in given.items() if value is not None and name in variables}


class WarehouseConnection(psycopg.Connection[Any]):
    """A connection that pins its session, also where a pooler takes no options at the start of one.

    `clock`: what tells the time of its rows; None: the database's clock, which `database.read_clock` reads.
    """

    clock: Clock | None = None

    @classmethod
    def connect(  # type: ignore[override]
        cls, conninfo: str = "", *, session_settings: Mapping[str, str] | None = None, **parts: Any
    ) -> WarehouseConnection:
        """Open a connection; see psycopg. `session_settings` stand beside the pinned ones.

        An address may carry `options=-c crossbook.prepare_threshold=n`, which is meant for us and not for the server.
        """
        settings = dict(session_settings or {})
        address = conninfo_to_dict(conninfo)
        found = _PREPARE_OPTION.search(str(address.get("options") or ""))
        threshold = int(found[1]) if found else PREPARE_THRESHOLD
        liveliness = {name: value for name, value in LIVELINESS.items() if name not in address}
        parts = {**liveliness, "prepare_threshold": threshold or None, **parts}
        options = session_options(conninfo, **settings)
        try:
            connection = super().connect(conninfo, options=options, **parts)
        except psycopg.OperationalError as error:
            if _NO_OPTIONS not in str(error):
                raise
            connection = super().connect(make_conninfo(conninfo, options=""), **parts)
            is_pinned = False
        else:
            is_pinned = all(connection.info.parameter_status(name) == value for name, value in _REPORTED.items())
        if not is_pinned:
            connection._pin(options)
        return connection

    def _pin(self, options: str) -> None:
        """Set by statements what the start of the session has not set."""
        try:
            for name, value in _OPTION.findall(options):
                self.execute("SELECT set_config(%s, %s, false)", (name, re.sub(r"\\(.)", r"\1", value)))
            if not self.autocommit:
                self.commit()  # else a transaction that is rolled back would take them with it
        except BaseException:
            with suppress(psycopg.Error):
                self.close()
            raise


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
