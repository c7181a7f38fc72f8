select
    (r.refused_at at time zone 'UTC')::date as day,
    r.reason,
    r.environment,
    count(*) as refusals,
    count(distinct r.signal_id) as signals,
    sum(s.profit_usd) as refused_profit_usd,
    max(r.refused_at) as last_refused_at
from {{ ref('stg_trading__refusals') }} as r
inner join {{ ref('stg_trading__signals') }} as s on s.signal_id = r.signal_id
group by 1, 2, 3
