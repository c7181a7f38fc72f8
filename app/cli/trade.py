"""`crossbook trade`: the trading switch, what is open, and the sale of all legs of one trade."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.operator_actions import ByOption, ReasonOption, acting, refusals_as_exit_codes
from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail, warn
from app.cli.warehouse import open_warehouse
from streams.documents import plain_decimal, plain_whole
from streams.market.units import cash_decimal

if TYPE_CHECKING:
    from app.queries.accounts import AccountView
    from app.queries.flatten import FlattenOffer
    from streams.market.trading import SwitchState

ExecutionArgument = Annotated[
    int, typer.Argument(parser=plain_whole, help="Number of the trade, as the dashboard shows it.")
]

OrderArgument = Annotated[
    int, typer.Argument(parser=plain_whole, help="Number of the order, as `trade orders` shows it.")
]
VenueArgument = Annotated[str, typer.Argument(help="kalshi or polymarket.")]

_PATIENCE_S = 10.0
"""How long a switch waits for a connection of a server that has none left."""


def register(cli: typer.Typer) -> None:
    """Add the commands."""
    trade = typer.Typer(help="Switch trading, sell one trade, show what is open.", no_args_is_help=True)
    trade.command("pause")(pause)
    trade.command("reduce")(reduce)
    trade.command("resume")(resume)
    trade.command("kill")(kill)
    trade.command("flatten")(flatten)
    trade.command("orders")(orders)
    trade.command("resolve")(resolve)
    trade.command("list")(list_trades)
    trade.command("accounts")(accounts)
    trade.command("reopen")(reopen)
    trade.command("status")(status)
    cli.add_typer(trade, name="trade")


def pause(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Open nothing new; open executions finish. Lifts no kill."""
    _set("pause", reason, by, as_json=json_)


def reduce(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Send only orders that lower exposure. Lifts no kill."""
    _set("reduce", reason, by, as_json=json_)


def resume(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Trade again."""
    _set("run", reason, by, as_json=json_)


def kill(reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Send nothing; resting orders are cancelled, open executions become ESCALATED.

    In force at once; then waits at most two seconds for orders under way and names those still open. Where the
    warehouse does not answer, the kill lies in the folder `kill` of CROSSBOOK_HOME: in force for this machine, and
    recorded as soon as the warehouse is there.
    """
    _kill(reason, by, as_json=json_)


def flatten(
    execution_id: ExecutionArgument,
    reason: ReasonOption = "",
    by: ByOption = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json_: JsonOption = False,
) -> None:
    """Ask to sell all that a trade holds, within a bound below the best bids; the next settlement cycle does it.

    What it would sell, and the worst price of each leg, is named and confirmed first.
    """
    from app.operator_actions import ask_flatten, offer_flatten
    from streams.settings import load_settings

    settings = load_settings()
    with refusals_as_exit_codes(), open_warehouse(settings) as connection:
        who, why = acting(by, reason)
        offer = offer_flatten(connection, execution_id, settings.flatten_slippage_usd)
        _name(offer)
        if not yes and not _is_confirmed(f"Flatten trade {execution_id}?"):
            fail("Nothing was asked for.", ExitCode.REFUSED)
        command_id = ask_flatten(connection, execution_id, who=who, reason=why, seen=offer)
    document = {
        "command_id": command_id,
        "execution_id": execution_id,
        "asked_by": who,
        "reason": why,
        "least_usd": None if offer.least_usd is None else _text(offer.least_usd),
        "sells": [
            {
                "venue": leg.venue,
                "market_id": leg.market_id,
                "outcome": leg.outcome,
                "contracts": leg.contracts,
                "best_bid": leg.best_bid,
                "worst_price": leg.worst_price,
            }
            for leg in offer.legs
        ],
    }
    emit_document(document, as_json=json_)


def orders(json_: JsonOption = False) -> None:
    """Print the orders whose fate is not known."""
    from streams.settings import load_settings
    from streams.storage.store.hedges.unknown_orders import load_unknown_orders

    settings = load_settings()
    with open_warehouse(settings) as connection:
        found = load_unknown_orders(connection, settings.trading_mode)
    emit_lines([asdict(order) for order in found], as_json=json_)


def resolve(  # noqa: PLR0913 - one parameter per option
    order_id: OrderArgument,
    absent: Annotated[bool, typer.Option("--absent", help="It never arrived at its venue.")] = False,
    filled: Annotated[
        Decimal | None, typer.Option(parser=plain_decimal, help="Contracts that have filled in all.", metavar="N")
    ] = None,
    price: Annotated[
        Decimal | None,
        typer.Option(parser=plain_decimal, help="Their average price; the order's limit if left out.", metavar="P"),
    ] = None,
    reason: ReasonOption = "",
    by: ByOption = "",
    json_: JsonOption = False,
) -> None:
    """Say what became of an order of unknown fate; --reason must say where you saw it.

    The next settlement cycle books it. The order is looked for all the same: if its venue shows another fate later,
    that is booked instead, an alarm is raised, and the account only reduces.
    """
    from app.order_actions import resolve_order
    from streams.settings import load_settings

    if absent == (filled is not None):
        fail("Say either --absent or --filled N.", ExitCode.USAGE)
    with refusals_as_exit_codes(), open_warehouse(load_settings()) as connection:
        who, why = acting(by, reason)
        number = filled if filled is not None else Decimal(0)
        command_id = resolve_order(connection, order_id, filled=number, price=price, who=who, reason=why)
    document = {"command_id": command_id, "order_id": order_id, "filled": number, "asked_by": who, "reason": why}
    emit_document(document, as_json=json_)


def list_trades(
    state: Annotated[str | None, typer.Option("--state", help="HEDGED, SETTLED, FLAT, ESCALATED, ...")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Most trades.")] = 50,
    json_: JsonOption = False,
) -> None:
    """Print trades, newest first: locked floor, value if sold now, settled cash, and return on capital-days."""
    from app.queries.trades import TradeFilter, load_trades
    from streams.settings import load_settings

    with open_warehouse(load_settings()) as connection:
        found = load_trades(connection, TradeFilter(state=state), limit=limit).rows
    emit_lines([asdict(trade) for trade in found], as_json=json_)


def accounts(json_: JsonOption = False) -> None:
    """Print each account beside our books: whether it may open, what differs, and what others did on it."""
    from app.queries.accounts import load_accounts
    from streams.settings import load_settings

    settings = load_settings()
    with open_warehouse(settings) as connection:
        found = load_accounts(connection, settings.trading_mode)
    emit_lines([_account(view) for view in found], as_json=json_)


def reopen(venue: VenueArgument, reason: ReasonOption = "", by: ByOption = "", json_: JsonOption = False) -> None:
    """Let an account that only reduces open again; --reason must say what explains it.

    It acknowledges the breaks and what others did so far: the differences that were shown are booked to `foreign`.
    """
    from app.account_actions import reopen_account
    from streams.settings import load_settings

    settings = load_settings()
    with refusals_as_exit_codes(), open_warehouse(settings) as connection:
        who, why = acting(by, reason)
        switch_id = reopen_account(connection, venue, mode=settings.trading_mode, who=who, reason=why)
    emit_document({"venue": venue, "state": "run", "switch_id": switch_id, "reason": why}, as_json=json_)


def _account(view: AccountView) -> dict[str, Any]:
    """Return one account as a document."""
    return asdict(view)


def status(json_: JsonOption = False) -> None:
    """Print the switch, the limits in force, the cash in open executions, and what is open."""
    from app.queries.risk import load_exposure
    from app.queries.trades import count_trade_states
    from streams.settings import load_settings
    from streams.storage.kill_files import is_kill_on_disk
    from streams.storage.store.risk import current_limits, last_switch

    settings = load_settings()
    with open_warehouse(settings) as connection:
        switch, limits = last_switch(connection), current_limits(connection, settings)
        at_stake, states = load_exposure(connection, settings.trading_mode), count_trade_states(connection)
    emit_document(
        {
            "switch": switch.state if switch and not is_kill_on_disk(settings.home_dir) else "kill",
            "is_kill_on_disk": is_kill_on_disk(settings.home_dir),
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


def _name(offer: FlattenOffer) -> None:
    """Say on stderr what a flatten would sell."""
    least = "unknown while a leg has no bid" if offer.least_usd is None else f"${_text(offer.least_usd)}"
    lines = [f"Trade {offer.execution_id}, {offer.state}: {offer.title}", *offer.sentences]
    for line in [*lines, f"At worst it brings {least}, before fees."]:
        warn(line)


def _is_confirmed(question: str) -> bool:
    """Ask on stderr; whoever cannot answer has not confirmed."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False


def _set(state: SwitchState, reason: str, by: str, *, as_json: bool) -> None:
    from app.operator_actions import switch_trading
    from streams.settings import load_settings
    from streams.storage.store.risk import last_switch

    settings = load_settings()
    with refusals_as_exit_codes(), open_warehouse(settings, patience_s=_PATIENCE_S) as connection:
        who, why = acting(by, reason)
        before = last_switch(connection)
        if state != "run" and before is not None and before.state == "kill":
            fail(
                f"Trading is killed, which stops more than {state}: nothing was changed. `crossbook trade resume` "
                "lifts a kill.",
                ExitCode.REFUSED,
            )
        switch_id, _ = switch_trading(
            connection,
            state,
            who=who,
            reason=why,
            seen=None if before is None else before.seen,
            home=settings.home_dir,
        )
    document: dict[str, Any] = {"switch": state, "switch_id": switch_id, "reason": why}
    if before is not None:
        document["before"] = before.state
    emit_document(document, as_json=as_json)


def _kill(reason: str, by: str, *, as_json: bool) -> None:
    """Kill: reads nothing first, and waits for nothing that may not come."""
    from app.kill import ON_DISK, kill_first
    from app.operator_actions import UnderWay, switch_trading
    from streams.settings import load_settings

    settings, (who, why) = load_settings(), acting(by, reason, is_kill=True)

    def write_row() -> tuple[int, UnderWay]:
        with open_warehouse(settings, patience_s=_PATIENCE_S) as connection:
            return switch_trading(connection, "kill", who=who, reason=why, wait_s=settings.kill_wait_s)

    written = kill_first(settings.home_dir, write_row, who=who, reason=why, within_s=_PATIENCE_S + settings.kill_wait_s)
    switch_id, under_way = written or (None, UnderWay([], is_intent_open=False, is_known=False))
    if written is None:
        warn(ON_DISK)
    document = {
        "switch": "kill",
        "switch_id": switch_id,
        "reason": why,
        "is_recorded": written is not None,
        "under_way": [asdict(order) for order in under_way.orders],
        "is_under_way_known": under_way.is_known,
        "is_intent_open": under_way.is_intent_open,
    }
    emit_document(document, as_json=as_json)


def _usd(amount_e6: int) -> str:
    return _text(cash_decimal(amount_e6))


def _text(amount: Decimal) -> str:
    return f"{amount:.6f}"
