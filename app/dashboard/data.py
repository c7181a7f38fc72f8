"""What every page shares: settings, a pool, cached reads, operator actions, and errors when the warehouse is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
import streamlit as st
from psycopg_pool import ConnectionPool, PoolTimeout

from app.dashboard import theme
from app.operator_actions import ActRefused
from streams.market.errors import ConfigurationError
from streams.settings import Settings, load_settings
from streams.storage.database import Connection, database_dsn, open_pool
from streams.storage.store.alerts import list_failed_tests

T = TypeVar("T")

REFRESH = "5s"
"""How often live parts of a page are drawn again."""

_TTL_S = 2
_TTL_SLOW_S = 10


def settings() -> Settings:
    """Return the settings of this process."""
    return load_settings()


def read(function: Callable[..., T], *arguments: Any, slow: bool = False, **options: Any) -> T:
    """Return a read of `app.queries`, cached for two seconds (ten when `slow`); the first argument is the connection.

    When the warehouse does not answer, the page says so and stops here.
    """
    cached = _cached_slow if slow else _cached
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        result: T = cached(name, _dsn(), arguments, tuple(sorted(options.items())), _function=function)
    except ConfigurationError as error:
        _stop(str(error))
    except (psycopg.OperationalError, PoolTimeout):
        _stop("The warehouse does not answer. Look at `crossbook doctor`, or start everything with `make up`.")
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        _stop("This database has no Crossbook schema yet. `make up` creates it and fills it.")
    return result


def act(function: Callable[..., object], *arguments: Any, done: str, **options: Any) -> bool:
    """Carry out an operator action and show `done`, or why it was refused; return whether it was carried out.

    Cached reads are dropped, so that the page shows the new state.
    """
    try:
        with _pool(_dsn()).connection() as connection:
            function(connection, *arguments, **options)
    except (ActRefused, ConfigurationError) as error:
        st.error(theme.plain(str(error)), icon=":material/block:")
        return False
    except (psycopg.Error, PoolTimeout):
        st.error("The warehouse does not answer: nothing was written. Try again.", icon=":material/cloud_off:")
        return False
    st.cache_data.clear()
    st.toast(theme.plain(done), icon=":material/check_circle:")
    return True


def person() -> str:
    """Return the name in the sidebar; empty until someone gives it."""
    return str(st.session_state.get("who", "")).strip()


def show_html(*parts: str) -> None:
    """Put HTML made by `theme` on the page."""
    st.html("".join(parts))


def show_failed_tests(*marts: str) -> None:
    """Say above the figures which data tests of these marts do not pass, and since when; the figures are shown."""
    for test in read(list_failed_tests, slow=True):
        if set(marts) & set(test.marts):
            st.warning(
                f"The data test {theme.plain(test.test)} does not pass since {test.failed_at:%d %b %Y %H:%M} UTC: "
                f"what is shown here may be wrong.",
                icon=":material/rule:",
            )


def show_chart(figure: Any, key: str) -> None:
    """Put a Plotly figure on the page."""
    from app.dashboard.charts import CONFIG

    st.plotly_chart(figure, width="stretch", theme=None, config=CONFIG, key=key)


@st.cache_resource(show_spinner=False, on_release=lambda pool: pool.close())
def _pool(dsn: str) -> ConnectionPool[Connection]:
    pool = open_pool(dsn, max_size=4, application="crossbook dashboard")
    pool.timeout = 5.0
    return pool


def _dsn() -> str:
    return database_dsn(settings())


def _call(dsn: str, function: Callable[..., Any], arguments: tuple[Any, ...], options: tuple[Any, ...]) -> Any:
    with _pool(dsn).connection() as connection:
        return function(connection, *arguments, **dict(options))


@st.cache_data(ttl=_TTL_S, show_spinner=False, max_entries=500)
def _cached(name: str, dsn: str, arguments: tuple[Any, ...], options: tuple[Any, ...], *, _function: Any) -> Any:
    return _call(dsn, _function, arguments, options)


@st.cache_data(ttl=_TTL_SLOW_S, show_spinner=False, max_entries=100)
def _cached_slow(name: str, dsn: str, arguments: tuple[Any, ...], options: tuple[Any, ...], *, _function: Any) -> Any:
    return _call(dsn, _function, arguments, options)


def _stop(message: str) -> Any:
    st.error(message, icon=":material/cloud_off:")
    st.caption("This page asks again by itself.")
    st.stop()
