select
    mode,
    environment,
    group_id,
    venue,
    market_id,
    {{ dollars_from_e6('spent_e6') }} as spent_usd,
    {{ dollars_from_e6('reserved_e6') }} as reserved_usd,
    {{ dollars_from_e6('tied_up_e6') }} as tied_up_usd,
    {{ dollars_from_e6('unconfirmed_e6') }} as unconfirmed_usd,
    unresolved_orders
from {{ source('trading', 'exposure') }}
