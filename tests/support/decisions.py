"""Decisions on pairs and groups as rows, for tests that need one to be there."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from streams.storage.database import Connection


def write_decision(
    connection: Connection,
    group_id: str,
    decision: str = "approve",
    *,
    who: str = "tester",
    reason: str = "",
    environment: str = "sandbox",
    read: dict[str, str] | None = None,
) -> None:
    """Decide on a pair ("pair:" and its id) or a group as it is now; `read`: other texts of some of its markets."""
    changed = {market: {"text": text, "closes_at": None} for market, text in (read or {}).items()}
    connection.execute(
        """INSERT INTO trading.group_decisions (group_id, kind, decision, decided_by, reason, market_hashes, terms,
               environment, decided_at)
           SELECT group_id, kind, %s, %s, %s, market_hashes || %s, terms, %s, now() FROM trading.group_states
           WHERE group_id = %s""",
        (decision, who, reason, Jsonb(changed), environment, group_id),
    )
