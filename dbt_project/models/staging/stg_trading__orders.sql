select
    o.order_id,
    o.intent_id,
    i.execution_id,
    i.leg_no,
    i.purpose,
    o.venue,
    i.market_id,
    i.outcome,
    i.action,
    {{ dollars_from_e4('i.limit_price_e4') }} as limit_price,
    {{ contracts_from_e6('i.size_e6') }} as ordered_contracts,
    o.state,
    o.reason,
    o.prepared_at,
    o.sent_at,
    o.closed_at,
    o.environment
from {{ source('trading', 'orders') }} as o
inner join {{ source('trading', 'intents') }} as i on i.intent_id = o.intent_id
