"""The HTTP API: reads of everything the dashboard shows, and a few operator actions behind a token. Loopback only."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from psycopg_pool import ConnectionPool

from app.api.errors import install_handlers, problem_response
from app.api.reference import reference_page
from app.api.routes import books, health, markets, operator_actions, pairs, trading
from app.api.schemas import ProblemBody
from app.api.token import ensure_token
from streams.settings import Settings
from streams.storage.database import Connection, database_dsn, open_pool

_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_ERRORS: dict[int | str, dict[str, object]] = {
    status: {"model": ProblemBody} for status in (401, 403, 404, 409, 422, 503)
}
_POOL_TIMEOUT_S = 5.0


def create_app(settings: Settings) -> FastAPI:
    """Return the application. The database is first asked at the first request, so that the start never waits for it.

    Raises:
        ConfigurationError: If the token file of this home is unusable.
    """
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
    app.state.token = ensure_token(settings)
    app.state.pool = _LazyPool(settings)
    for module in (markets, pairs, books, trading, health, operator_actions):
        app.include_router(module.router, prefix="/api")
    app.get("/docs", include_in_schema=False)(lambda: HTMLResponse(reference_page(app.openapi())))
    app.middleware("http")(_refuse_other_hosts)
    install_handlers(app)
    return app


class _LazyPool:
    """The pool of connections, opened at its first use."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._pool: ConnectionPool[Connection] | None = None

    def __call__(self) -> ConnectionPool[Connection]:
        with self._lock:
            if self._pool is None:
                self._pool = open_pool(database_dsn(self._settings), max_size=6, application="crossbook api")
                self._pool.timeout = _POOL_TIMEOUT_S
            return self._pool

    def close(self) -> None:
        with self._lock:
            if self._pool is not None:
                self._pool.close()
                self._pool = None


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.pool.close()


async def _refuse_other_hosts(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    # A web page elsewhere could make a browser ask us under a name of its own that points here.
    host = request.headers.get("host", "").rsplit(":", 1)[0] if ":" in request.headers.get("host", "") else ""
    name = host or request.headers.get("host", "")
    if name.lower() not in _HOSTS:
        return problem_response(403, "forbidden_host", "This API answers only to 127.0.0.1 and localhost.")
    return await call_next(request)
