select
    refusal_id,
    signal_id,
    execution_id,
    refused_at,
    reason,
    detail,
    environment
from {{ ref('stg_trading__refusals') }}
