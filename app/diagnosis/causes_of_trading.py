"""Causes that lie in trading: what waits for a person, and what does not move."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from app.diagnosis.cause import Cause
from app.diagnosis.facts import Facts
from streams.alerting.channels import unknown_severities
from streams.storage.store.warehouse import TradingPulse

_CENT_E6 = 10_000
_LONG_S = 3600.0
_UNSENT_AFTER_S = 900.0
_BALANCES_LATE_S = 900.0


def _of_trading(look: Callable[[TradingPulse], str]) -> Callable[[Facts], str]:
    return lambda facts: "" if facts.trading is None else look(facts.trading)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count else ""


def _trading(facts: Facts) -> str:
    """Return whether the settlement cycle, which reads the accounts every few minutes, has stopped."""
    if facts.trading is None or not facts.expects_life or facts.settings.trading_mode == "off":
        return ""
    age = facts.trading.balances_age_s
    return f"the accounts were read last {age:.0f} s ago" if age is not None and age > _BALANCES_LATE_S else ""


def _armed(facts: Facts) -> str:
    if facts.trading is None or not facts.expects_life or facts.settings.trading_mode == "off":
        return ""
    age = facts.trading.armed_age_s
    return f"none for {age:.0f} s" if age is not None and age > facts.settings.armed_stale_after_s else ""


def _switch(facts: Facts) -> str:
    pulse = facts.trading
    if pulse is None or pulse.switch not in ("kill", "reduce") or (pulse.switch_age_s or 0) < _LONG_S:
        return ""
    if not facts.is_running and pulse.switched_by == "supervisor":
        return ""  # a stop leaves it so, and the next start takes it back
    return f"{pulse.switch} is in force for {(pulse.switch_age_s or 0) / 3600:.1f} hours, set by {pulse.switched_by}"


def _no_switch(facts: Facts) -> str:
    return "there is no switch: nothing may be sent" if facts.trading is not None and not facts.trading.switch else ""


def _ledger(facts: Facts) -> str:
    differences = {} if facts.warehouse is None else facts.warehouse.ledger_differences_e6
    return ", ".join(
        f"{venue} holds {Decimal(difference) / 1_000_000:+.2f} dollars against our ledger"
        for venue, difference in differences.items()
        if abs(difference) >= _CENT_E6
    )


def _unsent(facts: Facts) -> str:
    pulse = facts.trading
    if pulse is None or (pulse.unsent_age_s or 0) < _UNSENT_AFTER_S:
        return ""
    if not facts.is_running and not pulse.send_error:
        return ""  # who delivers them is not running
    why = f": {pulse.send_error}" if pulse.send_error else ""
    return f"{pulse.unsent_alerts} alerts wait for {pulse.unsent_age_s or 0:.0f} s{why}"


def _leases(facts: Facts) -> str:
    names = facts.trading.expired_leases if facts.trading is not None and facts.expects_life else []
    return ", ".join(names)


def _budget(facts: Facts) -> str:
    budget = facts.settings.judge_daily_budget_usd
    if facts.trading is None or facts.settings.openai_api_key is None or facts.trading.judged_today_usd < budget:
        return ""
    return f"{facts.trading.judged_today_usd:.2f} of {budget} dollars are spent today"


CAUSES: tuple[Cause, ...] = (
    Cause("trading", "The settlement cycle does not run.",
          "Open the Dagster UI: settlement_sensor must be running; look at the runs of settle_trades.", _trading),
    Cause("armed run", "No trading run is armed.",
          "See docs/runbooks/no-armed-run.md: the runs of hedged_trade in Dagster, and the sensor spread_sensor.",
          _armed),
    Cause("switch", "Kill or reduce is in force for more than an hour.",
          "If it is no longer meant: `crossbook trade resume`.", _switch),
    Cause("switch row", "The trading switch is missing.", "Write one: `crossbook trade pause`, then look at the logs.",
          _no_switch),
    Cause("unresolved orders", "The outcome of an order is not known.",
          "Reads decide them; if they stay, compare with the venue's own order list.",
          _of_trading(lambda pulse: _counted(pulse.unknown_orders, "orders"))),
    Cause("escalated trades", "A trade waits for a person.", "See docs/runbooks/escalated-trade.md.",
          _of_trading(lambda pulse: _counted(pulse.escalated, "trades"))),
    Cause("stuck trades", "A trade is open much longer than it may be.",
          "Look at the runs of hedge and settle_trades in the Dagster UI; see docs/runbooks/escalated-trade.md.",
          _of_trading(lambda pulse: _counted(pulse.stuck_executions, "trades"))),
    Cause("waiting acts", "What a person asked for has no result.",
          "Trading must run and the switch must not be kill; see the runs of settle_trades.",
          _of_trading(lambda pulse: _counted(pulse.waiting_commands, "acts wait for more than five minutes"))),
    Cause("ledger", "A venue's cash differs from our ledger.", "See docs/runbooks/reconciliation.md.", _ledger),
    Cause("open alerts", "A critical alert is open.", "The dashboard's health page lists them.",
          _of_trading(lambda pulse: "; ".join(pulse.critical_alerts))),
    Cause("alerts reach people", "Alerts are not delivered.",
          "`crossbook alerts test` tries each channel; the sensor alert_sender must be running.", _unsent),
    Cause("alert channel", "No channel is set and open alerts reached nobody.",
          "Set CROSSBOOK_ALERT_CHANNELS; see docs/how-to/alerts.md.",
          _of_trading(lambda pulse: _counted(pulse.no_channel_alerts, "open alerts reached nobody: no channel")),
          is_notice=True),
    Cause("alert severities", "A word of CROSSBOOK_ALERT_SEVERITIES is no severity.",
          "Write notice, warning or critical for each channel, with commas between them.",
          lambda facts: ", ".join(unknown_severities(facts.settings))),
    Cause("leases", "A lease ended without being given back.",
          "Its holder died: the next one takes it over; if it stays, look at the runs in the Dagster UI.", _leases),
    Cause("paused pairs", "Texts of a paused pair changed after the pause.",
          "Read both texts again and decide anew: `crossbook pairs list --state paused`.",
          _of_trading(lambda pulse: ", ".join(pulse.changed_pairs))),
    Cause("judge budget", "The judge's budget of the day is spent.",
          "Raise CROSSBOOK_JUDGE_DAILY_BUDGET_USD, or wait for midnight UTC; the rules judge on.", _budget),
)  # fmt: skip
