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
    mode,
    environment,
    happened_at
from {{ source('trading', 'ledger') }}
