-- How far each episode came, and what ended it; the dollars of each are counted once.
with seen as (
    select
        s.signal_id,
        s.group_id,
        g.kind,
        s.environment,
        s.opened_at,
        s.closed_at,
        s.close_reason,
        s.profit_usd,
        case
            when o.outcome is distinct from 'traded' then coalesce(o.outcome, 'open')
            when t.is_hedged then 'hedged'
            when t.is_under_way then 'under_way'
            when t.is_escalated then 'escalated'
            when t.has_bought then 'unwound'
            else 'unfilled'
        end as stage,
        case
            when o.outcome = 'refused' or (o.outcome = 'traded' and not t.has_bought and not t.is_under_way) then (
                select r.reason from {{ ref('stg_trading__refusals') }} as r
                where r.signal_id = s.signal_id order by r.refusal_id desc limit 1
            )
        end as refusal_reason
    from {{ ref('stg_trading__signals') }} as s
    left join {{ ref('stg_trading__groups') }} as g on g.group_id = s.group_id
    left join {{ ref('stg_trading__signal_outcomes') }} as o on o.signal_id = s.signal_id
    left join lateral (
        select
            bool_or(x.ended_as = 'HEDGED') as is_hedged,
            bool_or(x.ended_as = 'ESCALATED') as is_escalated,
            bool_or(x.ended_as not in ('HEDGED', 'ESCALATED', 'FLAT')) as is_under_way,
            bool_or(x.ended_as <> 'FLAT' or exists (
                select from {{ ref('stg_trading__orders') }} as b
                where b.execution_id = x.execution_id and b.filled_contracts > 0
            )) as has_bought
        from {{ ref('stg_trading__executions') }} as x
        where x.signal_id = s.signal_id
    ) as t on o.outcome = 'traded'
)

select
    signal_id,
    group_id,
    kind,
    environment,
    opened_at,
    closed_at,
    stage,
    case
        when stage in ('open', 'under_way', 'hedged', 'escalated', 'unwound') then stage
        when stage = 'passed' then coalesce(nullif(close_reason, ''), stage)
        else coalesce(refusal_reason, 'not filled')
    end as reason,
    profit_usd,
    case when stage in ('open', 'under_way', 'hedged') then 0 else profit_usd end as missed_usd
from seen
