"""The two resources every definition uses: the settings of this process and the warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from streams.settings import Settings, load_settings
from streams.storage.database import Connection, connect, database_dsn


class PlatformResource(dg.ConfigurableResource["PlatformResource"]):
    """Settings and database of the environment the code server runs in; nothing is read at import time."""

    def settings(self) -> Settings:
        """Return the settings as the environment has them now."""
        return load_settings()

    def dsn(self) -> str:
        """Return the address of the warehouse."""
        return database_dsn(self.settings())

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open one autocommit connection with dict rows and close it afterwards."""
        with connect(self.dsn(), application="crossbook-dagster") as connection:
            yield connection
