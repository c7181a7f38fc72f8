-- A snapshot is a second source of best prices: it confirms a book in which nothing moves.
select
    venue,
    market_id,
    received_at as observed_at,
    bid,
    bid_size,
    ask,
    ask_size,
    book_state,
    frame_offset,
    is_polled,
    1 as preference
from {{ ref('stg_raw__quotes') }}

union all

select
    venue,
    market_id,
    received_at as observed_at,
    {{ dollars_from_e4("(bids -> 0 ->> 0)::integer") }} as bid,
    {{ contracts_from_e6("(bids -> 0 ->> 1)::bigint") }} as bid_size,
    {{ dollars_from_e4("(asks -> 0 ->> 0)::integer") }} as ask,
    {{ contracts_from_e6("(asks -> 0 ->> 1)::bigint") }} as ask_size,
    case
        when (bids -> 0 ->> 0)::integer >= (asks -> 0 ->> 0)::integer then 'crossed' else 'live'
    end as book_state,
    frame_offset,
    is_polled,
    2 as preference
from {{ ref('stg_raw__book_snapshots') }}
