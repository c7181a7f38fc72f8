"""Groups of related markets: written whole, ended when their reason is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from streams.market.identity import Environment
from streams.storage.database import Connection

_UPSERT = """
INSERT INTO trading.groups AS g (group_id, kind, title, markets, outcomes, is_tradable, reason, resolves_at,
    environment)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (group_id) DO UPDATE SET title = excluded.title, markets = excluded.markets,
    outcomes = excluded.outcomes, is_tradable = excluded.is_tradable, reason = excluded.reason,
    resolves_at = excluded.resolves_at, updated_at = now(), ended_at = NULL
WHERE (g.title, g.markets, g.outcomes, g.is_tradable, g.reason, g.resolves_at, g.ended_at)
    IS DISTINCT FROM (excluded.title, excluded.markets, excluded.outcomes, excluded.is_tradable, excluded.reason,
    excluded.resolves_at, NULL::timestamptz)
"""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group as it is stored; see `trading.groups`."""

    group_id: str
    kind: str
    title: str
    markets: list[dict[str, str]]
    outcomes: list[Any]
    is_tradable: bool
    reason: str
    resolves_at: datetime | None


def save_groups(connection: Connection, groups: Sequence[GroupRow], environment: Environment) -> tuple[int, int]:
    """Write the groups there are now and end all others; returns (written or changed, ended)."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            _UPSERT,
            [
                (g.group_id, g.kind, g.title, Jsonb(g.markets), Jsonb(g.outcomes), g.is_tradable, g.reason,
                 g.resolves_at, environment)
                for g in groups
            ],
        )  # fmt: skip
        changed = max(cursor.rowcount, 0)
        ended = connection.execute(
            "UPDATE trading.groups SET ended_at = now(), updated_at = now(), is_tradable = false"
            " WHERE ended_at IS NULL AND environment = %s AND kind <> 'set' AND NOT group_id = ANY(%s)",
            (environment, [g.group_id for g in groups]),
        ).rowcount
        if changed or ended:
            connection.execute("SELECT pg_notify('crossbook_wanted', '')")
    return changed, ended
