select
    refusal_id,
    signal_id,
    execution_id,
    refused_at,
    reason,
    environment,
    detail
from {{ source('trading', 'refusals') }}
