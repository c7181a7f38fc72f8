select
    venue,
    market_id,
    received_at,
    trade_id,
    {{ dollars_from_e4('price_e4') }} as price,
    {{ contracts_from_e6('size_e6') }} as contracts,
    taker_outcome
from {{ source('raw', 'trades_v1') }}
