"""What Polymarket's SDK has that does not concern Crossbook, with the reason."""

from __future__ import annotations

_REASONS = {
    "combos are not traded": (
        "accept_combo_quote list_combo_activity list_combo_markets list_combo_positions open_rfq_session "
        "request_combo_quote wait_for_combo_fill fetch_rfq_status plan_collateral_return "
        "execute_collateral_return_plan"
    ),
    "perpetuals are another exchange": (
        "deposit_to_perps withdraw_from_perps fetch_perps_book fetch_perps_builder_status fetch_perps_fees "
        "fetch_perps_instruments fetch_perps_position_snapshots fetch_perps_registration fetch_perps_ticker "
        "fetch_perps_tickers list_perps_candles list_perps_funding_history list_perps_trades open_perps_session "
        "revoke_perps_credentials"
    ),
    "rewards and rebates for makers; Crossbook takes": (
        "get_current_rebates get_order_scoring get_orders_scoring get_reward_percentages "
        "get_total_earnings_for_user_for_day list_current_rewards list_market_rewards list_reward_markets "
        "list_user_earnings_and_markets_config list_user_earnings_for_day"
    ),
    "statistics and leaderboards of the web app": (
        "download_accounting_snapshot get_builder_volumes get_trader_leaderboard_standing get_user_pnl "
        "get_user_stats get_user_volume list_biggest_winners list_builder_leaderboard list_trader_leaderboard"
    ),
    "for applications that send other people's orders": "list_builder_trades",
    "delegated keys; Crossbook signs with the wallet's own": (
        "authorize_session_key fetch_session_keys revoke_session_key"
    ),
    "money leaves a wallet by a person's hand": "transfer_erc20",
}  # fmt: skip
LEFT_OUT = {name: reason for reason, names in _REASONS.items() for name in names.split()}
