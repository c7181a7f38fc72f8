select
    signal_id,
    leg_no,
    venue,
    market_id,
    outcome,
    {{ dollars_from_e4('limit_price_e4') }} as limit_price,
    {{ contracts_from_e6('size_e6') }} as contracts
from {{ source('trading', 'signal_legs') }}
