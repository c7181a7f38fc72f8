-- A bucket of any length becomes one row: the minute it closes in. Nothing is filled in between.
select distinct on (venue, market_id, minute)
    venue,
    market_id,
    date_trunc('minute', bucket_start + bucket_length - interval '1 minute') as minute,
    bid,
    ask,
    coalesce((bid + ask) * 0.5, price) as mid,
    loaded_at
from {{ ref('stg_raw__candles') }}
where coalesce((bid + ask) * 0.5, price) is not null
order by venue, market_id, minute, interval_s, loaded_at desc
