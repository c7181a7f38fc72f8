with recorded as (
    select
        venue,
        market_id,
        bool_or(state = 'covered') as is_recorded,
        bool_or(state = 'covered' and ended_at is null) as is_recording
    from {{ ref('stg_raw__coverage') }}
    group by venue, market_id
)

select
    m.venue,
    m.market_id,
    m.event_id,
    m.series_id,
    m.title,
    m.subtitle,
    coalesce(nullif(m.event_title, ''), e.event_title, '') as event_title,
    coalesce(nullif(m.category, ''), e.category, '') as category,
    coalesce(e.is_exclusive, false) as is_exclusive_event,
    m.status,
    m.open_time,
    m.close_time,
    m.expected_settle_time,
    m.result,
    m.settlement_value,
    coalesce(r.is_recorded, false) as is_recorded,
    coalesce(r.is_recording, false) as is_recording,
    m.first_seen_at,
    m.last_seen_at
from {{ ref('stg_raw__markets') }} as m
left join {{ ref('stg_raw__events') }} as e on e.venue = m.venue and e.event_id = m.event_id
left join recorded as r on r.venue = m.venue and r.market_id = m.market_id
