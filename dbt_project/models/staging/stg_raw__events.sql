select
    venue,
    event_id,
    series_id,
    title as event_title,
    category,
    is_exclusive,
    first_seen_at,
    last_seen_at
from {{ source('raw', 'events_v1') }}
