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
    {{ dollars_from_e6('computed_fee_e6') }} as computed_fee_usd,
    state,
    filled_at,
    environment,
    {{ venue_second("payload ->> 'match_time'") }} as venue_matched_at,
    {{ venue_second("payload ->> 'last_update'") }} as venue_updated_at
from {{ source('trading', 'fills') }}
