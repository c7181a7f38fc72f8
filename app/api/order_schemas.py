"""What the API takes and gives of orders whose fate is not known."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas import FOR


class ResolveBody(BaseModel):
    """What became of an order of unknown fate, and where it was seen."""

    model_config = ConfigDict(extra="forbid")

    filled: Decimal = Field(ge=0, description="Contracts that have filled in all; 0: it never arrived.")
    price: Decimal | None = Field(
        default=None, gt=0, lt=1, description="Their average price in dollars; the order's limit if left out."
    )
    who: str | None = Field(default=None, description=FOR)
    reason: str = Field(min_length=1, max_length=1000, description="Where it was seen.")


class ResolveAnswer(BaseModel):
    """The command that the next settlement cycle obeys."""

    command_id: int
    order_id: int


class UnknownOrderView(BaseModel):
    """An order that has left and on which its venue has not said its last word."""

    model_config = ConfigDict(from_attributes=True)

    order_id: int
    execution_id: int
    trade_state: str
    venue: str
    market_id: str
    outcome: str
    action: str
    contracts: Decimal
    limit_price: Decimal
    filled: Decimal
    state: str
    is_seen: bool = Field(description="The venue has shown it, or said that it has it.")
    sent_at: datetime
    reason: str
