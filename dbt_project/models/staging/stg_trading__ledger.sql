select
    entry_id,
    kind,
    venue,
    market_id,
    outcome,
    execution_id,
    order_id,
    {{ dollars_from_e6('cash_e6') }} as cash_usd,
    {{ contracts_from_e6('contracts_e6') }} as contracts,
    (
        select {{ dollars_from_e6('coalesce(sum(p.amount_e6), 0)') }}
        from {{ source('trading', 'postings') }} as p
        where p.entry_id = l.entry_id and p.account = 'cash' and p.unit = 'usd'
    ) as settled_cash_usd,
    mode,
    environment,
    happened_at
from {{ source('trading', 'ledger') }} as l
