select
    m.venue,
    m.market_id,
    m.event_id,
    m.series_id,
    m.title,
    m.subtitle,
    l.event_title,
    l.category,
    coalesce(e.is_exclusive, false) as is_exclusive_event,
    m.status,
    m.open_time,
    m.close_time,
    m.expected_settle_time,
    m.result,
    m.settlement_value,
    exists (
        select from {{ ref('stg_raw__coverage') }} as c
        where c.venue = m.venue and c.market_id = m.market_id and c.state = 'covered'
    ) as is_recorded,
    r.market_id is not null as is_recording,
    m.first_seen_at,
    m.last_seen_at
from {{ ref('stg_raw__markets') }} as m
left join {{ ref('stg_raw__market_lookup') }} as l on l.venue = m.venue and l.market_id = m.market_id
left join {{ ref('stg_raw__events') }} as e on e.venue = m.venue and e.event_id = m.event_id
left join (
    select distinct venue, market_id from {{ ref('stg_raw__coverage') }} where state = 'covered' and ended_at is null
) as r on r.venue = m.venue and r.market_id = m.market_id
