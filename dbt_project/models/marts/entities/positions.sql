with marked as (
    select
        p.*,
        m.title,
        case p.outcome when 'yes' then m.settlement_value else 1 - m.settlement_value end as settlement_mark,
        case p.outcome when 'yes' then q.mid else 1 - q.mid end as quote_mark,
        case p.outcome when 'yes' then q.bid else 1 - q.ask end as exit_bid,
        m.last_seen_at,
        q.observed_at,
        case
            when p.contracts > 0 and p.bought_contracts > 0
                then round(p.paid_usd * p.contracts / p.bought_contracts, 6)
            else 0
        end as cost_usd
    from {{ ref('stg_trading__position_totals') }} as p
    left join {{ ref('stg_raw__markets') }} as m on m.venue = p.venue and m.market_id = p.market_id
    left join lateral (
        select o.bid, o.ask, (o.bid + o.ask) * 0.5 as mid, o.observed_at
        from {{ ref('int_quote_observations') }} as o
        where o.venue = p.venue and o.market_id = p.market_id and o.observed_at > now() - interval '1 day'
            and o.book_state = 'live' and o.bid is not null and o.ask is not null
            and p.is_open and m.settlement_value is null
        order by o.observed_at desc
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
    is_open,
    cost_usd,
    coalesce(settlement_mark, quote_mark) as mark,
    case
        when settlement_mark is not null then 'settlement'
        when quote_mark is not null then 'quote'
    end as mark_source,
    case when settlement_mark is not null then last_seen_at else observed_at end as marked_at,
    coalesce(settlement_mark, exit_bid) as exit_price,
    case when is_open then round(contracts * coalesce(settlement_mark, quote_mark), 6) else 0 end as value_usd,
    case when is_open then round(contracts * coalesce(settlement_mark, quote_mark), 6) - cost_usd else 0 end
        as unrealised_pnl_usd,
    cash_usd + cost_usd as realised_pnl_usd,
    last_change_at,
    title,
    case
        when settlement_mark is null then round(extract(epoch from clock_timestamp() - observed_at), 1)
    end as mark_age_s,
    settlement_mark is null and observed_at < clock_timestamp() - interval '{{ var("quote_stale_after_s") }} seconds'
        as is_mark_stale
from marked
