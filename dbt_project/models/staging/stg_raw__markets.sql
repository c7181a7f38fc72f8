select
    s.venue,
    s.market_id,
    v.event_id,
    v.series_id,
    v.title,
    v.subtitle,
    v.event_title,
    v.category,
    v.yes_means,
    v.open_time,
    v.close_time,
    v.expected_settle_time,
    s.status,
    s.result,
    {{ dollars_from_e4('s.settlement_e4') }} as settlement_value,
    v.version_id,
    v.text_hash,
    array_to_string(v.derived_fields, ',') as derived_fields,
    s.first_seen_at,
    s.last_seen_at
from {{ source('raw', 'market_state_v1') }} as s
left join {{ source('raw', 'market_versions_v1') }} as v on v.version_id = s.version_id
