"""Candidates, verdicts and pairs; pairs that the sandbox approves by itself.

What people decide on them is a decision on a group: `streams.storage.store.decisions.group_decisions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.market.identity import Environment
from streams.market.trading import PairState
from streams.storage.database import Connection, fetch_all, fetch_int, fetch_one, read_clock

_SAVE_CANDIDATE = """
INSERT INTO trading.pair_candidates (kalshi_market_id, polymarket_market_id, rank, score, reasons, kalshi_text_hash,
    polymarket_text_hash, first_seen_at, last_seen_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (kalshi_market_id, polymarket_market_id) DO UPDATE SET rank = excluded.rank, score = excluded.score,
    reasons = excluded.reasons, kalshi_text_hash = excluded.kalshi_text_hash,
    polymarket_text_hash = excluded.polymarket_text_hash, last_seen_at = excluded.last_seen_at
"""
_SAVE_VERDICT = """
INSERT INTO trading.pair_verdicts (candidate_id, content_hash, judge, relation, same_contract, polarity, confidence,
    differences, basis_risk, explanation, is_cached, input_tokens, output_tokens, cost_usd, judged_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
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
    kalshi_text_hash, polymarket_text_hash, environment, created_at, updated_at)
SELECT left(encode(sha256(convert_to(kalshi_market_id || '|' || polymarket_market_id, 'UTF8')), 'hex'), 16),
    kalshi_market_id, polymarket_market_id, relation, polarity, verdict_id, kalshi_text_hash, polymarket_text_hash,
    %(environment)s, %(now)s, %(now)s
FROM ({_LAST_VERDICTS}) AS last
WHERE same_contract AND polarity IS NOT NULL
ON CONFLICT (kalshi_market_id, polymarket_market_id) DO UPDATE SET relation = excluded.relation,
    polarity = excluded.polarity, verdict_id = excluded.verdict_id, kalshi_text_hash = excluded.kalshi_text_hash,
    polymarket_text_hash = excluded.polymarket_text_hash, environment = excluded.environment,
    updated_at = excluded.updated_at
WHERE (p.relation, p.polarity, p.verdict_id, p.kalshi_text_hash, p.polymarket_text_hash, p.environment)
    IS DISTINCT FROM (excluded.relation, excluded.polarity, excluded.verdict_id, excluded.kalshi_text_hash,
    excluded.polymarket_text_hash, excluded.environment)
RETURNING pair_id, (xmax = 0) AS is_new
"""
_REFRESH_TEXTS = """
UPDATE trading.pairs AS p SET kalshi_text_hash = k.text_hash, polymarket_text_hash = m.text_hash, updated_at = %(now)s
FROM (SELECT s.market_id, v.text_hash FROM raw.market_state s JOIN raw.market_versions v USING (version_id)
        WHERE s.venue = 'kalshi') AS k,
    (SELECT s.market_id, v.text_hash FROM raw.market_state s JOIN raw.market_versions v USING (version_id)
        WHERE s.venue = 'polymarket') AS m
WHERE k.market_id = p.kalshi_market_id AND m.market_id = p.polymarket_market_id
    AND (p.kalshi_text_hash, p.polymarket_text_hash) IS DISTINCT FROM (k.text_hash, m.text_hash)
"""
_AUTO_DECIDE = """
INSERT INTO trading.group_decisions (group_id, kind, decision, decided_by, reason, market_hashes, terms, environment,
    decided_at)
SELECT 'pair:' || p.pair_id, 'pair', %(decision)s, 'sandbox', %(reason)s, p.market_hashes, p.terms, p.environment,
    %(at)s
FROM trading.pair_states AS p
JOIN (SELECT * FROM ({last}) AS l) AS v
    ON v.kalshi_market_id = p.kalshi_market_id AND v.polymarket_market_id = p.polymarket_market_id
WHERE p.environment = 'sandbox' AND {condition}
RETURNING group_id
"""
_SELECT_STATES = """
SELECT p.pair_id, p.state, p.kalshi_market_id, p.polymarket_market_id, k.title AS kalshi_title,
    m.title AS polymarket_title, p.relation, p.polarity, v.confidence, v.judge, v.basis_risk, p.decided_by,
    p.decided_at, p.decision_reason, p.environment
FROM trading.pair_states AS p
LEFT JOIN trading.pair_verdicts AS v ON v.verdict_id = p.verdict_id
LEFT JOIN raw.market_state AS ks ON ks.venue = 'kalshi' AND ks.market_id = p.kalshi_market_id
LEFT JOIN raw.market_versions AS k ON k.version_id = ks.version_id
LEFT JOIN raw.market_state AS ms ON ms.venue = 'polymarket' AND ms.market_id = p.polymarket_market_id
LEFT JOIN raw.market_versions AS m ON m.version_id = ms.version_id
"""


@dataclass(frozen=True, slots=True)
class NewCandidate:
    """Two markets that may be one contract, with the texts they were found by."""

    kalshi_market_id: str
    polymarket_market_id: str
    rank: int
    score: Decimal
    reasons: Sequence[str]
    kalshi_text_hash: str
    polymarket_text_hash: str


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A candidate that can be judged."""

    candidate_id: int
    kalshi_market_id: str
    polymarket_market_id: str


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """A judge's verdict on a candidate; `differences` is JSON."""

    candidate_id: int
    content_hash: str
    judge: str
    relation: str
    same_contract: bool
    polarity: str | None
    confidence: Decimal
    differences: Sequence[JsonDocument]
    basis_risk: str
    explanation: str
    is_cached: bool
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What people see of a row of `trading.pair_verdicts`; `differences` is JSON."""

    judge: str
    relation: str
    polarity: str | None
    same_contract: bool
    confidence: Decimal
    differences: list[Any]
    basis_risk: str
    explanation: str
    judged_at: datetime


@dataclass(frozen=True, slots=True)
class PairRow:
    """A pair with its state, titles, last verdict and last decision; None where there is none."""

    pair_id: str
    state: PairState
    kalshi_market_id: str
    polymarket_market_id: str
    kalshi_title: str | None
    polymarket_title: str | None
    relation: str
    polarity: Literal["aligned", "inverted"]
    confidence: Decimal | None
    judge: str | None
    basis_risk: str | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    environment: str


def save_candidates(connection: Connection, candidates: Sequence[NewCandidate]) -> int:
    """Write candidates; those that are known get their new rank, score, reasons and texts. Returns how many."""
    now = read_clock(connection)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            _SAVE_CANDIDATE,
            [
                (c.kalshi_market_id, c.polymarket_market_id, c.rank, c.score, Jsonb(list(c.reasons)),
                 c.kalshi_text_hash, c.polymarket_text_hash, now, now)
                for c in candidates
            ],
        )  # fmt: skip
    return len(candidates)


def load_candidates(connection: Connection, market_ids: Sequence[str] | None = None) -> list[CandidateRow]:
    """Return candidates whose two markets still trade, best score first; `market_ids` narrows to either side."""
    return fetch_all(
        connection,
        CandidateRow,
        """SELECT c.candidate_id, c.kalshi_market_id, c.polymarket_market_id FROM trading.pair_candidates AS c
           JOIN raw.market_state AS k ON k.venue = 'kalshi' AND k.market_id = c.kalshi_market_id
           JOIN raw.market_state AS p ON p.venue = 'polymarket' AND p.market_id = c.polymarket_market_id
           WHERE k.status IN ('unopened', 'open', 'paused') AND p.status IN ('unopened', 'open', 'paused')
             AND (%(ids)s::text[] IS NULL OR c.kalshi_market_id = ANY(%(ids)s::text[])
                 OR c.polymarket_market_id = ANY(%(ids)s::text[]))
           ORDER BY c.score DESC, c.candidate_id""",
        {"ids": None if market_ids is None else list(market_ids)},
    )


def judged(connection: Connection, candidate_ids: Sequence[int]) -> set[tuple[int, str]]:
    """Return (candidate id, content hash) of the verdicts there are."""
    rows = connection.execute(
        "SELECT candidate_id, content_hash FROM trading.pair_verdicts WHERE candidate_id = ANY(%s)",
        (list(candidate_ids),),
    ).fetchall()
    return {(row["candidate_id"], row["content_hash"]) for row in rows}


def save_verdicts(connection: Connection, verdicts: Sequence[NewVerdict]) -> None:
    """Write verdicts; one that is there for the same candidate and content stays."""
    now = read_clock(connection)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            _SAVE_VERDICT,
            [
                (v.candidate_id, v.content_hash, v.judge, v.relation, v.same_contract, v.polarity, v.confidence,
                 Jsonb(list(v.differences)), v.basis_risk, v.explanation, v.is_cached, v.input_tokens,
                 v.output_tokens, v.cost_usd, now)
                for v in verdicts
            ],
        )  # fmt: skip


def find_verdict(connection: Connection, pair_id: str) -> VerdictRow | None:
    """Return the verdict a pair rests on; None when there is no such pair."""
    return fetch_one(
        connection,
        VerdictRow,
        """SELECT v.judge, v.relation, v.polarity, v.same_contract, v.confidence, v.differences, v.basis_risk,
               v.explanation, v.judged_at
           FROM trading.pairs AS p JOIN trading.pair_verdicts AS v ON v.verdict_id = p.verdict_id
           WHERE p.pair_id = %s""",
        (pair_id,),
    )


def count_candidates(connection: Connection) -> int:
    """Return how many candidates were found so far."""
    return fetch_int(connection, "SELECT count(*) FROM trading.pair_candidates")


def count_verdicts(connection: Connection) -> int:
    """Return how many verdicts were given so far."""
    return fetch_int(connection, "SELECT count(*) FROM trading.pair_verdicts")


def propose_pairs(connection: Connection, environment: Environment) -> tuple[int, int]:
    """Make pairs of candidates whose last verdict says same contract; returns (new, changed). Decides nothing."""
    now = read_clock(connection)
    with connection.transaction():
        rows = connection.execute(_UPSERT_PAIRS, {"environment": environment, "now": now}).fetchall()
        connection.execute(_REFRESH_TEXTS, {"now": now})
    new = sum(1 for row in rows if row["is_new"])
    return new, len(rows) - new


def approve_in_sandbox(connection: Connection, threshold: Decimal, at: datetime) -> tuple[int, int]:
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
            approve, {"decision": "approve", "reason": "verdict above the threshold", "threshold": threshold, "at": at}
        ).fetchall()
        retracted = connection.execute(
            retract,
            {"decision": "pause", "reason": "the last verdict does not bear it", "threshold": threshold, "at": at},
        ).fetchall()
    return len(approved), len(retracted)


def list_pairs(connection: Connection, *, state: str | None = None, market_id: str | None = None) -> list[PairRow]:
    """Return pairs, most confident first; optionally of one state, or of one market or pair id."""
    return fetch_all(
        connection,
        PairRow,
        _SELECT_STATES
        + """WHERE (%(state)s::text IS NULL OR p.state = %(state)s)
    AND (%(id)s::text IS NULL OR %(id)s IN (p.pair_id, p.kalshi_market_id, p.polymarket_market_id))
ORDER BY v.confidence DESC NULLS LAST, p.pair_id""",
        {"state": state, "id": market_id},
    )


def find_pairs(connection: Connection, any_id: str) -> list[PairRow]:
    """Return the pairs a pair id or a market's id of any kind means."""
    found = list_pairs(connection, market_id=any_id)
    if found:
        return found
    rows = connection.execute("SELECT DISTINCT market_id FROM raw.market_ids WHERE id = %s", (any_id,)).fetchall()
    return [pair for row in rows for pair in list_pairs(connection, market_id=row["market_id"])]


def count_pairs_by_state(connection: Connection) -> dict[PairState, int]:
    """Return how many pairs there are in each state, states in alphabetical order."""
    rows = connection.execute(
        "SELECT state, count(*) AS n FROM trading.pair_states GROUP BY state ORDER BY state"
    ).fetchall()
    return {row["state"]: row["n"] for row in rows}


def has_pair(connection: Connection, pair_id: str) -> bool:
    """Whether there is a pair of this id."""
    return connection.execute("SELECT FROM trading.pairs WHERE pair_id = %s", (pair_id,)).fetchone() is not None


# -- how far matching has read -----------------------------------------------------------------------------------------


def read_cursor(connection: Connection, stage: str) -> int | None:
    """Return the last version of `raw.market_versions` a stage of matching has read, None if it never ran."""
    row = connection.execute("SELECT version_id FROM trading.matching_cursors WHERE stage = %s", (stage,)).fetchone()
    return int(row["version_id"]) if row else None


def write_cursor(connection: Connection, stage: str, version_id: int) -> None:
    """Note how far a stage of matching has read."""
    connection.execute(
        "INSERT INTO trading.matching_cursors (stage, version_id, updated_at) VALUES (%s, %s, %s)"
        " ON CONFLICT (stage) DO UPDATE SET version_id = excluded.version_id, updated_at = excluded.updated_at",
        (stage, version_id, read_clock(connection)),
    )
