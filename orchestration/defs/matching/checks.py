"""Asset checks of matching: nothing lapsed may be traded, and the judge keeps within its budget."""

import dagster as dg

from orchestration.judging.budget import spent_today_usd
from orchestration.resources import PlatformResource


@dg.asset_check(asset="market_groups", blocking=True)
def no_lapsed_pair_is_tradable(platform: PlatformResource) -> dg.AssetCheckResult:
    """Every tradable pair group stands on an approval of the texts and the environment as they are now."""
    with platform.connect() as connection:
        row = connection.execute(
            "SELECT count(*) AS wrong FROM trading.groups AS g"
            " LEFT JOIN trading.pair_states AS p ON g.group_id = 'pair:' || p.pair_id"
            " WHERE g.kind = 'pair' AND g.is_tradable AND g.ended_at IS NULL AND p.state IS DISTINCT FROM 'approved'"
        ).fetchone()
    wrong = int(row["wrong"]) if row else 0
    return dg.AssetCheckResult(passed=wrong == 0, metadata={"tradable_without_approval": wrong})


@dg.asset_check(asset="pair_verdicts")
def judge_is_within_budget(platform: PlatformResource) -> dg.AssetCheckResult:
    """What the judge has cost today does not pass the day's budget."""
    limit = platform.settings().judge_daily_budget_usd
    with platform.connect() as connection:
        spent = spent_today_usd(connection)
    return dg.AssetCheckResult(passed=spent <= limit, metadata={"spent_usd": str(spent), "budget_usd": str(limit)})
