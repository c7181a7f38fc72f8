select
    fill_id,
    order_id,
    venue,
    venue_fill_id,
    market_id,
    outcome,
    action,
    {{ contracts_from_e6('contracts_e6') }} as contracts,
    {{ dollars_from_e6('cash_e6') }} as cash_usd,
    {{ dollars_from_e6('fee_e6') }} as fee_usd,
    state,
    filled_at,
    environment
from {{ source('trading', 'fills') }}
