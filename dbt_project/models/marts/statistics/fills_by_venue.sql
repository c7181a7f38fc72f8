-- `offset 0`: each execution's rows are found by their indexes; the planner would read whole tables for those of a day.
{% for period, begins_at in periods() %}
select
    '{{ period }}' as period,
    x.mode,
    f.environment,
    f.venue,
    count(*) as fills,
    count(*) filter (where f.state = 'provisional') as provisional,
    count(*) filter (where f.state = 'failed') as failed,
    min(f.filled_at) filter (where f.state = 'provisional') as oldest_provisional_at,
    count(f.confirmed_after_s) as confirmations,
    {{ percentile('f.confirmed_after_s', 0.5, var('min_observations')) }} as confirmed_after_p50_s,
    {{ percentile('f.confirmed_after_s', 0.95, var('min_observations_p95')) }} as confirmed_after_p95_s,
    max(f.confirmed_after_s) as confirmed_after_max_s,
    count(f.computed_fee_usd) filter (where f.state <> 'failed') as fees_compared,
    coalesce(sum(f.computed_fee_usd) filter (where f.state <> 'failed'), 0) as predicted_fee_usd,
    coalesce(sum(f.fee_usd) filter (where f.state <> 'failed' and f.computed_fee_usd is not null), 0) as charged_fee_usd,
    coalesce(sum(f.fee_usd - f.computed_fee_usd) filter (where f.state <> 'failed'), 0) as fee_difference_usd
from {{ ref('stg_trading__executions') }} as x
cross join lateral (
    select * from {{ ref('fills') }} as o where o.execution_id = x.execution_id offset 0
) as f
where x.started_at >= {{ begins_at }}
group by x.mode, f.environment, f.venue
{% if not loop.last %}union all{% endif %}
{% endfor %}
