select
    venue,
    market_id,
    received_at
from {{ source('raw', 'book_deltas_v1') }}
