-- What a trade set out to hold, and whatever else was ordered in it; a fill that failed never happened.
with parts as (
    select
        x.execution_id,
        w.leg_no,
        w.venue,
        w.market_id,
        w.outcome,
        null as action,
        0 as contracts,
        0 as cash_usd,
        0 as fee_usd
    from {{ ref('stg_trading__executions') }} as x
    inner join {{ ref('stg_trading__signal_legs') }} as w on w.signal_id = x.signal_id

    union all

    select
        o.execution_id,
        o.leg_no,
        o.venue,
        o.market_id,
        o.outcome,
        f.action,
        f.contracts,
        f.cash_usd,
        f.fee_usd
    from {{ ref('stg_trading__orders') }} as o
    left join {{ ref('stg_trading__fills') }} as f on f.order_id = o.order_id and f.state <> 'failed'
),

legs as (
    select
        execution_id,
        min(leg_no) as leg_no,
        venue,
        market_id,
        outcome,
        coalesce(sum(contracts) filter (where action = 'buy'), 0) as bought_contracts,
        coalesce(sum(contracts) filter (where action = 'sell'), 0) as sold_contracts,
        coalesce(sum(cash_usd) filter (where action = 'buy'), 0) as paid_usd,
        coalesce(sum(cash_usd) filter (where action = 'sell'), 0) as received_usd,
        coalesce(sum(fee_usd), 0) as fees_usd
    from parts
    group by execution_id, venue, market_id, outcome
)

select
    l.execution_id,
    l.leg_no,
    l.venue,
    l.market_id,
    l.outcome,
    coalesce(m.title, l.market_id) as title,
    x.contracts,
    l.bought_contracts,
    l.sold_contracts,
    l.bought_contracts - l.sold_contracts as held_contracts,
    l.paid_usd,
    l.received_usd,
    l.fees_usd,
    round(l.paid_usd / nullif(l.bought_contracts, 0), 6) as average_price
from legs as l
inner join {{ ref('stg_trading__executions') }} as x on x.execution_id = l.execution_id
left join {{ ref('stg_raw__markets') }} as m on m.venue = l.venue and m.market_id = l.market_id
