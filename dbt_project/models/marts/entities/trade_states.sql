select
    mode,
    state,
    sum(trades)::bigint as trades
from {{ ref('stg_trading__state_totals') }}
group by mode, state
having sum(trades) <> 0
