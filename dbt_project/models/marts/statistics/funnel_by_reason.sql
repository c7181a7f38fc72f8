{% for period, begins_at in periods() %}
select
    '{{ period }}' as period,
    s.environment,
    s.stage,
    s.reason,
    count(*) as signals,
    sum(s.profit_usd) as profit_usd,
    sum(s.missed_usd) as missed_usd
from {{ ref('signal_funnel') }} as s
where s.opened_at >= {{ begins_at }}
group by s.environment, s.stage, s.reason
{% if not loop.last %}union all{% endif %}
{% endfor %}
