select
    day,
    reason,
    environment,
    refusals,
    signals,
    last_refused_at
from {{ source('trading', 'refusal_totals') }}
