"""Jobs of discovery and matching: the light refresh of what is new, and the full one."""

from __future__ import annotations

import dagster as dg

from orchestration.tags import BATCH, REFRESH

_LISTINGS = ("kalshi_listings", "polymarket_listings")
_MATCHING = ("pair_candidates", "pair_verdicts", "pairs", "market_groups")
_CHAIN = dg.AssetSelection.assets(*_LISTINGS, *_MATCHING)


def run_config(*, full: bool) -> dg.RunConfig:
    """Return the configuration of the chain: everything anew, or only what is new."""
    ops: dict[str, dict[str, object]] = {name: {"config": {"full": full}} for name in _LISTINGS}
    ops |= {name: {"config": {"only_new": not full}} for name in ("pair_candidates", "pair_verdicts")}
    return dg.RunConfig(ops=ops)


refresh_pairs = dg.define_asset_job(
    "refresh_pairs",
    selection=_CHAIN,
    config=run_config(full=False),
    tags=REFRESH,
    description="New and changed markets through discovery, candidates, verdicts, pairs and groups, in seconds.",
)

match_everything = dg.define_asset_job(
    "match_everything",
    selection=_CHAIN,
    config=run_config(full=True),
    tags=BATCH,
    description="The full sweep of both venues and the matching of all open markets.",
)
