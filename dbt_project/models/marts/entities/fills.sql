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
    f.environment,
    case when f.state = 'confirmed' then extract(epoch from f.venue_updated_at - f.venue_matched_at) end
        as confirmed_after_s,
    f.computed_fee_usd
from {{ ref('stg_trading__fills') }} as f
inner join {{ ref('stg_trading__orders') }} as o on o.order_id = f.order_id
