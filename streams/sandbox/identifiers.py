"""Ids in the venues' shapes, derived by hash so that the same words always give the same ids."""

from __future__ import annotations

import hashlib


def polymarket_ids(seed: str) -> tuple[str, dict[str, str]]:
    """Return (condition id, {"gamma_id", "yes_token", "no_token"}) for a slug.

    The condition id is 0x and 64 hex digits, a token id a uint256 in decimal, the gamma id digits.
    """
    condition_id = "0x" + _digest("condition", seed).hex()
    return condition_id, {
        "gamma_id": str(1_000_000_000 + int.from_bytes(_digest("gamma", seed)[:4])),
        "yes_token": str(int.from_bytes(_digest("token-yes", seed))),
        "no_token": str(int.from_bytes(_digest("token-no", seed))),
    }


def question_id(seed: str) -> str:
    """Return a Polymarket question id (0x and 64 hex digits)."""
    return "0x" + _digest("question", seed).hex()


def _digest(kind: str, seed: str) -> bytes:
    return hashlib.sha256(f"{kind}:{seed}".encode()).digest()
