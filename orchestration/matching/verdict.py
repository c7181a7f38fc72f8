"""What any judge says about two listings. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, get_args

from streams.market.listing import Listing, text_hash

Relation = Literal[
    "equivalent", "inverted", "a_implies_b", "b_implies_a", "mutually_exclusive", "related", "unrelated", "uncertain"
]
Polarity = Literal["aligned", "inverted"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)


@dataclass(frozen=True, slots=True)
class Difference:
    """One clause in which two texts differ, both quoted. `is_decisive`: the markets can settle differently."""

    clause: str
    a: str
    b: str
    is_decisive: bool

    def as_json(self) -> dict[str, Any]:
        """Return the form that is stored and printed."""
        return {"clause": self.clause, "a": self.a, "b": self.b, "is_decisive": self.is_decisive}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's answer; A is the Kalshi market, B the Polymarket one. `confidence` lies between 0 and 1."""

    relation: Relation
    polarity: Polarity | None
    confidence: Decimal
    judge: str
    differences: tuple[Difference, ...] = ()
    basis_risk: str = ""
    explanation: str = ""
    is_cached: bool = False
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: Decimal = Decimal(0)

    @property
    def same_contract(self) -> bool:
        """Whether one market can replace the other, as it is or with YES and NO exchanged."""
        return self.relation in ("equivalent", "inverted")


def content_hash(a: Listing, b: Listing, judge_version: str) -> str:
    """Return 32 hex digits over both texts and whatever else decides the answer (judge, model, prompt)."""
    parts = [text_hash(a), text_hash(b), str(a.close_time), str(b.close_time), judge_version]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def pair_id(kalshi_market_id: str, polymarket_market_id: str) -> str:
    """Return the 16 hex digits that name a pair."""
    return hashlib.sha256(f"{kalshi_market_id}|{polymarket_market_id}".encode()).hexdigest()[:16]
