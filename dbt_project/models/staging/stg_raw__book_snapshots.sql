select
    venue,
    market_id,
    received_at,
    reason,
    difference,
    bids,
    asks,
    frame_offset,
    is_polled
from {{ source('raw', 'book_snapshots_v1') }}
