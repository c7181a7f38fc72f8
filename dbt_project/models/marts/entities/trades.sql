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
    coalesce(c.settled_cash_usd, 0) as settled_cash_usd,
    coalesce(x.realised_pnl_usd, x.expected_pnl_usd) as locked_floor_usd,
    round(greatest(c.capital_dollar_days, 0), 6) as capital_dollar_days,
    round(x.realised_pnl_usd / nullif(round(greatest(c.capital_dollar_days, 0), 6), 0) * 365, 6) as return_on_capital,
    x.edge_usd as expected_edge_usd,
    x.expected_pnl_usd,
    x.realised_pnl_usd,
    x.run_id
from {{ ref('stg_trading__executions') }} as x
left join {{ ref('stg_trading__groups') }} as g on g.group_id = x.group_id
left join lateral (
    select
        jsonb_agg(
            jsonb_build_object(
                'leg_no', b.leg_no,
                'venue', b.venue,
                'market_id', b.market_id,
                'outcome', b.outcome,
                'title', b.title,
                'contracts', b.contracts::numeric(20, 6)::text,
                'filled', b.held_contracts::numeric(20, 6)::text,
                'bought_contracts', b.bought_contracts::text,
                'sold_contracts', b.sold_contracts::text,
                'paid_usd', b.paid_usd::text,
                'received_usd', b.received_usd::text,
                'fees_usd', b.fees_usd::text,
                'average_price', b.average_price::text
            ) order by b.leg_no, b.venue, b.market_id, b.outcome
        ) as legs,
        min(b.held_contracts) as hedged_contracts
    from {{ ref('trade_legs') }} as b
    where b.execution_id = x.execution_id
) as l on true
left join lateral (
    -- A reversal takes back a fill, which moved contracts, or its fee, which moved none.
    select
        -sum(e.cash_usd) filter (where e.kind = 'fill' or (e.kind = 'reversal' and e.contracts <> 0)) as cost_usd,
        -sum(e.cash_usd) filter (where e.kind in ('fee', 'rebate') or (e.kind = 'reversal' and e.contracts = 0))
            as fees_usd,
        sum(e.cash_usd) filter (where e.kind = 'settlement') as settlement_usd,
        sum(e.cash_usd) as cash_change_usd,
        sum(e.settled_cash_usd) as settled_cash_usd,
        -- A dollar spent is tied up from then on; one that came back is not any more.
        sum(-e.cash_usd * extract(epoch from coalesce(x.settled_at, now()) - e.happened_at))
            filter (where e.happened_at < coalesce(x.settled_at, now())) / 86400 as capital_dollar_days
    from {{ ref('stg_trading__ledger') }} as e
    where e.execution_id = x.execution_id
) as c on true
