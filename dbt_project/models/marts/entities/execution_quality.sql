-- planned profit - locked PnL = the parts of the split: what is left after the others is what was not bought, or not matched.
with facts as (
    select
        x.*,
        q.*,
        p.payoff_usd * x.planned_contracts - p.cost_usd - x.planned_profit_usd as planned_fees_usd
    from {{ ref('stg_trading__executions') }} as x
    left join lateral (
        -- The plan's certain payoff of one contract of each leg: the least over its outcomes.
        select
            (
                select min(c.pays) * 0.0001
                from (
                    select sum(o.pays::numeric) as pays
                    from jsonb_array_elements(x.plan_legs) as l (leg)
                    cross join lateral jsonb_array_elements_text(l.leg -> 'pays_e4') with ordinality as o (pays, case_no)
                    group by o.case_no
                ) as c
            ) as payoff_usd,
            (select sum((l.leg ->> 'cost_e6')::numeric) * 0.000001 from jsonb_array_elements(x.plan_legs) as l (leg))
                as cost_usd
    ) as p on x.plan_legs is not null
    left join lateral (
        select
            coalesce(sum(leg.bought), 0) as bought_contracts,
            coalesce(sum(leg.sold), 0) as sold_contracts,
            coalesce(sum(leg.unwinds), 0)::integer as unwinds,
            coalesce(sum(leg.buy_fees), 0) as buy_fees_usd,
            -- Of what was paid beyond the plan, the part of the contracts that were kept.
            coalesce(sum(leg.opening_over * (leg.bought - leg.sold) / nullif(leg.bought, 0)), 0) as opening_over_usd,
            coalesce(sum(leg.completing_over * (leg.bought - leg.sold) / nullif(leg.bought, 0)), 0) as completing_over_usd,
            coalesce(sum(leg.paid * leg.sold / nullif(leg.bought, 0) - leg.received + leg.sell_fees), 0) as unwound_usd,
            case when count(leg.filled_at) > 1 then extract(epoch from max(leg.filled_at) - min(leg.filled_at)) end
                as leg_gap_s
        from (
            select
                o.leg_no,
                coalesce(sum(o.filled_contracts) filter (where o.action = 'buy'), 0) as bought,
                coalesce(sum(o.filled_contracts) filter (where o.action = 'sell'), 0) as sold,
                coalesce(sum(o.cash_usd) filter (where o.action = 'buy'), 0) as paid,
                coalesce(sum(o.cash_usd) filter (where o.action = 'sell'), 0) as received,
                coalesce(sum(o.fee_usd) filter (where o.action = 'buy'), 0) as buy_fees,
                coalesce(sum(o.fee_usd) filter (where o.action = 'sell'), 0) as sell_fees,
                sum(o.slippage_usd) filter (where o.purpose = 'open') as opening_over,
                sum(o.slippage_usd) filter (where o.purpose <> 'open') as completing_over,
                count(*) filter (where o.action = 'sell' and o.filled_contracts > 0) as unwinds,
                min(o.proved_at) filter (where o.action = 'buy' and o.filled_contracts > 0) as filled_at
            from {{ ref('order_quality') }} as o
            where o.execution_id = x.execution_id
            group by o.leg_no
        ) as leg
    ) as q on true
),

parts as (
    select
        *,
        planned_profit_usd - expected_pnl_usd as shortfall_usd,
        round(opening_over_usd, 6) as opening_slippage_usd,
        round(completing_over_usd, 6) as completing_slippage_usd,
        round(unwound_usd, 6) as unwind_cost_usd,
        round(
            buy_fees_usd - planned_fees_usd
            * least(1, (bought_contracts - sold_contracts) / nullif(planned_contracts * jsonb_array_length(plan_legs), 0)),
            6
        ) as fee_slippage_usd
    from facts
)

select
    execution_id,
    signal_id,
    mode,
    environment,
    state,
    ended_as,
    started_at,
    flat_at,
    planned_contracts,
    bought_contracts > 0 as is_bought,
    sold_contracts > 0 as is_unwound,
    unwinds,
    sold_contracts as unwound_contracts,
    leg_gap_s,
    exposure_usd_s,
    peak_exposure_usd,
    planned_profit_usd,
    expected_pnl_usd as locked_pnl_usd,
    shortfall_usd,
    case when shortfall_usd is not null then opening_slippage_usd end as opening_slippage_usd,
    case when shortfall_usd is not null then completing_slippage_usd end as completing_slippage_usd,
    case when shortfall_usd is not null then fee_slippage_usd end as fee_slippage_usd,
    unwind_cost_usd,
    shortfall_usd - opening_slippage_usd - completing_slippage_usd - fee_slippage_usd - unwind_cost_usd as unfilled_usd
from parts
