select
    execution_id,
    -sum(cash_usd) filter (where kind = 'fill') as cost_usd,
    -coalesce(sum(cash_usd) filter (where kind in ('fee', 'rebate')), 0) as fees_usd,
    coalesce(sum(cash_usd) filter (where kind = 'settlement'), 0) as settlement_usd,
    sum(cash_usd) as cash_change_usd
from {{ ref('stg_trading__ledger') }}
where execution_id is not null
group by execution_id
