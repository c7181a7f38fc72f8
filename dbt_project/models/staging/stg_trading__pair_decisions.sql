select
    decision_id,
    pair_id,
    decision,
    decided_by,
    decided_at,
    environment
from {{ source('trading', 'pair_decisions') }}
