{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['minute', 'venue', 'market_id'],
    on_schema_change='fail',
    indexes=[{'columns': ['minute', 'venue', 'market_id'], 'unique': true}],
) }}

select
    venue,
    market_id,
    date_trunc('minute', received_at) as minute,
    count(*) as deltas
from {{ ref('stg_raw__book_deltas') }}
where received_at < {{ running_minute() }}
{% if is_incremental() %}
    and received_at >= {{ watermark('minute') }}
{% endif %}
group by venue, market_id, date_trunc('minute', received_at)
