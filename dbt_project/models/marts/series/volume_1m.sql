{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['venue', 'market_id', 'minute'],
    on_schema_change='fail',
    indexes=[{'columns': ['venue', 'market_id', 'minute'], 'unique': true}, {'columns': ['minute']}],
) }}

select
    venue,
    market_id,
    date_trunc('minute', received_at) as minute,
    count(*) as trades,
    sum(contracts) as contracts,
    sum(price * contracts) as notional_usd,
    coalesce(sum(contracts) filter (where taker_outcome = 'yes'), 0) as taker_yes_contracts,
    coalesce(sum(contracts) filter (where taker_outcome = 'no'), 0) as taker_no_contracts
from {{ ref('stg_raw__trades') }}
where received_at < {{ running_minute() }}
{% if is_incremental() %}
    and received_at >= {{ watermark('minute') }}
{% endif %}
group by venue, market_id, date_trunc('minute', received_at)
