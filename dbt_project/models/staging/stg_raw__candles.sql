select
    venue,
    market_id,
    bucket_start,
    make_interval(secs => interval_s) as bucket_length,
    interval_s,
    {{ dollars_from_e4('bid_close_e4') }} as bid,
    {{ dollars_from_e4('ask_close_e4') }} as ask,
    {{ dollars_from_e4('price_close_e4') }} as price,
    {{ contracts_from_e6('volume_e6') }} as contracts,
    loaded_at
from {{ source('raw', 'candles_v1') }}
