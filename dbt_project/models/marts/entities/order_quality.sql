-- What a purchase should have cost is the plan's average price of its leg; what it cost beyond that is its slippage.
with facts as (
    select
        o.*,
        x.mode,
        x.started_at,
        o.sent_at is not null as is_sent,
        -- An answer that says no more can fill, or a plain refusal, is proof; any other order is proven by what is read later.
        o.is_answer_final or o.state = 'rejected' as is_answer_proof,
        case when o.is_answer_final then o.answered_at else o.closed_at end as proved_at,
        (x.plan_legs -> o.leg_no ->> 'cost_e6')::numeric * 0.000001 / nullif(x.planned_contracts, 0) as planned_price
    from {{ ref('stg_trading__orders') }} as o
    inner join {{ ref('stg_trading__executions') }} as x on x.execution_id = o.execution_id
)

select
    order_id,
    execution_id,
    mode,
    environment,
    started_at,
    leg_no,
    purpose,
    venue,
    action,
    state,
    decided_at,
    sent_at,
    proved_at,
    is_sent,
    ordered_contracts,
    filled_contracts,
    case when is_sent then round(filled_contracts / nullif(ordered_contracts, 0), 6) end as fill_ratio,
    cash_usd,
    fee_usd,
    round(planned_price, 6) as planned_price,
    case when action = 'buy' then round(cash_usd - planned_price * filled_contracts, 6) end as slippage_usd,
    extract(epoch from sent_at - decided_at) as decision_to_send_s,
    case when is_sent then extract(epoch from answered_at - sent_at) end as answer_s,
    is_sent and not is_answer_proof as is_unknown,
    is_sent and proved_at is null as is_unproven,
    case when is_sent then extract(epoch from proved_at - sent_at) end as time_to_proof_s
from facts
