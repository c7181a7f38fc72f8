{% for period, begins_at in periods() %}
select
    '{{ period }}' as period,
    x.mode,
    x.environment,
    count(*) as executions,
    count(*) filter (where x.is_bought) as bought,
    count(*) filter (where x.ended_as = 'HEDGED') as hedged,
    count(*) filter (where x.ended_as = 'ESCALATED') as escalated,
    count(*) filter (where x.is_unwound) as unwound,
    count(x.leg_gap_s) as leg_gaps,
    {{ percentile('x.leg_gap_s', 0.5, var('min_observations')) }} as leg_gap_p50_s,
    {{ percentile('x.leg_gap_s', 0.95, var('min_observations_p95')) }} as leg_gap_p95_s,
    {{ percentile('x.leg_gap_s', 0.99, var('min_observations_p99')) }} as leg_gap_p99_s,
    count(x.exposure_usd_s) as exposures,
    sum(x.exposure_usd_s) as exposure_usd_s,
    {{ percentile('x.exposure_usd_s', 0.5, var('min_observations')) }} as exposure_p50_usd_s,
    {{ percentile('x.exposure_usd_s', 0.95, var('min_observations_p95')) }} as exposure_p95_usd_s,
    max(x.exposure_usd_s) as exposure_max_usd_s,
    max(x.peak_exposure_usd) as peak_exposure_usd,
    coalesce(sum(x.unwinds), 0) as unwinds,
    coalesce(sum(x.unwound_contracts), 0) as unwound_contracts,
    coalesce(sum(x.unwind_cost_usd), 0) as unwind_cost_usd,
    count(x.shortfall_usd) as compared,
    sum(x.planned_profit_usd) filter (where x.shortfall_usd is not null) as planned_profit_usd,
    sum(x.locked_pnl_usd) filter (where x.shortfall_usd is not null) as locked_pnl_usd,
    sum(x.shortfall_usd) as shortfall_usd,
    sum(x.opening_slippage_usd) as opening_slippage_usd,
    sum(x.completing_slippage_usd) as completing_slippage_usd,
    sum(x.fee_slippage_usd) as fee_slippage_usd,
    sum(x.unwind_cost_usd) filter (where x.shortfall_usd is not null) as unwinding_usd,
    sum(x.unfilled_usd) as unfilled_usd
from {{ ref('execution_quality') }} as x
where x.started_at >= {{ begins_at }}
group by x.mode, x.environment
{% if not loop.last %}union all{% endif %}
{% endfor %}
