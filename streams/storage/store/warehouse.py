"""The warehouse as a whole: the environment it is bound to, and the views of `analytics` that are always there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import psycopg
from psycopg.types.json import Jsonb

from streams.market.identity import Environment
from streams.market.trading import OPEN_STATES, SwitchState
from streams.storage.database import Connection, fetch_int, fetch_one, read_clock


@dataclass(frozen=True, slots=True)
class LiveView:
    """One view: where it is, and the query it is made from."""

    schema: str
    name: str
    query: str


def stamp_environment(connection: Connection, environment: Environment) -> str:
    """Bind the database to an environment unless it is bound already; returns the environment it belongs to."""
    connection.execute(
        "INSERT INTO trading.environment_stamp (environment, stamped_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
        (environment, read_clock(connection)),
    )
    row = connection.execute("SELECT environment FROM trading.environment_stamp").fetchone()
    return environment if row is None else str(row["environment"])


def newest_migration(connection: Connection) -> str:
    """Return the number of the newest migration the database has; empty where it has none."""
    row = connection.execute("SELECT to_regclass('trading.schema_version') IS NOT NULL AS is_there").fetchone()
    if row is None or not row["is_there"]:
        return ""
    row = connection.execute("SELECT version_num FROM trading.schema_version").fetchone()
    return "" if row is None else str(row["version_num"])


def stamped_at(connection: psycopg.Connection[tuple[object, ...]]) -> object:
    """Return when the database was bound to its environment, which no other database shares; None before."""
    row = connection.execute("SELECT stamped_at FROM trading.environment_stamp").fetchone()
    return None if row is None else row[0]


def read_as_reader(connection: Connection, query: str) -> list[str]:
    """Return the rows of one query as JSON objects, asked by a function in which the reader's role cannot be left.

    Raises:
        psycopg.Error: If the query cannot be answered; `UndefinedFunction` also where the owner could make no such
            function.
    """
    rows = connection.execute("SELECT trading.read_as_reader(%s)::text AS row", (query,))
    return [str(row["row"]) for row in rows]


def load_environment(connection: Connection) -> str:
    """Return the exchanges this database is stamped with, or 'unknown' before the first migration's stamp."""
    row = connection.execute("SELECT environment FROM trading.environment_stamp").fetchone()
    return "unknown" if row is None else str(row["environment"])


def has_schema(connection: Connection) -> bool:
    """Whether the database has our tables."""
    row = connection.execute("SELECT to_regclass('trading.switches') IS NOT NULL AS is_there").fetchone()
    return row is not None and bool(row["is_there"])


def keep_views(connection: Connection, views: Sequence[LiveView]) -> int:
    """Make the views, or change those whose query is another one, all in one transaction; return how many changed.

    Readers are not kept waiting: a lock that is not free at once is given up and asked for again.

    Raises:
        psycopg.Error: If a query cannot be used; then nothing has changed.
    """
    return fetch_int(connection, "SELECT trading.keep_views(%s)", (Jsonb([asdict(view) for view in views]),))


@dataclass(frozen=True, slots=True)
class TradingPulse:
    """What the tables of trading say of how it goes. Ages in seconds (`read_clock`); None where there is none.

    Attributes:
        schema_version: The newest migration the database has.
        recorder_age_s: Since any recorder's last sign of life, those that ended included.
        recorders: Recorders whose lease is alive.
        armed_age_s: Since the last sign of life of an armed trading run, of whatever trading mode.
        balances_age_s: Since an account was read last.
        unsent_alerts / unsent_age_s: Alerts that were not delivered, and the age of the oldest.
        send_error: Why the newest of them could not be delivered.
        expired_leases: Names of leases that ended without being given back, at most five.
        changed_pairs: Ids of paused pairs whose texts changed after the pause, at most five.
        stuck_executions: Executions that are open much longer than they may be.
        waiting_commands: Acts that people asked for more than five minutes ago and that have no result.
    """

    schema_version: str | None
    environment: str | None
    switch: SwitchState | None
    switched_by: str | None
    switch_age_s: float | None
    recorder_age_s: float | None
    recorders: int
    armed_age_s: float | None
    balances_age_s: float | None
    unknown_orders: int
    escalated: int
    stuck_executions: int
    waiting_commands: int
    critical_alerts: list[str]
    unsent_alerts: int
    unsent_age_s: float | None
    send_error: str | None
    no_channel_alerts: int
    expired_leases: list[str]
    changed_pairs: list[str]
    judged_today_usd: float


def trading_pulse(connection: Connection, stuck_after_s: float) -> TradingPulse:
    """Return what the tables of trading say now; an execution that is open for `stuck_after_s` seconds is stuck."""
    pulse = fetch_one(
        connection,
        TradingPulse,
        """WITH switch AS (SELECT * FROM trading.switches ORDER BY switch_id DESC LIMIT 1),
               unsent AS (SELECT * FROM trading.alerts WHERE state IN ('waiting', 'failed')
                   AND (cleared_at IS NULL OR raised_at > %(now)s - interval '1 day'))
           SELECT (SELECT version_num FROM trading.schema_version LIMIT 1) AS schema_version,
               (SELECT environment FROM trading.environment_stamp) AS environment,
               (SELECT state FROM switch) AS switch, (SELECT set_by FROM switch) AS switched_by,
               (SELECT extract(epoch FROM %(now)s - set_at)::float8 FROM switch) AS switch_age_s,
               (SELECT extract(epoch FROM %(now)s - max(heartbeat_at))::float8 FROM trading.leases
                   WHERE name LIKE 'shard:%%') AS recorder_age_s,
               (SELECT count(*) FROM trading.leases WHERE name LIKE 'shard:%%' AND released_at IS NULL
                   AND expires_at >= %(now)s) AS recorders,
               (SELECT extract(epoch FROM %(now)s - max(heartbeat_at))::float8 FROM trading.leases
                   WHERE name LIKE 'trader:%%') AS armed_age_s,
               (SELECT extract(epoch FROM %(now)s - max(read_at))::float8 FROM trading.balances)
                   AS balances_age_s,
               (SELECT count(*) FROM trading.orders WHERE state = 'unknown') AS unknown_orders,
               (SELECT count(*) FROM trading.executions WHERE state = 'ESCALATED' AND settled_at IS NULL) AS escalated,
               (SELECT count(*) FROM trading.executions WHERE state = ANY(%(open)s)
                   AND started_at < %(now)s - make_interval(secs => %(stuck_s)s)) AS stuck_executions,
               (SELECT count(*) FROM trading.commands WHERE done_at IS NULL
                   AND asked_at < %(now)s - interval '5 minutes') AS waiting_commands,
               ARRAY(SELECT message FROM trading.alerts WHERE cleared_at IS NULL AND severity = 'critical'
                   ORDER BY alert_id DESC LIMIT 20) AS critical_alerts,
               (SELECT count(*) FROM unsent) AS unsent_alerts,
               (SELECT extract(epoch FROM %(now)s - min(raised_at))::float8 FROM unsent) AS unsent_age_s,
               (SELECT count(*) FROM trading.alerts WHERE state = 'no channel' AND cleared_at IS NULL)
                   AS no_channel_alerts,
               (SELECT send_error FROM unsent WHERE send_error <> '' ORDER BY alert_id DESC LIMIT 1) AS send_error,
               ARRAY(SELECT name FROM trading.leases WHERE released_at IS NULL
                   AND expires_at < %(now)s - interval '1 minute' ORDER BY name LIMIT 5) AS expired_leases,
               ARRAY(SELECT p.pair_id
                   FROM trading.pair_states AS p JOIN trading.group_decisions AS d USING (decision_id)
                   WHERE p.state = 'paused' AND (d.market_hashes, d.terms)
                       IS DISTINCT FROM (p.market_hashes, p.terms)
                   ORDER BY p.pair_id LIMIT 5) AS changed_pairs,
               (SELECT coalesce(sum(cost_usd), 0)::float8 FROM trading.judge_answers
                   WHERE answered_at >= date_trunc('day', %(now)s AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')
                   AS judged_today_usd""",
        {"open": list(OPEN_STATES), "stuck_s": stuck_after_s, "now": read_clock(connection)},
    )
    assert pulse is not None
    return pulse
