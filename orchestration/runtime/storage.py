"""Dagster's tables in the warehouse, through an outage: a run is not ended because its server was restarted.

Dagster itself gives up after a few seconds. Here connecting waits as long as everything of ours does; and what a run
tells of itself is told again, so that a line of its log may stand there twice, and no run ends for it.

What is stored holds no secret. Every process of Dagster's opens this storage, so its own address is a loaded secret
there, and its logs and errors are guarded from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import sqlalchemy
from dagster import EventLogEntry
from dagster._core.events import DagsterEvent
from dagster._core.scheduler.instigation import InstigatorTick, TickData
from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import pg_url_from_config

from orchestration.runtime.clean_records import clean_record, guard_errors
from streams.addresses import check_database_address
from streams.logs import get_logger, guard_library_logs
from streams.storage.outages import ride_out

T = TypeVar("T")


class PatientStorage(DagsterPostgresStorage):
    """The three storages of Dagster on one address; configured like Dagster's own by `postgres_url`."""

    def __init__(self, postgres_url: str, inst_data: ConfigurableClassData | None = None) -> None:
        check_database_address(postgres_url)
        guard_library_logs()
        guard_errors()
        super().__init__(postgres_url, inst_data=inst_data)
        self._run_storage = _Runs(postgres_url)
        self._event_log_storage = _Events(postgres_url)
        self._schedule_storage = _Schedules(postgres_url)

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> PatientStorage:
        """Make the storage that dagster.yaml describes."""
        return cls(pg_url_from_config(config_value), inst_data)


class _Runs(PostgresRunStorage):
    def connect(self) -> AbstractContextManager[sqlalchemy.Connection]:
        return _connected(self._engine)

    def add_run_tags(self, run_id: str, new_tags: Mapping[str, str]) -> None:
        _patient(lambda: super(_Runs, self).add_run_tags(run_id, new_tags))

    def handle_run_event(self, run_id: str, event: DagsterEvent, *arguments: Any, **options: Any) -> None:
        _patient(lambda: super(_Runs, self).handle_run_event(run_id, event, *arguments, **options))


class _Events(PostgresEventLogStorage):
    def _connect(self) -> AbstractContextManager[sqlalchemy.Connection]:
        return _connected(self._engine)

    def store_event(self, event: EventLogEntry) -> None:
        clean = clean_record(event)
        _patient(lambda: super(_Events, self).store_event(clean))

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        clean = [clean_record(event) for event in events]
        _patient(lambda: super(_Events, self).store_event_batch(clean))


class _Schedules(PostgresScheduleStorage):
    def connect(self, run_id: str | None = None) -> AbstractContextManager[sqlalchemy.Connection]:
        return _connected(self._engine)

    def create_tick(self, tick_data: TickData) -> InstigatorTick:
        return super().create_tick(clean_record(tick_data))

    def update_tick(self, tick: InstigatorTick) -> InstigatorTick:
        super().update_tick(tick._replace(tick_data=clean_record(tick.tick_data)))
        return tick


@contextmanager
def _connected(engine: sqlalchemy.Engine) -> Iterator[sqlalchemy.Connection]:
    connection = _patient(engine.connect)
    try:
        yield connection
    finally:
        connection.close()


def _patient(act: Callable[[], T]) -> T:
    return ride_out(act, on_wait=_note)


def _note(error: BaseException) -> None:
    get_logger(room="dagster").warning("Dagster's tables are waited for", why=str(error).splitlines()[0])
