select
    mode,
    state,
    trades
from {{ source('trading', 'state_totals') }}
