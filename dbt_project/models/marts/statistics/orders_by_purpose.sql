-- `offset 0`: each execution's rows are found by their indexes; the planner would read whole tables for those of a day.
{% for period, begins_at in periods() %}
select
    '{{ period }}' as period,
    q.mode,
    q.environment,
    q.venue,
    q.purpose,
    count(*) as orders,
    count(*) filter (where q.is_sent) as sent,
    count(*) filter (where q.is_sent and q.filled_contracts > 0) as filled,
    coalesce(sum(q.ordered_contracts) filter (where q.is_sent), 0) as ordered_contracts,
    coalesce(sum(q.filled_contracts) filter (where q.is_sent), 0) as filled_contracts,
    case
        when count(*) filter (where q.is_sent) >= {{ var('min_observations') }}
            then round(
                sum(q.filled_contracts) filter (where q.is_sent)
                / nullif(sum(q.ordered_contracts) filter (where q.is_sent), 0), 6
            )
    end as fill_ratio,
    sum(q.slippage_usd) as slippage_usd,
    count(q.answer_s) as answers,
    {{ percentile('q.answer_s', 0.5, var('min_observations')) }} as answer_p50_s,
    {{ percentile('q.answer_s', 0.95, var('min_observations_p95')) }} as answer_p95_s,
    count(*) filter (where q.is_unknown) as unknowns,
    count(*) filter (where q.is_unproven) as unproven,
    count(q.time_to_proof_s) filter (where q.is_unknown) as proofs,
    {{ percentile('case when q.is_unknown then q.time_to_proof_s end', 0.5, var('min_observations')) }} as proof_p50_s,
    {{ percentile('case when q.is_unknown then q.time_to_proof_s end', 0.95, var('min_observations_p95')) }} as proof_p95_s,
    max(q.time_to_proof_s) filter (where q.is_unknown) as proof_max_s
from {{ ref('stg_trading__executions') }} as x
cross join lateral (
    select * from {{ ref('order_quality') }} as o where o.execution_id = x.execution_id offset 0
) as q
where x.started_at >= {{ begins_at }}
group by q.mode, q.environment, q.venue, q.purpose
{% if not loop.last %}union all{% endif %}
{% endfor %}
