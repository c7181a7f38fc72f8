"""What every page shares: settings, pools, cached reads, and what is said when the warehouse is away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
import streamlit as st
from psycopg_pool import ConnectionPool, PoolTimeout

from app.dashboard import theme
from app.diagnosis.cause import Finding
from app.diagnosis.examination import examine_live
from streams.market.errors import ConfigurationError
from streams.settings import Settings, load_settings
from streams.storage.access.logins import Login
from streams.storage.database import Connection, database_dsn, open_pool, trouble_of_pool
from streams.storage.outages import Trouble, trouble_of
from streams.storage.store.alerts import list_failed_tests

T = TypeVar("T")

REFRESH = "5s"
"""How often live parts of a page are drawn again."""

REFRESH_SLOW = "30s"
"""How often what is slow to look at is drawn again."""

_POOL_SIZE = 3
_STATEMENT_TIMEOUT_S = 20.0
_STOPPED = "stopped_for_the_warehouse"
_NOTICES = {
    Trouble.AWAY: "The warehouse does not answer. Look at `crossbook doctor`, or start everything with `make up`. "
    "Trading is killed without it: open any page anew, or `crossbook trade kill`.",
    Trouble.NO_WRITES: "The warehouse takes no writes for now, after a failover or because its disk is full.",
    Trouble.BUSY: "The warehouse is busy.",
    Trouble.CONFLICT: "The warehouse is busy.",
}
_TTL_S = 2
_TTL_SLOW_S = 10


def settings() -> Settings:
    """Return the settings of this process."""
    return load_settings()


def read_now(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Return a read that was not cached: what is shown before an act must be what there is now."""
    st.cache_data.clear()
    return read(function, *arguments, **options)


def is_away() -> bool:
    """Whether the warehouse does not answer."""
    try:
        with _pool(_dsn()).connection() as connection:
            connection.execute("SELECT 1")
    except (ConfigurationError, psycopg.Error):
        return True
    return False


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
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        _stop("This database has no Crossbook schema yet. `make up` creates it and fills it.")
    except psycopg.DataError:
        _stop("A word in a field or in the address of this page cannot be looked for; change it.")
    except psycopg.Error as error:
        trouble = _trouble(error)
        if trouble is None:
            raise
        _stop(_NOTICES[trouble])
    return result


def drawn() -> None:
    """Note that something could be read. A page that stopped before, because nothing could, is drawn anew."""
    if st.session_state.pop(_STOPPED, False):
        st.rerun()


def acts_pool() -> ConnectionPool[Connection]:
    """Return the connections of acts, which reads cannot take."""
    return _acts_pool(_dsn())


def notice_of(error: psycopg.Error) -> str:
    """Return what is said of the warehouse where an act met this error."""
    return _NOTICES[_trouble(error) or Trouble.AWAY]


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


@st.cache_data(ttl=_TTL_SLOW_S, show_spinner=False)
def examined(_settings: Settings) -> list[Finding]:
    """Return what is wrong with the system as the API and the doctor see it, looked at every ten seconds at most."""
    return examine_live(_settings)


@st.cache_resource(show_spinner=False, on_release=lambda pool: pool.close())
def _pool(dsn: str) -> ConnectionPool[Connection]:
    pool = open_pool(
        dsn, max_size=_POOL_SIZE, application="crossbook dashboard", statement_timeout_s=_STATEMENT_TIMEOUT_S
    )
    pool.timeout = 5.0
    return pool


@st.cache_resource(show_spinner=False, on_release=lambda pool: pool.close())
def _acts_pool(dsn: str) -> ConnectionPool[Connection]:
    pool = open_pool(dsn, max_size=3, application="crossbook dashboard acts")
    pool.timeout = 5.0
    return pool


def _dsn() -> str:
    return database_dsn(settings(), Login.INTERFACE)


def _call(dsn: str, function: Callable[..., Any], arguments: tuple[Any, ...], options: tuple[Any, ...]) -> Any:
    _acts_pool(dsn)  # so that an act has its connection before reads have taken the server's last
    with _pool(dsn).connection() as connection:
        return function(connection, *arguments, **dict(options))


@st.cache_data(ttl=_TTL_S, show_spinner=False, max_entries=500)
def _cached(name: str, dsn: str, arguments: tuple[Any, ...], options: tuple[Any, ...], *, _function: Any) -> Any:
    return _call(dsn, _function, arguments, options)


@st.cache_data(ttl=_TTL_SLOW_S, show_spinner=False, max_entries=100)
def _cached_slow(name: str, dsn: str, arguments: tuple[Any, ...], options: tuple[Any, ...], *, _function: Any) -> Any:
    return _call(dsn, _function, arguments, options)


def _trouble(error: psycopg.Error) -> Trouble | None:
    """Return what is the matter with the warehouse; None for a fault of ours."""
    trouble = trouble_of_pool(_dsn()) if isinstance(error, PoolTimeout) else trouble_of(error)
    if trouble is Trouble.PERMANENT:
        return Trouble.AWAY if isinstance(error, psycopg.OperationalError) else None
    return trouble


def _stop(message: str) -> Any:
    st.session_state[_STOPPED] = True
    st.error(message, icon=":material/cloud_off:")
    st.caption("This page asks again by itself.")
    st.stop()
