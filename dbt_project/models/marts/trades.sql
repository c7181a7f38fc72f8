with legs as (
    select
        execution_id,
        jsonb_agg(
            jsonb_build_object(
                'leg_no', leg_no,
                'venue', venue,
                'market_id', market_id,
                'outcome', outcome,
                'bought_contracts', bought_contracts::text,
                'sold_contracts', sold_contracts::text,
                'paid_usd', paid_usd::text,
                'received_usd', received_usd::text,
                'fees_usd', fees_usd::text,
                'average_price', average_price::text
            ) order by leg_no, venue, market_id, outcome
        ) as legs,
        min(held_contracts) as hedged_contracts
    from {{ ref('int_execution_legs') }}
    group by execution_id
)

select
    x.execution_id,
    x.signal_id,
    x.group_id,
    g.kind,
    g.title,
    x.state,
    x.mode,
    x.environment,
    x.started_at,
    x.flat_at,
    x.settled_at,
    coalesce(l.legs, '[]'::jsonb) as legs,
    x.contracts,
    coalesce(l.hedged_contracts, 0) as hedged_contracts,
    coalesce(c.cost_usd, 0) as cost_usd,
    coalesce(c.fees_usd, 0) as fees_usd,
    coalesce(c.settlement_usd, 0) as settlement_usd,
    coalesce(c.cash_change_usd, 0) as cash_change_usd,
    x.edge_usd as expected_edge_usd,
    x.expected_pnl_usd,
    x.realised_pnl_usd
from {{ ref('stg_trading__executions') }} as x
left join {{ ref('stg_trading__groups') }} as g on g.group_id = x.group_id
left join legs as l on l.execution_id = x.execution_id
left join {{ ref('int_execution_cash') }} as c on c.execution_id = x.execution_id
