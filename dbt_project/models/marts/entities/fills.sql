select
    f.fill_id,
    f.order_id,
    o.execution_id,
    f.venue,
    f.market_id,
    f.outcome,
    f.action,
    f.contracts,
    f.cash_usd,
    f.fee_usd,
    f.state,
    f.filled_at,
    f.environment
from {{ ref('stg_trading__fills') }} as f
inner join {{ ref('stg_trading__orders') }} as o on o.order_id = f.order_id
