-- A warning, not a gate: the trade is shown as it is, with this check beside it.
{{ config(severity='warn') }}
-- What an execution is said to have earned is what the ledger's cash says, to the millionth of a dollar.
select execution_id, realised_pnl_usd, cash_change_usd
from {{ ref('trades') }}
where settled_at is not null and realised_pnl_usd is not null and realised_pnl_usd <> cash_change_usd
