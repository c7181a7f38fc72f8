select
    environment,
    mode,
    venue,
    market_id,
    outcome,
    {{ contracts_from_e6('contracts_e6') }} as contracts,
    {{ dollars_from_e6('cash_e6') }} as cash_usd,
    {{ contracts_from_e6('bought_e6') }} as bought_contracts,
    {{ dollars_from_e6('paid_e6') }} as paid_usd,
    last_change_at,
    contracts_e6 <> 0 as is_open
from {{ source('trading', 'position_totals') }}
