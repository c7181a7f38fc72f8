-- The sums follow each fact as it is written; what has not been added up yet is added up here.
select
    day,
    mode,
    sum(trades)::bigint as trades,
    sum(settled_trades)::bigint as settled_trades,
    sum(losing_trades)::bigint as losing_trades,
    sum(realised_pnl_usd) as realised_pnl_usd,
    sum(fees_usd) as fees_usd,
    sum(cash_change_usd) as cash_change_usd,
    sum(kalshi_cash_change_usd) as kalshi_cash_change_usd,
    sum(polymarket_cash_change_usd) as polymarket_cash_change_usd,
    sum(winning_trades)::bigint as winning_trades
from {{ ref('stg_trading__day_totals') }}
group by day, mode
