select
    mode,
    environment,
    group_id,
    venue,
    market_id,
    spent_usd,
    reserved_usd,
    tied_up_usd,
    unconfirmed_usd,
    unresolved_orders
from {{ ref('stg_trading__exposure') }}
