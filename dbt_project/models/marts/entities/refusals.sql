select
    t.day,
    t.reason,
    t.environment,
    sum(t.refusals)::bigint as refusals,
    sum(t.signals)::bigint as signals,
    (
        select sum(s.profit_usd)
        from {{ ref('stg_trading__refusals') }} as r
        inner join {{ ref('stg_trading__signals') }} as s on s.signal_id = r.signal_id
        where r.reason = t.reason and r.environment = t.environment
            and r.refused_at >= t.day::timestamp at time zone 'UTC'
            and r.refused_at < (t.day + 1)::timestamp at time zone 'UTC'
    ) as refused_profit_usd,
    max(t.last_refused_at) as last_refused_at
from {{ ref('stg_trading__refusal_totals') }} as t
group by t.day, t.reason, t.environment
