select
    execution_id,
    signal_id,
    attempt,
    group_id,
    environment,
    mode,
    state,
    edge_usd,
    {{ contracts_from_e6('contracts_e6') }} as contracts,
    started_at,
    flat_at,
    settled_at,
    {{ dollars_from_e6('expected_pnl_e6') }} as expected_pnl_usd,
    {{ dollars_from_e6('realised_pnl_e6') }} as realised_pnl_usd,
    run_id
from {{ source('trading', 'executions') }}
