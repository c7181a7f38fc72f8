"""Candidates, verdicts, pairs and what is decided on them, bound to the texts and the environment it was decided on.

Automatic approvals are signed `sandbox`; what people decide is written by `app.operator_actions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Literal

from psycopg.types.json import Jsonb

from streams.market.identity import Environment
from streams.storage.database import Connection, Row

PairDecision = Literal["approve", "reject", "pause"]

_SAVE_CANDIDATE = """
INSERT INTO trading.pair_candidates (kalshi_market_id, polymarket_market_id, rank, score, reasons, kalshi_text_hash,
    polymarket_text_hash)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (kalshi_market_id, polymarket_market_id) DO UPDATE SET rank = excluded.rank, score = excluded.score,
    reasons = excluded.reasons, kalshi_text_hash = excluded.kalshi_text_hash,
    polymarket_text_hash = excluded.polymarket_text_hash, last_seen_at = now()
"""
_SAVE_VERDICT = """
INSERT INTO trading.pair_verdicts (candidate_id, content_hash, judge, relation, same_contract, polarity, confidence,
    differences, basis_risk, explanation, is_cached, input_tokens, output_tokens, cost_usd)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (candidate_id, content_hash) DO NOTHING
"""
_LAST_VERDICTS = """
SELECT DISTINCT ON (v.candidate_id) v.*, c.kalshi_market_id, c.polymarket_market_id,
    c.kalshi_text_hash, c.polymarket_text_hash
FROM trading.pair_verdicts AS v JOIN trading.pair_candidates AS c USING (candidate_id)
ORDER BY v.candidate_id, v.verdict_id DESC
"""
_UPSERT_PAIRS = f"""
INSERT INTO trading.pairs AS p (pair_id, kalshi_market_id, polymarket_market_id, relation, polarity, verdict_id,
    kalshi_text_hash, polymarket_text_hash, environment)
SELECT left(encode(sha256(convert_to(kalshi_market_id || '|' || polymarket_market_id, 'UTF8')), 'hex'), 16),
    kalshi_market_id, polymarket_market_id, relation, polarity, verdict_id, kalshi_text_hash, polymarket_text_hash,
    %(environment)s
FROM ({_LAST_VERDICTS}) AS last
WHERE same_contract AND polarity IS NOT NULL
ON CONFLICT (kalshi_market_id, polymarket_market_id) DO UPDATE SET relation = excluded.relation,
    polarity = excluded.polarity, verdict_id = excluded.verdict_id, kalshi_text_hash = excluded.kalshi_text_hash,
    polymarket_text_hash = excluded.polymarket_text_hash, environment = excluded.environment, updated_at = now()
WHERE (p.relation, p.polarity, p.verdict_id, p.kalshi_text_hash, p.polymarket_text_hash, p.environment)
    IS DISTINCT FROM (excluded.relation, excluded.polarity, excluded.verdict_id, excluded.kalshi_text_hash,
    excluded.polymarket_text_hash, excluded.environment)
RETURNING pair_id, (xmax = 0) AS is_new
"""
_REFRESH_TEXTS = """
UPDATE trading.pairs AS p SET kalshi_text_hash = k.text_hash, polymarket_text_hash = m.text_hash, updated_at = now()
FROM (SELECT s.market_id, v.text_hash FROM raw.market_state s JOIN raw.market_versions v USING (version_id)
        WHERE s.venue = 'kalshi') AS k,
    (SELECT s.market_id, v.text_hash FROM raw.market_state s JOIN raw.market_versions v USING (version_id)
        WHERE s.venue = 'polymarket') AS m
WHERE k.market_id = p.kalshi_market_id AND m.market_id = p.polymarket_market_id
    AND (p.kalshi_text_hash, p.polymarket_text_hash) IS DISTINCT FROM (k.text_hash, m.text_hash)
"""
_AUTO_DECIDE = """
INSERT INTO trading.pair_decisions (pair_id, decision, decided_by, reason, kalshi_text_hash, polymarket_text_hash,
    environment)
SELECT p.pair_id, %(decision)s, 'sandbox', %(reason)s, p.kalshi_text_hash, p.polymarket_text_hash, p.environment
FROM trading.pair_states AS p
JOIN (SELECT * FROM ({last}) AS l) AS v
    ON v.kalshi_market_id = p.kalshi_market_id AND v.polymarket_market_id = p.polymarket_market_id
WHERE p.environment = 'sandbox' AND {condition}
RETURNING pair_id
"""
_SELECT_STATES = """
SELECT p.*, k.title AS kalshi_title, m.title AS polymarket_title, v.confidence, v.judge, v.basis_risk, v.differences
FROM trading.pair_states AS p
LEFT JOIN trading.pair_verdicts AS v ON v.verdict_id = p.verdict_id
LEFT JOIN raw.market_state AS ks ON ks.venue = 'kalshi' AND ks.market_id = p.kalshi_market_id
LEFT JOIN raw.market_versions AS k ON k.version_id = ks.version_id
LEFT JOIN raw.market_state AS ms ON ms.venue = 'polymarket' AND ms.market_id = p.polymarket_market_id
LEFT JOIN raw.market_versions AS m ON m.version_id = ms.version_id
"""


def save_candidates(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> int:
    """Write candidates: (kalshi id, polymarket id, rank, score, reasons, kalshi text hash, polymarket text hash)."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_SAVE_CANDIDATE, [(*row[:4], Jsonb(list(row[4])), *row[5:]) for row in rows])
    return len(rows)


def load_candidates(connection: Connection, market_ids: Sequence[str] | None = None) -> list[Row]:
    """Return candidates whose two markets still trade, best score first; `market_ids` narrows to either side."""
    query = """
        SELECT c.* FROM trading.pair_candidates AS c
        JOIN raw.market_state AS k ON k.venue = 'kalshi' AND k.market_id = c.kalshi_market_id
        JOIN raw.market_state AS p ON p.venue = 'polymarket' AND p.market_id = c.polymarket_market_id
        WHERE k.status IN ('unopened', 'open', 'paused') AND p.status IN ('unopened', 'open', 'paused')"""
    values: list[Any] = []
    if market_ids is not None:
        query += " AND (c.kalshi_market_id = ANY(%s) OR c.polymarket_market_id = ANY(%s))"
        values = [list(market_ids), list(market_ids)]
    return connection.execute(query + " ORDER BY c.score DESC, c.candidate_id", values).fetchall()


def judged(connection: Connection, candidate_ids: Sequence[int]) -> set[tuple[int, str]]:
    """Return (candidate id, content hash) of the verdicts there are."""
    rows = connection.execute(
        "SELECT candidate_id, content_hash FROM trading.pair_verdicts WHERE candidate_id = ANY(%s)",
        (list(candidate_ids),),
    ).fetchall()
    return {(row["candidate_id"], row["content_hash"]) for row in rows}


def save_verdicts(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Write verdicts, columns as in `trading.pair_verdicts` from candidate_id to cost_usd (differences as a list)."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(_SAVE_VERDICT, [(*row[:7], Jsonb(row[7]), *row[8:]) for row in rows])


def propose_pairs(connection: Connection, environment: Environment) -> tuple[int, int]:
    """Make pairs of candidates whose last verdict says same contract; returns (new, changed). Decides nothing."""
    with connection.transaction():
        rows = connection.execute(_UPSERT_PAIRS, {"environment": environment}).fetchall()
        connection.execute(_REFRESH_TEXTS)
    new = sum(1 for row in rows if row["is_new"])
    return new, len(rows) - new


def approve_in_sandbox(connection: Connection, threshold: Decimal) -> tuple[int, int]:
    """Approve undecided sandbox pairs whose verdict reaches the threshold and take back what no longer does.

    A pair a person has decided on is never touched. Returns (approved, taken back).
    """
    approve = _AUTO_DECIDE.format(
        last=_LAST_VERDICTS,
        condition="(p.state = 'proposed' OR (p.state = 'lapsed' AND p.decided_by = 'sandbox'))"
        " AND v.same_contract AND v.verdict_id = p.verdict_id AND v.confidence >= %(threshold)s"
        " AND v.kalshi_text_hash = p.kalshi_text_hash AND v.polymarket_text_hash = p.polymarket_text_hash",
    )
    retract = _AUTO_DECIDE.format(
        last=_LAST_VERDICTS,
        condition="p.decided_by = 'sandbox' AND p.state IN ('approved', 'lapsed')"
        " AND NOT (v.same_contract AND v.confidence >= %(threshold)s)",
    )
    with connection.transaction():
        approved = connection.execute(
            approve, {"decision": "approve", "reason": "verdict above the threshold", "threshold": threshold}
        ).fetchall()
        retracted = connection.execute(
            retract, {"decision": "pause", "reason": "the last verdict does not bear it", "threshold": threshold}
        ).fetchall()
    return len(approved), len(retracted)


def list_pairs(connection: Connection, *, state: str | None = None, market_id: str | None = None) -> list[Row]:
    """Return pairs with titles, state and last verdict, most confident first; optionally of one state or market."""
    conditions, values = [], []
    if state is not None:
        conditions.append("p.state = %s")
        values.append(state)
    if market_id is not None:
        conditions.append("(p.pair_id = %s OR p.kalshi_market_id = %s OR p.polymarket_market_id = %s)")
        values += [market_id] * 3
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return connection.execute(
        _SELECT_STATES + where + " ORDER BY v.confidence DESC NULLS LAST, p.pair_id", values
    ).fetchall()


def find_pairs(connection: Connection, any_id: str) -> list[Row]:
    """Return the pairs a pair id or a market's id of any kind means."""
    found = list_pairs(connection, market_id=any_id)
    if found:
        return found
    rows = connection.execute("SELECT DISTINCT market_id FROM raw.market_ids WHERE id = %s", (any_id,)).fetchall()
    return [pair for row in rows for pair in list_pairs(connection, market_id=row["market_id"])]
