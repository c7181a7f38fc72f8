"""The HTTP API: reads of everything the dashboard shows, and a few acts of people who may do them. Loopback only."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from psycopg_pool import ConnectionPool

from app.api.acts import ActTable, describe_security
from app.api.callers import Callers
from app.api.door import Door, rules_of
from app.api.errors import install_handlers
from app.api.reference import reference_page
from app.api.routes import books, health, limits, markets, operator_actions, pairs, trading
from app.api.schemas import ProblemBody
from app.api_token import ensure_token
from streams.settings import Settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, database_dsn, open_pool, trouble_of_pool
from streams.storage.outages import Trouble

_PREFIX = "/api"
_ROUTERS = [module.router for module in (markets, pairs, books, trading, limits, health, operator_actions)]
_ERRORS: dict[int | str, dict[str, object]] = {
    status: {"model": ProblemBody} for status in (401, 403, 404, 408, 409, 413, 415, 422, 429, 503)
}
_POOL_TIMEOUT_S = 5.0
_ACTS_MAX = 3
"""Acts at the same time, with a connection and a thread each that reads cannot take."""
_KILLS_MAX = 8
"""Kills at the same time, with a thread each that nothing else can take."""
_POOL_SIZE = 4
_STATEMENT_TIMEOUT_S = 20.0


def create_app(settings: Settings, *, behind_doors: bool = False) -> FastAPI:
    """Return the application. The database is first asked at the first request, so that the start never waits for it.

    Args:
        settings: Of the whole system.
        behind_doors: Whether it is served on the Unix socket that only the doors reach: then the identity they set is
            believed, and they have checked the Host.

    Raises:
        ConfigurationError: If the token file of this home is unusable.
    """
    token = ensure_token(settings)
    app = FastAPI(
        title="Crossbook",
        version="1",
        summary="Markets of Kalshi and Polymarket, what pairs them, and the hedges between them.",
        description="Decimals are strings, times UTC. Lists are paged: pass `next_cursor` as `cursor`.",
        lifespan=_lifespan,
        docs_url=None,  # Swagger UI and ReDoc load their scripts from another machine
        redoc_url=None,
        responses=_ERRORS,
    )
    app.state.settings = settings
    app.state.pool = _LazyPool(settings, _POOL_SIZE, "crossbook api")
    app.state.acts_pool = _LazyPool(settings, _ACTS_MAX, "crossbook api acts")
    app.state.health_look = health.HealthLook(settings)
    app.state.acts_limiter = anyio.CapacityLimiter(_ACTS_MAX)
    app.state.kills_limiter = anyio.CapacityLimiter(_KILLS_MAX)
    for router in _ROUTERS:
        app.include_router(router, prefix=_PREFIX)
    app.get("/docs", include_in_schema=False)(lambda: HTMLResponse(reference_page(app.openapi())))
    acts = ActTable(_ROUTERS, _PREFIX)
    app.state.callers = Callers(settings.home_dir, token, is_behind_doors=behind_doors)
    rules = rules_of(settings, acts, app.state.callers, checks_host=not behind_doors)
    app.add_middleware(Door, rules=rules)
    install_handlers(app)
    app.openapi = partial(_described, app, app.openapi)  # type: ignore[method-assign]
    return app


def _described(app: FastAPI, describe: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is None:
        describe_security(describe(), open_reads=app.state.settings.api_reads_without_token)
    return describe()


class _LazyPool:
    """A pool of connections, opened at its first use."""

    def __init__(self, settings: Settings, max_size: int, application: str) -> None:
        self._settings = settings
        self._max_size = max_size
        self._application = application
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None

    def __call__(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._pool is None:
                self._pool = open_pool(
                    database_dsn(self._settings, Login.INTERFACE),
                    max_size=self._max_size,
                    application=self._application,
                    statement_timeout_s=_STATEMENT_TIMEOUT_S,
                )
                self._pool.timeout = _POOL_TIMEOUT_S
            return self._pool

    def trouble(self) -> Trouble:
        """Return why there was no connection to lend."""
        return trouble_of_pool(database_dsn(self._settings, Login.INTERFACE))

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.callers.close()
    app.state.pool.close()
    app.state.acts_pool.close()
