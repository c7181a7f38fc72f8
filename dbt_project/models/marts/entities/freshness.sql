select 'markets' as mart, max(ended_at) as newest_at from {{ ref('stg_raw__discovery_sweeps') }} where error is null
union all
select
    'pairs' as mart,
    greatest(
        (select max(created_at) from {{ ref('stg_trading__pairs') }}),
        (select max(decided_at) from {{ ref('stg_trading__pair_decisions') }})
    ) as newest_at
union all
select f.mart, s.newest_at
from (values ('signals'), ('signal_funnel'), ('funnel_by_reason')) as f (mart)
cross join (select max(opened_at) as newest_at from {{ ref('stg_trading__signals') }}) as s
union all
select f.mart, r.newest_at
from (values ('refusals'), ('refusal_events')) as f (mart)
cross join (select max(refused_at) as newest_at from {{ ref('stg_trading__refusals') }}) as r
union all
select f.mart, l.newest_at
from (values ('trades'), ('trade_legs'), ('trade_states'), ('positions'), ('pnl_daily'), ('exposure'), ('capital_by_venue'))
    as f (mart)
cross join (select max(happened_at) as newest_at from {{ ref('stg_trading__ledger') }}) as l
union all
select f.mart, o.newest_at
from (values
    ('orders'), ('fills'), ('order_quality'), ('execution_quality'), ('fill_markouts'), ('orders_by_purpose'),
    ('executions_by_period'), ('fills_by_venue'), ('markouts')
) as f (mart)
cross join (
    select max(prepared_at) as newest_at
    from (select prepared_at from {{ ref('stg_trading__orders') }} order by order_id desc limit 1) as last_order
) as o
union all
select 'balances' as mart, max(read_at) as newest_at from {{ ref('stg_trading__balances') }}
