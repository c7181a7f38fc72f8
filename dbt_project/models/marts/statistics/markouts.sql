-- `offset 0`: each execution's rows are found by their indexes; the planner would read whole tables for those of a day.
{% for period, begins_at in periods() %}
select
    '{{ period }}' as period,
    f.mode,
    f.environment,
    f.venue,
    f.purpose,
    h.horizon_s,
    count(*) as fills,
    count(h.markout) as observations,
    case
        when count(h.markout) >= {{ var('min_observations') }}
            then round(sum(h.markout * f.contracts) / nullif(sum(f.contracts) filter (where h.markout is not null), 0), 6)
    end as markout,
    case when count(h.markout) >= {{ var('min_observations') }} then round(avg((h.markout < 0)::integer), 6) end as share_against
from {{ ref('stg_trading__executions') }} as x
cross join lateral (
    select * from {{ ref('fill_markouts') }} as o where o.execution_id = x.execution_id offset 0
) as f
cross join lateral (
    values (0.1, f.markout_100ms), (1, f.markout_1s), (5, f.markout_5s), (30, f.markout_30s)
) as h (horizon_s, markout)
where x.started_at >= {{ begins_at }}
group by f.mode, f.environment, f.venue, f.purpose, h.horizon_s
{% if not loop.last %}union all{% endif %}
{% endfor %}
