"""Responses of the language model by content, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from psycopg.types.json import Jsonb

from streams.market.documents import JsonDocument
from streams.storage.database import Connection, fetch_one, read_clock

_TODAY = "answered_at >= date_trunc('day', %(now)s AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'"


@dataclass(frozen=True, slots=True)
class JudgeAnswerRow:
    """A row of `trading.judge_answers`; `answer` is the model's JSON, or {"failed": why} where it gave no verdict."""

    content_hash: str
    model: str
    answer: JsonDocument
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


def find_judge_answer(connection: Connection, content_hash: str) -> JudgeAnswerRow | None:
    """Return the stored response to a content hash, None if there is none."""
    return fetch_one(
        connection,
        JudgeAnswerRow,
        """SELECT content_hash, model, answer, input_tokens, output_tokens, cost_usd
           FROM trading.judge_answers WHERE content_hash = %s""",
        (content_hash,),
    )


def save_judge_answer(connection: Connection, row: JudgeAnswerRow) -> None:
    """Store a response; a former one to the same content is replaced."""
    connection.execute(
        "INSERT INTO trading.judge_answers (content_hash, model, answer, input_tokens, output_tokens, cost_usd,"
        " answered_at) VALUES (%s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (content_hash) DO UPDATE SET answer = excluded.answer,"
        " input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,"
        " cost_usd = excluded.cost_usd, answered_at = excluded.answered_at",
        (
            row.content_hash,
            row.model,
            Jsonb(row.answer),
            row.input_tokens,
            row.output_tokens,
            row.cost_usd,
            read_clock(connection),
        ),
    )


def has_failed_today(connection: Connection, content_hash: str) -> bool:
    """Return whether the model gave no verdict on a content hash on this UTC day."""
    row = connection.execute(
        f"SELECT 1 AS x FROM trading.judge_answers WHERE content_hash = %(hash)s AND answer ? 'failed' AND {_TODAY}",
        {"hash": content_hash, "now": read_clock(connection)},
    ).fetchone()
    return row is not None


def spent_today_usd(connection: Connection) -> Decimal:
    """Return what responses of this UTC day have cost."""
    row = connection.execute(
        f"SELECT coalesce(sum(cost_usd), 0) AS spent FROM trading.judge_answers WHERE {_TODAY}",
        {"now": read_clock(connection)},
    ).fetchone()
    return Decimal(row["spent"]) if row else Decimal(0)
