select
    sweep_id,
    venue,
    kind,
    started_at,
    ended_at,
    error
from {{ source('raw', 'discovery_sweeps_v1') }}
