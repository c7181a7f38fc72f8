-- A column that is a query of its own costs only those who ask for it.
select
    s.signal_id,
    s.group_id,
    g.kind,
    g.title,
    s.leg_set,
    s.environment,
    s.is_tradable,
    s.opened_at,
    s.closed_at,
    s.closed_at is null as is_open,
    round(extract(epoch from coalesce(s.closed_at, s.updated_at) - s.opened_at), 3) as duration_s,
    s.close_reason,
    s.open_edge_usd,
    s.peak_edge_usd,
    s.last_edge_usd,
    s.contracts,
    s.cost_usd,
    s.fees_usd,
    s.profit_usd,
    s.annualised_return,
    (select count(*) from {{ ref('stg_trading__executions') }} as x where x.signal_id = s.signal_id) as executions,
    (select count(*) from {{ ref('stg_trading__refusals') }} as r where r.signal_id = s.signal_id) as refusals,
    o.outcome,
    coalesce((
        select jsonb_agg(
            jsonb_build_object(
                'venue', l.venue,
                'market_id', l.market_id,
                'outcome', l.outcome,
                'limit_price', l.limit_price::numeric(12, 4)::text,
                'contracts', l.contracts::numeric(20, 6)::text
            ) order by l.leg_no
        )
        from {{ ref('stg_trading__signal_legs') }} as l
        where l.signal_id = s.signal_id
    ), '[]'::jsonb) as legs,
    coalesce((
        select jsonb_object_agg(c.reason, c.times)
        from (
            select r.reason, count(*) as times
            from {{ ref('stg_trading__refusals') }} as r
            where r.signal_id = s.signal_id
            group by r.reason
        ) as c
    ), '{}'::jsonb) as refusals_by_reason,
    (
        select r.reason from {{ ref('stg_trading__refusals') }} as r
        where r.signal_id = s.signal_id order by r.refusal_id desc limit 1
    ) as refusal_reason,
    (
        select r.detail from {{ ref('stg_trading__refusals') }} as r
        where r.signal_id = s.signal_id order by r.refusal_id desc limit 1
    ) as refusal_detail
from {{ ref('stg_trading__signals') }} as s
left join {{ ref('stg_trading__groups') }} as g on g.group_id = s.group_id
left join {{ ref('stg_trading__signal_outcomes') }} as o on o.signal_id = s.signal_id
