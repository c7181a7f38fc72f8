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
    coalesce(x.executions, 0) as executions,
    coalesce(r.refusals, 0) as refusals
from {{ ref('stg_trading__signals') }} as s
left join {{ ref('stg_trading__groups') }} as g on g.group_id = s.group_id
left join (
    select signal_id, count(*) as executions from {{ ref('stg_trading__executions') }} group by signal_id
) as x on x.signal_id = s.signal_id
left join (
    select signal_id, count(*) as refusals from {{ ref('stg_trading__refusals') }} group by signal_id
) as r on r.signal_id = s.signal_id
