"""Shapes of the routes of limits and of what waits for a person."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas import FOR


class LimitInForce(BaseModel):
    """A limit of the gate; `set_by` is null where it has its first value."""

    name: str
    value: str
    unit: str
    meaning: str
    set_by: str | None
    set_at: datetime | None
    reason: str


class LimitBody(BaseModel):
    """A new value of a limit, in its unit."""

    model_config = ConfigDict(extra="forbid")

    value: Decimal
    who: str | None = Field(default=None, description=FOR)
    reason: str = Field(default="", max_length=1000)
    seen_value: Decimal | None = Field(
        default=None, description="Refused with 409 unless this is the value in force, where somebody has set one."
    )


class LimitAnswer(BaseModel):
    """The limit as written."""

    limit_id: int
    name: str
    value: str
    set_by: str


class WaitingThing(BaseModel):
    """Something that waits for a person, with the command that ends it."""

    model_config = ConfigDict(from_attributes=True)

    kind: str
    subject: str
    since: datetime
    what: str
    act: str


class ReleaseBody(BaseModel):
    """Up to which edge per contract, in dollars, an opportunity may be taken."""

    model_config = ConfigDict(extra="forbid")

    up_to: Decimal
    who: str | None = Field(default=None, description=FOR)
    reason: str = Field(default="", max_length=1000)


class ReleaseAnswer(BaseModel):
    """The release as written."""

    release_id: int
    signal_id: int
