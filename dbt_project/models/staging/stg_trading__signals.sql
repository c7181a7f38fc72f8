select
    signal_id,
    group_id,
    leg_set,
    environment,
    is_tradable,
    opened_at,
    closed_at,
    close_reason,
    open_edge_usd,
    peak_edge_usd,
    last_edge_usd,
    {{ contracts_from_e6('contracts_e6') }} as contracts,
    {{ dollars_from_e6('cost_e6') }} as cost_usd,
    {{ dollars_from_e6('fee_e6') }} as fees_usd,
    {{ dollars_from_e6('profit_e6') }} as profit_usd,
    annualised_return,
    updated_at
from {{ source('trading', 'signals') }}
