"""Kalshi's exchange shards: where a market trades, and how an account's cash is spread over them.

Since August 2026 collateral is checked per shard: 0 default, 1 combos, 2 crypto and commodities, 3 tennis, baseball and
basketball. All markets of an event share a shard. Polymarket has shard 0 only.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.market.identity import Venue
from streams.sandbox.core.model import CatalogueEvent, CatalogueMarket

EVERYWHERE: Mapping[int, int] = {0: 40, 1: 20, 2: 20, 3: 20}
"""Percent of the cash per shard of an account that asked for nothing else."""
REBALANCE_MS = 10_000
CENTICENT_E6 = 100
_CRYPTO_CATEGORIES = frozenset({"crypto", "commodities"})
_BALL_SERIES = ("KXATP", "KXWTA", "KXTENNIS", "KXMLB", "KXNBA", "KXWNBA", "KXNCAAMB", "KXNCAAWB")


def shard_of(event: CatalogueEvent, market: CatalogueMarket) -> int:
    """Return a market's shard: what the catalogue says (`extra["exchange_index"]`), else by category."""
    if market.venue is not Venue.KALSHI:
        return 0
    said = market.extra.get("exchange_index", event.extra.get("exchange_index"))
    if said is not None:
        return int(said)
    if (event.category or market.category).lower() in _CRYPTO_CATEGORIES:
        return 2
    return 3 if market.series_id.startswith(_BALL_SERIES) else 0


def split_by_share(cash_e6: int, percents: Mapping[int, int]) -> dict[int, int]:
    """Divide cash by percents in whole centicents; what is left over is the first shard's."""
    parts = {shard: cash_e6 * percent // 100 // CENTICENT_E6 * CENTICENT_E6 for shard, percent in percents.items()}
    first = min(percents)
    parts[first] += cash_e6 - sum(parts.values())
    return parts


def rebalanced(cash: Mapping[int, int], reserved: Mapping[int, int], percents: Mapping[int, int]) -> dict[int, int]:
    """Return the cash per shard after moving it towards its allocation; reserved cash never leaves its shard.

    Args:
        cash: What each shard holds (1/1,000,000 dollar).
        reserved: What resting orders of each shard may still need.
        percents: The allocation; shards it does not name give up what is not reserved.
    """
    pinned: dict[int, int] = {
        shard: min(held, reserved.get(shard, 0)) for shard, held in cash.items() if shard not in percents
    }
    free = dict(percents)
    total = sum(cash.values())
    while free and sum(free.values()):
        share = sum(free.values())
        rest = total - sum(pinned.values())
        target = {shard: rest * percent // share // CENTICENT_E6 * CENTICENT_E6 for shard, percent in free.items()}
        short = [shard for shard in free if target[shard] < min(cash.get(shard, 0), reserved.get(shard, 0))]
        if not short:
            target[min(free)] += rest - sum(target.values())
            return {**pinned, **target}
        for shard in short:
            pinned[shard] = min(cash.get(shard, 0), reserved.get(shard, 0))
            del free[shard]
    return dict(cash)
