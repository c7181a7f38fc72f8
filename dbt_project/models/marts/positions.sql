with held as (
    select
        environment,
        mode,
        venue,
        market_id,
        outcome,
        sum(contracts) as contracts,
        sum(cash_usd) as cash_usd,
        coalesce(sum(contracts) filter (where kind = 'fill' and contracts > 0), 0) as bought_contracts,
        -coalesce(sum(cash_usd) filter (where (kind = 'fill' and contracts > 0) or kind in ('fee', 'rebate')), 0)
            as bought_usd,
        max(happened_at) as last_change_at
    from {{ ref('stg_trading__ledger') }}
    where market_id is not null and outcome is not null
    group by environment, mode, venue, market_id, outcome
),

-- The cost of what is still held: its share of everything paid for buying, fees included.
costed as (
    select
        *,
        case when contracts > 0 and bought_contracts > 0
            then round(bought_usd * contracts / bought_contracts, 6) else 0 end as cost_usd
    from held
),

marked as (
    select
        c.*,
        case c.outcome
            when 'yes' then coalesce(m.settlement_value, q.mid) else 1 - coalesce(m.settlement_value, q.mid)
        end as mark,
        case when m.settlement_value is null then q.observed_at else m.last_seen_at end as marked_at,
        case
            when m.settlement_value is not null then 'settlement'
            when q.mid is not null then 'quote'
        end as mark_source
    from costed as c
    left join {{ ref('stg_raw__markets') }} as m on m.venue = c.venue and m.market_id = c.market_id
    left join lateral (
        select t.mid, t.observed_at
        from {{ ref('quotes_1m') }} as t
        where t.venue = c.venue and t.market_id = c.market_id and t.source = 'recorded'
            and not t.is_stale and t.mid is not null
        order by t.minute desc
        limit 1
    ) as q on true
)

select
    mode,
    environment,
    venue,
    market_id,
    outcome,
    contracts,
    contracts <> 0 as is_open,
    cost_usd,
    mark,
    mark_source,
    marked_at,
    case when contracts = 0 then 0 else round(contracts * mark, 6) end as value_usd,
    case when contracts = 0 then 0 else round(contracts * mark, 6) - cost_usd end as unrealised_pnl_usd,
    cash_usd + cost_usd as realised_pnl_usd,
    last_change_at
from marked
