-- A leg ties up what it has cost, less what came back, from each movement of cash to its end: now, or its last movement.
with accounts as (
    select
        b.mode,
        b.environment,
        b.venue,
        b.cash_usd,
        b.read_at,
        coalesce(s.reserved_usd, 0) as reserved_usd,
        coalesce(s.tied_up_usd, 0) as tied_up_usd
    from (
        select v.venue, x.mode, x.environment, x.cash_usd, x.read_at
        from (values ('kalshi'), ('polymarket')) as v (venue)
        cross join lateral (
            select * from {{ ref('stg_trading__balances') }} as a
            where a.venue = v.venue order by a.read_at desc, a.balance_id desc limit 1
        ) as x
    ) as b
    left join (
        select mode, environment, venue, sum(reserved_usd) as reserved_usd, sum(tied_up_usd) as tied_up_usd
        from {{ ref('exposure') }}
        group by mode, environment, venue
    ) as s on s.mode = b.mode and s.environment = b.environment and s.venue = b.venue
)

{% for period, begins_at in periods() %}
select
    '{{ period }}' as period,
    mode,
    environment,
    venue,
    round(t.capital_usd_days, 6) as capital_usd_days,
    a.tied_up_usd,
    a.cash_usd,
    a.reserved_usd,
    a.cash_usd - a.reserved_usd as idle_usd,
    round((a.cash_usd - a.reserved_usd) / nullif(a.cash_usd - a.reserved_usd + a.tied_up_usd, 0), 6) as idle_share,
    a.read_at
from (
    select
        leg.mode,
        leg.environment,
        leg.venue,
        sum(-leg.cash_usd * extract(epoch from leg.ends_at - greatest(leg.happened_at, {{ begins_at }})) / 86400)
            filter (where leg.ends_at > {{ begins_at }}) as capital_usd_days
    from (
        select
            e.mode,
            e.environment,
            e.venue,
            e.cash_usd,
            e.happened_at,
            case when sum(e.contracts) over w = 0 then max(e.happened_at) over w else now() end as ends_at
        from {{ ref('stg_trading__ledger') }} as e
        where e.market_id is not null and e.execution_id in (
            select x.execution_id from {{ ref('stg_trading__executions') }} as x where x.settled_at is null
            union all
            select x.execution_id from {{ ref('stg_trading__executions') }} as x where x.settled_at >= {{ begins_at }}
        )
        window w as (partition by e.execution_id, e.venue, e.market_id, e.outcome)
    ) as leg
    group by leg.mode, leg.environment, leg.venue
) as t
full join accounts as a using (mode, environment, venue)
{% if not loop.last %}union all{% endif %}
{% endfor %}
