select
    venue,
    market_id,
    received_at,
    {{ dollars_from_e4('bid_e4') }} as bid,
    {{ contracts_from_e6('bid_size_e6') }} as bid_size,
    {{ dollars_from_e4('ask_e4') }} as ask,
    {{ contracts_from_e6('ask_size_e6') }} as ask_size,
    state as book_state,
    frame_offset,
    is_polled
from {{ source('raw', 'quotes_v1') }}
