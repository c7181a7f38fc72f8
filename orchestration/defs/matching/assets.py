"""Matching: candidates, verdicts, pairs and groups of related markets as assets."""

import dagster as dg

from orchestration.pairing.steps import build_groups, judge_candidates, refresh_candidates, update_pairs
from orchestration.resources import PlatformResource
from orchestration.runtime.failures.retries import retried
from streams.inert import in_markdown

OWNERS = ["team:matching"]
KINDS = {"python", "postgres"}


class MatchingConfig(dg.Config):
    """What is looked at: everything, or only markets listed or changed since the last look."""

    only_new: bool = False


@dg.asset(group_name="matching", owners=OWNERS, kinds=KINDS, deps=["kalshi_listings", "polymarket_listings"])
@retried
def pair_candidates(config: MatchingConfig, platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Two markets that blocking put together: one row per (kalshi_market_id, polymarket_market_id)."""
    found = platform.ride_out(
        lambda connection: refresh_candidates(connection, platform.settings(), only_new=config.only_new)
    )
    return dg.MaterializeResult(
        metadata={
            "candidates": found.candidates,
            "kalshi_markets": found.kalshi,
            "polymarket_markets": found.polymarket,
            "all_with_all": found.kalshi * found.polymarket,
        }
    )


@dg.asset(group_name="matching", owners=OWNERS, kinds={*KINDS, "openai"}, deps=[pair_candidates])
@retried
def pair_verdicts(config: MatchingConfig, platform: PlatformResource) -> dg.MaterializeResult[None]:
    """A judge's answer on a candidate's texts: one row per (candidate_id, content_hash)."""
    summary = platform.ride_out(
        lambda connection: judge_candidates(connection, platform.settings(), only_new=config.only_new)
    )
    relations = "\n".join(
        f"| {in_markdown(relation)} | {count} |" for relation, count in summary.by_relation.most_common()
    )
    return dg.MaterializeResult(
        metadata={
            "judge": summary.judge,
            "judged": summary.judged,
            "from_cache": summary.cached,
            "failed": summary.failed,
            "postponed_by_budget": summary.postponed,
            "input_tokens": summary.input_tokens,
            "output_tokens": summary.output_tokens,
            "cost_usd": str(summary.cost_usd),
            "relations": dg.MetadataValue.md(f"| relation | verdicts |\n|---|---|\n{relations}"),
        }
    )


@dg.asset(group_name="matching", owners=OWNERS, kinds=KINDS, deps=[pair_verdicts])
@retried
def pairs(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Two markets some judge called the same contract: one row per pair. People decide; the sandbox approves itself."""
    found = platform.ride_out(lambda connection: update_pairs(connection, platform.settings()))
    return dg.MaterializeResult(
        metadata={
            "new": found.new,
            "changed": found.changed,
            "approved_automatically": found.approved,
            "taken_back": found.retracted,
            **{f"state_{state}": count for state, count in found.by_state.items()},
        }
    )


@dg.asset(group_name="matching", owners=OWNERS, kinds=KINDS, deps=[pairs])
@retried
def market_groups(platform: PlatformResource) -> dg.MaterializeResult[None]:
    """Related markets with their possible outcomes: one row of trading.groups per pair, strike ladder or event."""
    kinds, changed, ended = platform.ride_out(lambda connection: build_groups(connection, platform.settings()))
    return dg.MaterializeResult(
        metadata={"changed": changed, "ended": ended, **{f"kind_{kind}": count for kind, count in kinds.items()}}
    )
