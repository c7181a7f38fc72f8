"""Ids in the venues' shapes, derived by hash so that the same words always give the same ids."""

from __future__ import annotations

import hashlib
from typing import NamedTuple


class PolymarketIds(NamedTuple):
    """The ids of one Polymarket market: 0x and 64 hex digits, digits, and two uint256 in decimal."""

    condition_id: str
    gamma_id: str
    yes_token: str
    no_token: str


def polymarket_ids(seed: str) -> PolymarketIds:
    """Return the ids for a seed text, usually the slug."""
    return PolymarketIds(
        "0x" + _digest("condition", seed).hex(),
        str(1_000_000_000 + int.from_bytes(_digest("gamma", seed)[:4])),
        str(int.from_bytes(_digest("token-yes", seed))),
        str(int.from_bytes(_digest("token-no", seed))),
    )


def _digest(kind: str, seed: str) -> bytes:
    return hashlib.sha256(f"{kind}:{seed}".encode()).digest()
