select
    balance_id,
    venue,
    environment,
    read_at,
    {{ dollars_from_e6('cash_e6') }} as cash_usd,
    {{ dollars_from_e6('ledger_cash_e6') }} as ledger_cash_usd,
    coalesce((detail ->> 'in_flight')::integer, 0) as in_flight,
    coalesce(detail ->> 'mode', 'live') as mode
from {{ source('trading', 'balances') }}
