with filled as (
    select
        o.execution_id,
        o.leg_no,
        o.venue,
        o.market_id,
        o.outcome,
        coalesce(sum(f.contracts) filter (where f.action = 'buy'), 0) as bought_contracts,
        coalesce(sum(f.contracts) filter (where f.action = 'sell'), 0) as sold_contracts,
        coalesce(sum(f.cash_usd) filter (where f.action = 'buy'), 0) as paid_usd,
        coalesce(sum(f.cash_usd) filter (where f.action = 'sell'), 0) as received_usd,
        coalesce(sum(f.fee_usd), 0) as fees_usd,
        count(distinct o.order_id) as orders
    from {{ ref('stg_trading__orders') }} as o
    left join {{ ref('stg_trading__fills') }} as f on f.order_id = o.order_id and f.state <> 'failed'
    group by o.execution_id, o.leg_no, o.venue, o.market_id, o.outcome
)

select
    *,
    bought_contracts - sold_contracts as held_contracts,
    round(paid_usd / nullif(bought_contracts, 0), 6) as average_price
from filled
