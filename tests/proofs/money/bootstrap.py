"""How much a sum over trades would differ if the same market had drawn other trades. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

DRAWS = 10_000
SEED = 20_261_201


def interval(values: Sequence[int], *, draws: int = DRAWS, seed: int = SEED, level: float = 0.95) -> tuple[int, int]:
    """Return the percentile bootstrap interval of a sum: the same one for the same values and seed.

    Args:
        values: One value per trade; (0, 0) comes of none.
        draws: How many sums of as many values, drawn with replacement.
        seed: Of the draws.
        level: How much of the sums lies inside.
    """
    if not values:
        return 0, 0
    rng = Random(seed)
    sums = sorted(sum(rng.choices(values, k=len(values))) for _ in range(draws))
    tail = (1 - level) / 2
    return sums[int(tail * draws)], sums[min(draws - 1, int((1 - tail) * draws))]
