select
    v.venue,
    b.environment,
    b.read_at,
    b.cash_usd,
    b.ledger_cash_usd,
    b.cash_usd - b.ledger_cash_usd as difference_usd,
    b.in_flight
from (values ('kalshi'), ('polymarket')) as v (venue)
cross join lateral (
    select * from {{ ref('stg_trading__balances') }} as x
    where x.venue = v.venue
    order by x.read_at desc, x.balance_id desc
    limit 1
) as b
