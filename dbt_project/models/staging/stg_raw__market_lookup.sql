select
    venue,
    market_id,
    event_title,
    category
from {{ source('raw', 'market_lookup_v1') }}
