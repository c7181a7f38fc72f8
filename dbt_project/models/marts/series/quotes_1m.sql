{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['venue', 'market_id', 'minute'],
    on_schema_change='append_new_columns',
    indexes=[
        {'columns': ['venue', 'market_id', 'minute'], 'unique': true},
        {'columns': ['minute']},
        {'columns': ['loaded_at']},
    ],
) }}

with observations as (
    select *, date_trunc('minute', observed_at) as minute
    from {{ ref('int_quote_observations') }}
    where observed_at < {{ running_minute() }}
    {% if is_incremental() %}
        and observed_at >= {{ watermark('minute', "source = 'recorded'") }}
    {% endif %}
),

minute_last as (
    select distinct on (venue, market_id, minute) *
    from observations
    order by venue, market_id, minute, observed_at desc, preference, frame_offset desc
),

followed as (
    select
        *,
        lead(minute, 1, 'infinity') over (partition by venue, market_id order by minute) as next_minute
    from minute_last
),

-- As of the end of each minute: the last quote, carried on while it is live and no older than the limit.
recorded as (
    select
        f.venue,
        f.market_id,
        m.minute,
        f.bid,
        f.ask,
        (f.bid + f.ask) * 0.5 as mid,
        f.bid_size,
        f.ask_size,
        f.ask - f.bid as spread,
        f.book_state <> 'live'
            or m.minute + interval '1 minute' - f.observed_at
                > make_interval(secs => {{ var('quote_stale_after_s') }}) as is_stale,
        'recorded' as source,
        f.is_polled,
        f.observed_at,
        null::timestamptz as loaded_at
    from followed as f
    cross join lateral generate_series(
        f.minute,
        case
            when f.book_state = 'live' then greatest(
                f.minute,
                f.observed_at + make_interval(secs => {{ var('quote_stale_after_s') }}) - interval '1 minute'
            )
            else f.minute
        end,
        interval '1 minute'
    ) as m (minute)
    where m.minute < f.next_minute and m.minute < {{ running_minute() }}
),

backfilled as (
    select
        h.venue,
        h.market_id,
        h.minute,
        h.bid,
        h.ask,
        h.mid,
        null::numeric as bid_size,
        null::numeric as ask_size,
        h.ask - h.bid as spread,
        false as is_stale,
        'backfilled' as source,
        false as is_polled,
        h.minute + interval '1 minute' as observed_at,
        h.loaded_at
    from {{ ref('int_history_minutes') }} as h
    where h.minute < {{ running_minute() }}
        and not exists (
            select 1 from recorded as r
            where r.venue = h.venue and r.market_id = h.market_id and r.minute = h.minute
        )
    {% if is_incremental() %}
        and h.loaded_at > {{ loaded_watermark() }}
        and not exists (
            select 1 from {{ this }} as t
            where t.venue = h.venue and t.market_id = h.market_id and t.minute = h.minute and t.source = 'recorded'
        )
    {% endif %}
)

select * from recorded
union all
select * from backfilled
