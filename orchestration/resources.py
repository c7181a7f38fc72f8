"""The two resources every definition uses: the settings of this process and the warehouse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import dagster as dg
from pydantic import PrivateAttr

from orchestration.tags import process_of
from streams.logs import get_logger
from streams.processes.handover import take_secrets
from streams.processes.parts import PARTS, Process
from streams.settings import Settings, load_settings
from streams.storage.database import Connection, connect, database_dsn
from streams.storage.outages import ride_out

T = TypeVar("T")
_CONNECT_LIMIT_S = 20.0


class PlatformResource(dg.ConfigurableResource["PlatformResource"]):
    """Settings and database of the environment the code server runs in; nothing is read at import time.

    In a run it has the login of the run's job, elsewhere that of the sensors.
    """

    _process: Process = PrivateAttr(default=Process.CODE_SERVER)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Be the process of the run's job: a run of the code server's has not asked for its secrets yet."""
        if context.run is not None:
            self._process = process_of(context.run.job_name)
            take_secrets(self.settings(), self._process)

    def settings(self) -> Settings:
        """Return the settings as the environment has them now."""
        return load_settings()

    def dsn(self) -> str:
        """Return the address of the warehouse for the login of this process."""
        return database_dsn(self.settings(), PARTS[self._process].logins[0])

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        """Open one autocommit connection with dict rows and close it afterwards.

        A server that is away for a moment is waited for, shorter than the tick of a sensor may last. What fails later
        is for the caller, or for the next tick.
        """
        opened = ride_out(
            lambda: connect(self.dsn(), application="crossbook-dagster"), limit_s=_CONNECT_LIMIT_S, on_wait=_note
        )
        with opened as connection:
            yield connection

    def ride_out(self, work: Callable[[Connection], T]) -> T:
        """Do a step of a run, which may be done twice, on a connection; again on a new one after an outage.

        The server may be restarted, fail over or end our sessions: the step begins anew until two minutes have passed
        since it first failed.

        Raises:
            Exception: What the step raised last.
        """

        def attempt() -> T:
            with connect(self.dsn(), application="crossbook-dagster") as connection:
                return work(connection)

        return ride_out(attempt, on_wait=_note)


def _note(error: BaseException) -> None:
    get_logger(room="dagster").warning("the warehouse is waited for", why=str(error).strip())
