{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['venue', 'market_id', 'minute'],
    on_schema_change='fail',
    indexes=[{'columns': ['venue', 'market_id', 'minute'], 'unique': true}, {'columns': ['minute']}],
) }}

with books as (
    select distinct on (venue, market_id, date_trunc('minute', received_at))
        venue,
        market_id,
        date_trunc('minute', received_at) as minute,
        received_at as observed_at,
        bids,
        asks
    from {{ ref('stg_raw__book_snapshots') }}
    where received_at < {{ running_minute() }}
    {% if is_incremental() %}
        and received_at >= {{ watermark('minute') }}
    {% endif %}
    order by venue, market_id, date_trunc('minute', received_at), received_at desc, frame_offset desc
)

select
    b.venue,
    b.market_id,
    b.minute,
    bid.contracts as bid_depth_contracts,
    ask.contracts as ask_depth_contracts,
    bid.usd as bid_depth_usd,
    ask.usd as ask_depth_usd,
    bid.levels as bid_levels,
    ask.levels as ask_levels,
    b.observed_at
from books as b
{% for side, sign in [('bid', '-'), ('ask', '+')] %}
cross join lateral (
    select
        coalesce(sum({{ contracts_from_e6("(level ->> 1)::bigint") }}), 0) as contracts,
        coalesce(sum({{ dollars_from_e4("(level ->> 0)::integer") }} * {{ contracts_from_e6("(level ->> 1)::bigint") }}), 0) as usd,
        count(*) as levels
    from jsonb_array_elements(b.{{ side }}s) as level
    where abs((level ->> 0)::integer - (b.{{ side }}s -> 0 ->> 0)::integer) <= {{ var('depth_band_usd') }} * 10000
) as {{ side }}
{% endfor %}
