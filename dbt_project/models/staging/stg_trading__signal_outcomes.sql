select
    signal_id,
    outcome
from {{ source('trading', 'signal_outcomes') }}
