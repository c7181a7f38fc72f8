"""Answers of the language model by content hash, so that no question is asked twice."""

from __future__ import annotations

from typing import Protocol

from psycopg.types.json import Jsonb
from pydantic import ValidationError

from orchestration.judging.llm import Answered
from orchestration.judging.schema import JudgeAnswer
from streams.storage.database import Connection


class AnswerCache(Protocol):
    """Storage of answers."""

    def get(self, content_hash: str) -> Answered | None:
        """Return the answer to a content hash, None if there is none."""

    def put(self, content_hash: str, model: str, answered: Answered) -> None:
        """Keep an answer."""


class MemoryCache:
    """Answers of this process only, for commands without a database."""

    def __init__(self) -> None:
        self._answers: dict[str, Answered] = {}

    def get(self, content_hash: str) -> Answered | None:
        """Return the answer, None if there is none."""
        return self._answers.get(content_hash)

    def put(self, content_hash: str, model: str, answered: Answered) -> None:
        """Keep an answer."""
        self._answers[content_hash] = answered


class DatabaseCache:
    """Answers in `trading.judge_answers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, content_hash: str) -> Answered | None:
        """Return the answer; one that no longer fits the schema counts as absent."""
        row = self._connection.execute(
            "SELECT * FROM trading.judge_answers WHERE content_hash = %s", (content_hash,)
        ).fetchone()
        if row is None:
            return None
        try:
            answer = JudgeAnswer.model_validate(row["answer"])
        except ValidationError:
            return None
        return Answered(answer, row["input_tokens"], row["output_tokens"], row["cost_usd"])

    def put(self, content_hash: str, model: str, answered: Answered) -> None:
        """Keep an answer with its tokens and cost."""
        self._connection.execute(
            "INSERT INTO trading.judge_answers (content_hash, model, answer, input_tokens, output_tokens, cost_usd)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (content_hash) DO UPDATE SET answer = excluded.answer,"
            " input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,"
            " cost_usd = excluded.cost_usd, answered_at = now()",
            (
                content_hash,
                model,
                Jsonb(answered.answer.model_dump()),
                answered.input_tokens,
                answered.output_tokens,
                answered.cost_usd,
            ),
        )
