"""`crossbook trade`: the switch everything that acts obeys, and what is open."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.output import JsonOption, emit_document
from app.cli.warehouse import open_warehouse

if TYPE_CHECKING:
    from streams.storage.risk import SwitchState

ReasonOption = Annotated[str, typer.Option("--reason", help="Kept with the switch.")]


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    trade = typer.Typer(help="Pause, reduce, resume or kill trading; show what is open.", no_args_is_help=True)
    trade.command("pause")(pause)
    trade.command("reduce")(reduce)
    trade.command("resume")(resume)
    trade.command("kill")(kill)
    trade.command("status")(status)
    cli.add_typer(trade, name="trade")


def pause(reason: ReasonOption = "", json_: JsonOption = False) -> None:
    """Nothing new opens; open trades finish."""
    _set("pause", reason, as_json=json_)


def reduce(reason: ReasonOption = "", json_: JsonOption = False) -> None:
    """Only orders that lower exposure leave."""
    _set("reduce", reason, as_json=json_)


def resume(reason: ReasonOption = "", json_: JsonOption = False) -> None:
    """Trading goes on."""
    _set("run", reason, as_json=json_)


def kill(reason: ReasonOption = "", json_: JsonOption = False) -> None:
    """Nothing leaves any more; resting orders are cancelled, open exposure is escalated."""
    _set("kill", reason, as_json=json_)


def status(json_: JsonOption = False) -> None:
    """The switch, the limits in force, what is tied up and what is open."""
    from streams.settings import load_settings
    from streams.storage.risk import current_limits, tied_up

    settings = load_settings()
    with open_warehouse(settings) as connection:
        switch = connection.execute("SELECT * FROM trading.switches ORDER BY switch_id DESC LIMIT 1").fetchone() or {}
        limits, used = current_limits(connection, settings), tied_up(connection, settings.trading_mode)
        states = connection.execute(
            "SELECT state, count(*) AS n FROM trading.executions GROUP BY state ORDER BY state"
        ).fetchall()
    emit_document(
        {
            "switch": switch.get("state", "kill"),
            "set_by": switch.get("set_by", ""),
            "set_at": switch.get("set_at"),
            "reason": switch.get("reason", ""),
            "mode": {"venues": settings.venues, "trading": settings.trading_mode},
            "limits_usd": {
                "market": _usd(limits.market_e6),
                "pair": _usd(limits.pair_e6),
                "total": _usd(limits.total_e6),
                "daily_loss": _usd(limits.daily_loss_e6),
            },
            "order_contracts": _usd(limits.order_contracts_e6),
            "tied_up_usd": _usd(used.total_e6),
            "unconfirmed_usd": _usd(used.provisional_e6),
            "realised_today_usd": _usd(used.realised_today_e6),
            "executions": {row["state"]: row["n"] for row in states},
        },
        as_json=json_,
    )


def _set(state: SwitchState, reason: str, *, as_json: bool) -> None:
    from streams.settings import load_settings
    from streams.storage.risk import set_switch

    with open_warehouse(load_settings()) as connection:
        switch_id = set_switch(connection, state, getpass.getuser(), reason)
    emit_document({"switch": state, "switch_id": switch_id, "reason": reason}, as_json=as_json)


def _usd(amount_e6: int) -> str:
    return f"{amount_e6 // 1_000_000}.{amount_e6 % 1_000_000:06d}" if amount_e6 >= 0 else f"-{_usd(-amount_e6)}"
