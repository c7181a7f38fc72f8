select
    pair_id,
    kalshi_market_id,
    polymarket_market_id,
    relation,
    polarity,
    verdict_id,
    state,
    decided_by,
    decided_at,
    decision_reason,
    environment,
    created_at,
    updated_at,
    kalshi_text_hash,
    polymarket_text_hash
from {{ source('trading', 'pair_states') }}
