"""Answers of the language model by content hash, so that no question is asked twice."""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from pydantic import ValidationError

from orchestration.judging.llm import Answered
from orchestration.judging.schema import JudgeAnswer
from streams.storage.database import Connection
from streams.storage.store.judge_answers import (
    JudgeAnswerRow,
    find_judge_answer,
    has_failed_today,
    save_judge_answer,
)


class AnswerCache(Protocol):
    """Storage of answers."""

    def get(self, content_hash: str) -> Answered | None:
        """Return the answer to a content hash, None if there is none."""

    def put(self, content_hash: str, model: str, answered: Answered) -> None:
        """Keep an answer."""

    def has_failed_today(self, content_hash: str) -> bool:
        """Whether the model had no usable answer to a content hash on this UTC day: asking again would cost again."""

    def note_failure(self, content_hash: str, model: str, why: str, cost_usd: Decimal) -> None:
        """Keep that the model had none, with what that has cost."""


class MemoryCache:
    """Answers of this process only, for commands without a database."""

    def __init__(self) -> None:
        self._answers: dict[str, Answered] = {}
        self._failed: set[str] = set()

    def get(self, content_hash: str) -> Answered | None:
        """Return the answer, None if there is none."""
        return self._answers.get(content_hash)

    def put(self, content_hash: str, model: str, answered: Answered) -> None:
        """Keep an answer."""
        self._answers[content_hash] = answered

    def has_failed_today(self, content_hash: str) -> bool:
        """Whether the model had no usable answer to a content hash."""
        return content_hash in self._failed

    def note_failure(self, content_hash: str, model: str, why: str, cost_usd: Decimal) -> None:
        """Keep that the model had no usable answer."""
        self._failed.add(content_hash)


class DatabaseCache:
    """Answers in `trading.judge_answers`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, content_hash: str) -> Answered | None:
        """Return the answer; one that no longer fits the schema counts as absent."""
        row = find_judge_answer(self._connection, content_hash)
        if row is None:
            return None
        try:
            answer = JudgeAnswer.model_validate(row.answer)
        except ValidationError:
            return None
        return Answered(answer, row.input_tokens, row.output_tokens, row.cost_usd)

    def put(self, content_hash: str, model: str, answered: Answered) -> None:
        """Keep an answer with its tokens and cost."""
        row = JudgeAnswerRow(
            content_hash,
            model,
            answered.answer.model_dump(),
            answered.input_tokens,
            answered.output_tokens,
            answered.cost_usd,
        )
        save_judge_answer(self._connection, row)

    def has_failed_today(self, content_hash: str) -> bool:
        """Whether the model had no usable answer to a content hash on this UTC day."""
        return has_failed_today(self._connection, content_hash)

    def note_failure(self, content_hash: str, model: str, why: str, cost_usd: Decimal) -> None:
        """Keep that the model had no usable answer, in the place of one that is none."""
        save_judge_answer(self._connection, JudgeAnswerRow(content_hash, model, {"failed": why}, 0, 0, cost_usd))
