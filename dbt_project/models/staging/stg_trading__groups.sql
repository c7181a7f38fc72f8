select
    group_id,
    kind,
    title,
    is_tradable,
    reason,
    resolves_at,
    environment,
    updated_at,
    ended_at
from {{ source('trading', 'groups') }}
