{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['venue', 'market_id', 'minute'],
    on_schema_change='fail',
    indexes=[
        {'columns': ['venue', 'market_id', 'minute'], 'unique': true},
        {'columns': ['minute']},
        {'columns': ['loaded_at']},
    ],
) }}

{% if is_incremental() %}
    {% set since = watermark('minute', "source = 'recorded'") %}
    {% set loaded_since = loaded_watermark() %}
{% endif %}

-- A window that reaches back before the recording has history in it; recorded_observations says how much is recorded.
with {% if is_incremental() %}refreshed as (
    -- Markets of which history arrived since are computed anew, because windows reach over the seam.
    select distinct venue, market_id from {{ ref('quotes_1m') }} where loaded_at > {{ loaded_since }}
),

{% endif %}prices as (
    select venue, market_id, minute, mid, source, loaded_at
    from {{ ref('quotes_1m') }}
    where mid is not null and not is_stale
    {% if is_incremental() %}
        and (minute >= {{ since }} - interval '60 minutes' or (venue, market_id) in (select * from refreshed))
    {% endif %}
),

steps as (
    select
        *,
        mid - lag(mid) over market as change,
        extract(epoch from minute - lag(minute) over market) / 86400 as days
    from prices
    window market as (partition by venue, market_id order by minute)
),

windows as (
    select
        venue,
        market_id,
        minute,
        mid,
        source,
        loaded_at,
        count(*) over short_window as observations_15m,
        count(*) over long_window as observations,
        count(*) filter (where source = 'recorded') over long_window as recorded_observations,
        avg(mid) over short_window as average_15m,
        avg(mid) over long_window as average_60m,
        sum(change * change) filter (where days <= 60.0 / 1440) over long_window as squared_changes,
        sum(days) filter (where days <= 60.0 / 1440) over long_window as elapsed_days
    from steps
    window
        short_window as (
            partition by venue, market_id order by minute
            range between interval '14 minutes' preceding and current row
        ),
        long_window as (
            partition by venue, market_id order by minute
            range between interval '59 minutes' preceding and current row
        )
)

select
    venue,
    market_id,
    minute,
    mid,
    case when observations_15m >= {{ var('min_observations_short') }} then round(average_15m, 6) end as avg_15m,
    case when observations >= {{ var('min_observations') }} then round(average_60m, 6) end as avg_60m,
    case
        when observations >= {{ var('min_observations') }} then round(sqrt(squared_changes / elapsed_days), 6)
    end as volatility_60m,
    observations_15m,
    observations,
    recorded_observations,
    source,
    loaded_at
from windows
{% if is_incremental() %}
where minute >= {{ since }} or (venue, market_id) in (select * from refreshed)
{% endif %}
