with settled as (
    select
        (settled_at at time zone 'UTC')::date as day,
        mode,
        count(*) as settled_trades,
        count(*) filter (where realised_pnl_usd < 0) as losing_trades,
        sum(realised_pnl_usd) as realised_pnl_usd
    from {{ ref('trades') }}
    where settled_at is not null and realised_pnl_usd is not null
    group by 1, 2
),

started as (
    select (started_at at time zone 'UTC')::date as day, mode, count(*) as trades
    from {{ ref('trades') }}
    group by 1, 2
),

-- Deposits and adjustments move cash and are no result of trading.
cash as (
    select
        (happened_at at time zone 'UTC')::date as day,
        mode,
        -coalesce(sum(cash_usd) filter (where kind in ('fee', 'rebate')), 0) as fees_usd,
        sum(cash_usd) as cash_change_usd,
        coalesce(sum(cash_usd) filter (where venue = 'kalshi'), 0) as kalshi_cash_change_usd,
        coalesce(sum(cash_usd) filter (where venue = 'polymarket'), 0) as polymarket_cash_change_usd
    from {{ ref('stg_trading__ledger') }}
    where kind not in ('deposit', 'adjustment')
    group by 1, 2
),

days as (
    select day, mode from settled
    union
    select day, mode from started
    union
    select day, mode from cash
)

select
    d.day,
    d.mode,
    coalesce(t.trades, 0) as trades,
    coalesce(s.settled_trades, 0) as settled_trades,
    coalesce(s.losing_trades, 0) as losing_trades,
    coalesce(s.realised_pnl_usd, 0) as realised_pnl_usd,
    coalesce(c.fees_usd, 0) as fees_usd,
    coalesce(c.cash_change_usd, 0) as cash_change_usd,
    coalesce(c.kalshi_cash_change_usd, 0) as kalshi_cash_change_usd,
    coalesce(c.polymarket_cash_change_usd, 0) as polymarket_cash_change_usd
from days as d
left join settled as s on s.day = d.day and s.mode = d.mode
left join started as t on t.day = d.day and t.mode = d.mode
left join cash as c on c.day = d.day and c.mode = d.mode
