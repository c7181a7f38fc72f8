select
    coverage_id,
    shard,
    venue,
    market_id,
    state,
    cause,
    started_at,
    ended_at
from {{ source('raw', 'coverage_v1') }}
