select
    p.pair_id,
    p.kalshi_market_id,
    p.polymarket_market_id,
    k.title as kalshi_title,
    q.title as polymarket_title,
    p.relation,
    p.polarity,
    p.state,
    v.confidence,
    v.judge,
    v.basis_risk,
    p.decided_by,
    p.decided_at,
    p.environment,
    p.created_at,
    p.kalshi_text_hash,
    p.polymarket_text_hash,
    coalesce(k.status = 'open' and q.status = 'open', false) as is_open,
    least(k.close_time, q.close_time) as closes_at
from {{ ref('stg_trading__pairs') }} as p
left join {{ ref('stg_trading__pair_verdicts') }} as v on v.verdict_id = p.verdict_id
left join {{ ref('stg_raw__markets') }} as k on k.venue = 'kalshi' and k.market_id = p.kalshi_market_id
left join {{ ref('stg_raw__markets') }} as q on q.venue = 'polymarket' and q.market_id = p.polymarket_market_id
