"""What routes depend on: a connection, the requested page, and who acts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends, Query, Request

from app.doors.roles import Identity
from app.queries.rows import PAGE_LIMIT_MAX
from streams.settings import Settings
from streams.storage.database import Connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Paging:
    """The page that a caller requests."""

    limit: int
    cursor: str | None


def get_connection(request: Request) -> Iterator[Connection]:
    """Lend a connection of the pool for one request; the first one opens that of the acts too, while there is room."""
    request.app.state.acts_pool()
    with request.app.state.pool().connection() as connection:
        yield connection


async def act_on(request: Request, act: Callable[[Connection], T]) -> T:
    """Run an operator's act on a connection and in a thread that no read can take; several at once wait for each other.

    Raises:
        PoolTimeout: If the server gives no connection.
    """

    def run() -> T:
        with request.app.state.acts_pool().connection() as connection:
            return act(connection)

    return await anyio.to_thread.run_sync(run, limiter=request.app.state.acts_limiter)


async def get_settings(request: Request) -> Settings:
    """Return the settings of the application. Asynchronous, so that it needs no thread of those that read."""
    settings: Settings = request.app.state.settings
    return settings


def get_paging(
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT_MAX, description="Most items of one page.")] = 100,
    cursor: Annotated[str | None, Query(max_length=2000, description="`next_cursor` of the page before.")] = None,
) -> Paging:
    """Read the requested page from the query."""
    return Paging(limit, cursor or None)


async def get_identity(request: Request) -> Identity:
    """Return who acts, as the door has found and permitted them."""
    identity: Identity = request.state.identity
    return identity


Warehouse = Annotated[Connection, Depends(get_connection)]
CurrentSettings = Annotated[Settings, Depends(get_settings)]
WantedPage = Annotated[Paging, Depends(get_paging)]
ActingPerson = Annotated[Identity, Depends(get_identity)]
