select
    day,
    mode,
    trades,
    settled_trades,
    winning_trades,
    losing_trades,
    {{ dollars_from_e6('realised_e6') }} as realised_pnl_usd,
    {{ dollars_from_e6('fee_e6') }} as fees_usd,
    {{ dollars_from_e6('cash_e6') }} as cash_change_usd,
    {{ dollars_from_e6('kalshi_cash_e6') }} as kalshi_cash_change_usd,
    {{ dollars_from_e6('polymarket_cash_e6') }} as polymarket_cash_change_usd
from {{ source('trading', 'day_totals') }}
