"""Asset checks of matching: nothing lapsed may be traded, and the judge keeps within its budget."""

from functools import partial

import dagster as dg

from orchestration.resources import PlatformResource
from streams.storage.store.judge_answers import spent_today_usd
from streams.storage.store.market_groups import count_tradable_without_approval


@dg.asset_check(asset="market_groups", blocking=True)
def no_lapsed_pair_is_tradable(platform: PlatformResource) -> dg.AssetCheckResult:
    """Every tradable pair group stands on an approval of the texts and the environment as they are now.

    On paper outside of the sandbox what the judge proposes is tradable too, unless somebody has decided against it.
    """
    needs_approval = platform.settings().needs_approval
    wrong = platform.ride_out(partial(count_tradable_without_approval, needs_approval=needs_approval))
    return dg.AssetCheckResult(passed=wrong == 0, metadata={"tradable_without_approval": wrong})


@dg.asset_check(asset="pair_verdicts")
def judge_is_within_budget(platform: PlatformResource) -> dg.AssetCheckResult:
    """What the judge has cost today does not pass the day's budget."""
    limit = platform.settings().judge_daily_budget_usd
    spent = platform.ride_out(spent_today_usd)
    return dg.AssetCheckResult(passed=spent <= limit, metadata={"spent_usd": str(spent), "budget_usd": str(limit)})
