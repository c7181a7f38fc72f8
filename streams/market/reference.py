"""What a venue streams beside its markets: reference prices and the state of games. No order depends on any of it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class ReferencePrice:
    """A price of something that markets settle on, as the service states it.

    Attributes:
        value: The most exact form stated.
        at_ms: When the price was that, by the source.
    """

    topic: str
    symbol: str
    value: Decimal
    at_ms: int


@dataclass(frozen=True, slots=True)
class GameState:
    """A running or ended game."""

    game_id: str
    league: str
    home_team: str
    away_team: str
    status: str
    score: str
    period: str
    is_live: bool
    has_ended: bool
    payload: Any = None
