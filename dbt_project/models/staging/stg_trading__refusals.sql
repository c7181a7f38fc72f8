select
    refusal_id,
    signal_id,
    execution_id,
    refused_at,
    reason,
    environment
from {{ source('trading', 'refusals') }}
