"""What the API answers of market groups, and a person's decision on one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas import FOR, Answer, MarketPair
from streams.storage.store.decisions.group_decisions import GroupDecision


class GroupState(Answer):
    """One market group of any kind with its state by the last decision; a pair stands there as "pair:" and its id."""

    group_id: str
    kind: str
    title: str
    state: str
    text_hashes: dict[str, str | None] = Field(description='Of the texts of its markets, by "venue:market_id".')
    terms: Any = Field(description="Relation and polarity of a pair, the allowed outcomes of other groups.")
    environment: str
    is_tradable: bool
    reason: str
    decided_by: str | None
    decided_at: datetime | None


class GroupText(Answer):
    """The texts of one market of a group as its venue states them now."""

    venue: str
    market_id: str
    title: str
    subtitle: str
    event_title: str
    rules: str
    yes_means: str
    outcomes: list[str]
    close_time: datetime | None
    text_hash: str


class GroupReview(BaseModel):
    """Everything to decide one group by."""

    group: GroupState
    texts: list[GroupText]


class DecisionBody(BaseModel):
    """A person's decision on a pair or group. With hashes it is refused if the texts changed since they were read."""

    model_config = ConfigDict(extra="forbid")

    decision: GroupDecision
    who: str | None = Field(default=None, description=FOR)
    reason: str = Field(default="", max_length=1000)
    kalshi_text_hash: str | None = Field(default=None, max_length=64)
    polymarket_text_hash: str | None = Field(default=None, max_length=64)
    text_hashes: dict[str, str] | None = Field(
        default=None, max_length=400, description='Of all markets of a group, by "venue:market_id".'
    )
    seen_state: str | None = Field(
        default=None, max_length=20, description="Refused with 409 unless the pair or group is in this state."
    )


class DecisionAnswer(BaseModel):
    """The decision as written, and what it was made on: `pair` where that is a pair."""

    decision_id: int
    pair: MarketPair | None
    group: GroupState
