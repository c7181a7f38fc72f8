-- The clock is ours: a fill is known when its order's answer states it, elsewhere it happened when its venue says so.
with known as (
    select
        f.fill_id,
        f.order_id,
        o.execution_id,
        o.mode,
        f.environment,
        o.started_at,
        o.purpose,
        f.venue,
        f.market_id,
        f.outcome,
        f.action,
        f.contracts,
        case when o.is_unknown then greatest(f.filled_at, o.sent_at) else coalesce(o.proved_at, f.filled_at) end as known_at,
        case f.action when 'buy' then 1 else -1 end as direction
    from {{ ref('stg_trading__fills') }} as f
    inner join {{ ref('order_quality') }} as o on o.order_id = f.order_id
    where f.state <> 'failed'
)

select
    k.fill_id,
    k.order_id,
    k.execution_id,
    k.mode,
    k.environment,
    k.started_at,
    k.purpose,
    k.venue,
    k.market_id,
    k.outcome,
    k.action,
    k.contracts,
    k.known_at,
    p.price as fair_price,
    k.direction * (p.after_100ms - p.price) as markout_100ms,
    k.direction * (p.after_1s - p.price) as markout_1s,
    k.direction * (p.after_5s - p.price) as markout_5s,
    k.direction * (p.after_30s - p.price) as markout_30s
from known as k
left join lateral (
    select
        max(q.price) filter (where h.after_s = 0) as price,
        max(q.price) filter (where h.after_s = 0.1) as after_100ms,
        max(q.price) filter (where h.after_s = 1) as after_1s,
        max(q.price) filter (where h.after_s = 5) as after_5s,
        max(q.price) filter (where h.after_s = 30) as after_30s
    from (
        values
        (0, k.known_at),
        (0.1, k.known_at + interval '0.1 seconds'),
        (1, k.known_at + interval '1 second'),
        (5, k.known_at + interval '5 seconds'),
        (30, k.known_at + interval '30 seconds')
    ) as h (after_s, at)
    -- The last sight of the book before that time: no older than a quote may be, and no guess at what is yet to come.
    cross join lateral (
        select
            case
                when o.book_state = 'live' and k.outcome = 'yes' then (o.bid + o.ask) * 0.5
                when o.book_state = 'live' then 1 - (o.bid + o.ask) * 0.5
            end as price
        from {{ ref('int_quote_observations') }} as o
        where o.venue = k.venue and o.market_id = k.market_id and o.observed_at <= h.at
            and o.observed_at > h.at - interval '{{ var("quote_stale_after_s") }} seconds' and h.at <= now()
        order by o.observed_at desc
        limit 1
    ) as q
) as p on true
