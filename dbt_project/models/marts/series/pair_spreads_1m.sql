{{ config(
    materialized='incremental',
    incremental_strategy='delete+insert',
    unique_key=['pair_id', 'minute'],
    on_schema_change='append_new_columns',
    indexes=[
        {'columns': ['pair_id', 'minute'], 'unique': true},
        {'columns': ['minute']},
        {'columns': ['loaded_at']},
    ],
) }}

{% set incremental = is_incremental() %}
{% if incremental %}
    {% set since = watermark('minute', "source = 'recorded'") %}
    {% set loaded_since = loaded_watermark() %}
{% endif %}

with pairs as (
    select pair_id, kalshi_market_id, polymarket_market_id, polarity
    from {{ ref('stg_trading__pairs') }}
),

-- Pairs to compute from their first minute: new ones, and those of which history arrived.
refreshed as (
    select pair_id from pairs
    {% if incremental %}
    where pair_id not in (select pair_id from {{ this }})
        or exists (
            select 1 from {{ ref('quotes_1m') }} as q
            where q.loaded_at > {{ loaded_since }}
                and (
                    (q.venue = 'kalshi' and q.market_id = pairs.kalshi_market_id)
                    or (q.venue = 'polymarket' and q.market_id = pairs.polymarket_market_id)
                )
        )
    {% endif %}
),

-- Both books at the end of the same minute; the Polymarket one as the pair's polarity reads it.
joined as (
    {% for scope in (['all', 'recent'] if incremental else ['all']) %}
    {% if not loop.first %}union all{% endif %}
    select
        p.pair_id,
        k.minute,
        k.bid as kalshi_bid,
        k.ask as kalshi_ask,
        k.mid as kalshi_mid,
        case p.polarity when 'aligned' then q.bid else 1 - q.ask end as polymarket_bid,
        case p.polarity when 'aligned' then q.ask else 1 - q.bid end as polymarket_ask,
        case p.polarity when 'aligned' then q.mid else 1 - q.mid end as polymarket_mid,
        case when k.source = 'recorded' and q.source = 'recorded' then 'recorded' else 'backfilled' end as source,
        coalesce(k.is_polled or q.is_polled, false) as is_polled,
        greatest(k.loaded_at, q.loaded_at) as loaded_at
    from pairs as p
    inner join {{ ref('quotes_1m') }} as k on k.venue = 'kalshi' and k.market_id = p.kalshi_market_id
    inner join {{ ref('quotes_1m') }} as q
        on q.venue = 'polymarket' and q.market_id = p.polymarket_market_id and q.minute = k.minute
    where k.mid is not null and q.mid is not null and not k.is_stale and not q.is_stale
    {% if scope == 'all' %}
        and p.pair_id in (select pair_id from refreshed)
    {% else %}
        and p.pair_id not in (select pair_id from refreshed)
        and k.minute >= {{ since }} - interval '60 minutes'
        and q.minute >= {{ since }} - interval '60 minutes'
    {% endif %}
    {% endfor %}
),

spreads as (
    select *, kalshi_mid - polymarket_mid as mid_spread
    from joined
),

steps as (
    select
        *,
        case
            when minute - lag(minute) over pair = interval '1 minute' then lag(mid_spread) over pair
        end as previous_spread
    from spreads
    window pair as (partition by pair_id order by minute)
),

-- Autoregression of order one by least squares: spread(t) = a + b * spread(t - 1 minute).
windows as (
    select
        *,
        count(*) over hour as observations,
        count(*) filter (where source = 'recorded') over hour as recorded_observations,
        count(*) filter (where is_polled) over hour as polled_observations,
        avg(mid_spread) over hour as average_60m,
        stddev_samp(mid_spread) over hour as deviation_60m,
        regr_slope(mid_spread, previous_spread) over hour as persistence,
        regr_count(mid_spread, previous_spread) over hour as transitions
    from steps
    window hour as (
        partition by pair_id order by minute range between interval '59 minutes' preceding and current row
    )
)

select
    pair_id,
    minute,
    kalshi_mid,
    polymarket_mid,
    mid_spread,
    greatest(polymarket_bid - kalshi_ask, kalshi_bid - polymarket_ask) as cross_edge,
    case when observations >= {{ var('min_observations') }} then round(average_60m, 6) end as avg_60m,
    case when observations >= {{ var('min_observations') }} then round(deviation_60m, 6) end as stddev_60m,
    case
        when observations >= {{ var('min_observations') }}
            then round((mid_spread - average_60m) / nullif(deviation_60m, 0), 4)
    end as z_score,
    case
        when transitions >= {{ var('min_observations_half_life') }} and persistence > 0 and persistence < 1
            then round((-ln(2) / ln(persistence))::numeric, 4)
    end as half_life_minutes,
    observations,
    recorded_observations,
    polled_observations,
    source,
    is_polled,
    loaded_at
from windows
{% if incremental %}
where minute >= {{ since }} or pair_id in (select pair_id from refreshed)
{% endif %}
