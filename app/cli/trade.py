"""`crossbook trade`: the trading switch, what is open, and the sale of all legs of one trade."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.operator_actions import ByOption, ReasonOption, person, refusals_as_exit_codes
from app.cli.output import JsonOption, emit_document
from app.cli.warehouse import open_warehouse
from streams.market.units import cash_decimal

if TYPE_CHECKING:
    from streams.market.trading import SwitchState

ExecutionArgument = Annotated[int, typer.Argument(help="Number of the trade, as the dashboard shows it.")]


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    trade = typer.Typer(help="Switch trading, sell one trade, show what is open.", no_args_is_help=True)
    trade.command("pause")(pause)
    trade.command("reduce")(reduce)
    trade.command("resume")(resume)
    trade.command("kill")(kill)
    trade.command("flatten")(flatten)
    trade.command("status")(status)
    cli.add_typer(trade, name="trade")


def pause(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Open nothing new; open executions finish."""
    _set("pause", reason, by, as_json=json_)


def reduce(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Send only orders that lower exposure."""
    _set("reduce", reason, by, as_json=json_)


def resume(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Trade again."""
    _set("run", reason, by, as_json=json_)


def kill(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Send nothing; resting orders are cancelled, open executions become ESCALATED."""
    _set("kill", reason, by, as_json=json_)


def flatten(
    execution_id: ExecutionArgument, reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False
) -> None:
    """Ask to sell all that a trade holds, within a bound below the best bids; the next settlement cycle does it."""
    from app.operator_actions import ask_flatten
    from streams.settings import load_settings

    who = person(by)
    with refusals_as_exit_codes(), open_warehouse(load_settings()) as connection:
        command_id = ask_flatten(connection, execution_id, who=who, reason=reason)
    emit_document(
        {"command_id": command_id, "execution_id": execution_id, "asked_by": who, "reason": reason}, as_json=json_
    )


def status(json_: JsonOption = False) -> None:
    """Print the switch, the limits in force, the cash in open executions, and what is open."""
    from app.queries.risk import load_exposure
    from app.queries.trades import count_trade_states
    from streams.settings import load_settings
    from streams.storage.store.risk import current_limits, last_switch

    settings = load_settings()
    with open_warehouse(settings) as connection:
        switch, limits = last_switch(connection), current_limits(connection, settings)
        at_stake, states = load_exposure(connection, settings.trading_mode), count_trade_states(connection)
    emit_document(
        {
            "switch": switch.state if switch else "kill",
            "set_by": switch.set_by if switch else "",
            "set_at": switch.set_at if switch else None,
            "reason": switch.reason if switch else "",
            "mode": {"venues": settings.venues, "trading": settings.trading_mode},
            "limits_usd": {
                "market": _usd(limits.market_e6),
                "pair": _usd(limits.pair_e6),
                "total": _usd(limits.total_e6),
                "daily_loss": _usd(limits.daily_loss_e6),
            },
            "order_contracts": _usd(limits.order_contracts_e6),
            "tied_up_usd": _text(at_stake.total_usd),
            "unconfirmed_usd": _text(at_stake.unconfirmed_usd),
            "realised_today_usd": _text(at_stake.realised_today_usd),
            "executions": states,
        },
        as_json=json_,
    )


def _set(state: SwitchState, reason: str, by: str, *, as_json: bool) -> None:
    from app.operator_actions import set_switch
    from streams.settings import load_settings

    with refusals_as_exit_codes(), open_warehouse(load_settings()) as connection:
        switch_id = set_switch(connection, state, who=person(by), reason=reason)
    emit_document({"switch": state, "switch_id": switch_id, "reason": reason}, as_json=as_json)


def _usd(amount_e6: int) -> str:
    return _text(cash_decimal(amount_e6))


def _text(amount: Decimal) -> str:
    return f"{amount:.6f}"
