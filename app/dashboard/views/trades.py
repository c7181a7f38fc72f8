"""What was traded, and everything that happened in one trade."""

from __future__ import annotations

import re
from decimal import Decimal

import pandas as pd
import streamlit as st

from app.dashboard import theme
from app.dashboard.acts import act_on_click, ask_again, barred, show_outcome
from app.dashboard.data import REFRESH, read, read_now, settings, show_failed_tests, show_html
from app.dashboard.selection import hold, table_options
from app.doors.roles import Act
from app.operator_actions import ask_flatten
from app.queries.flatten import FlattenOffer, load_flatten_offer
from app.queries.trades import (
    FillRow,
    OrderRow,
    TradeDetail,
    TradeFilter,
    TradeRow,
    count_trade_states,
    load_trade,
    load_trades,
)

_ALL = "all"


def page() -> None:
    """Draw the list of trades and the chosen one."""
    st.title("Trades", anchor=False)
    show_failed_tests("trades", "orders", "fills")
    show_outcome("flatten-dialog")  # of a dialog that was closed before it could tell
    counts = read(count_trade_states)
    if not counts:
        show_html(
            theme.empty(
                "No trades yet.",
                "A trade starts when an opportunity on an approved pair passes the gate; see Opportunities.",
            )
        )
        return
    state = st.segmented_control(
        "State",
        [_ALL, *counts],
        default=_ALL,
        format_func=lambda key: f"{key.lower()} ({counts.get(key, sum(counts.values()))})",
        label_visibility="collapsed",
        key="trade-state",
    )
    wanted = TradeFilter(state=None if state in (None, _ALL) else state)
    rows = list(read(load_trades, wanted, limit=300).rows)
    if not rows:
        show_html(theme.empty("No trade in this state.", "Choose another state above."))
        return
    chosen = _choose(rows)
    _show_trade(int(chosen) if re.fullmatch("[0-9]{1,18}", chosen) else 0)


def _choose(rows: list[TradeRow]) -> str:
    """Draw the list and return the id of the chosen trade."""
    ids = [str(row.execution_id) for row in rows]
    choice = hold("trade", ids)
    assert choice is not None  # there are rows
    frame = pd.DataFrame(
        {
            "#": [row.execution_id for row in rows],
            "Started (UTC)": [theme.clock(row.started_at) for row in rows],
            "What": [theme.cell(row.title) for row in rows],
            "State": [row.state.lower() for row in rows],
            "Contracts": [theme.number(row.contracts) for row in rows],
            "Edge": [theme.cents(row.edge_usd) for row in rows],
            "Fees": [theme.money(row.fees_usd) for row in rows],
            "Locked floor": [theme.money(row.locked_floor_usd, signed=True) for row in rows],
            "Exit now": [theme.money(row.exit_value_usd, signed=True) for row in rows],
            "Settled cash": [theme.money(row.settled_cash_usd, signed=True) for row in rows],
            "Realised PnL": [theme.money(row.realised_pnl_usd, signed=True) for row in rows],
            "A year": [_percent(row.return_on_capital) for row in rows],
        }
    )
    st.dataframe(
        frame.style.map(_tone, subset=["Locked floor", "Exit now", "Settled cash", "Realised PnL"]),
        hide_index=True,
        height=min(320, 38 + 35 * len(rows)),
        column_config={"What": st.column_config.TextColumn(width=290)},
        **table_options("trade", ids, choice),
    )
    if not choice.is_listed:
        st.caption(f"Trade {theme.plain(choice.row_id)} is chosen and not in this list; a click chooses another one.")
    return choice.row_id


def _percent(share: Decimal | None) -> str:
    return "–" if share is None else f"{share * 100:+.1f} %"


def _tone(cell: object) -> str:
    sign = str(cell)[:1]
    return f"color: {theme.BAD if sign == '-' else theme.GOOD if sign == '+' else theme.MUTED}"


@st.fragment(run_every=REFRESH)
def _show_trade(execution_id: int) -> None:
    detail = read(load_trade, execution_id)
    if detail is None:
        show_html(theme.empty("This trade is gone.", "Choose another one."))
        return
    trade = detail.trade
    st.subheader(f"Trade {trade.execution_id}", anchor=False)
    show_html(
        f"<p style='margin:.1rem 0 .6rem'>{theme.chip(trade.state)} &nbsp;"
        f"<b>{theme.text(theme.title(trade.title))}</b> "
        f"<span style='color:{theme.MUTED}'>{theme.text(trade.kind)}, opportunity {trade.signal_id}, "
        f"{theme.text(trade.environment)} {theme.text(trade.mode)}</span></p>"
    )
    show_html(_figures(detail))
    if trade.state.upper() == "ESCALATED":
        st.error(
            "This hedge needs a person: part of it is exposed. Check the orders below against the venue, then flatten.",
            icon=":material/warning:",
        )
    left, right = st.columns([3, 1.6], gap="large")
    with left:
        st.subheader("Legs", anchor=False)
        show_html(_legs(trade))
        st.subheader("Orders", anchor=False)
        show_html(_orders(detail.orders))
        st.subheader("Fills", anchor=False)
        show_html(_fills(detail.fills))
    with right:
        st.subheader("Timeline", anchor=False)
        show_html(_timeline(detail))
        _show_flatten(trade)


def _figures(detail: TradeDetail) -> str:
    trade = detail.trade
    took = "–" if trade.flat_at is None else f"{(trade.flat_at - trade.started_at).total_seconds():.2f} s"
    return theme.tiles(
        [
            ("Cost", theme.money(trade.cost_usd), f"fees {theme.money(trade.fees_usd)}"),
            ("Edge at decision", theme.cents(trade.edge_usd), f"{theme.number(trade.contracts)} contracts"),
            ("Locked floor", theme.pnl(trade.locked_floor_usd), "least in a normal outcome"),
            ("Exit now", theme.pnl(trade.exit_value_usd), "all sold at the best bids, after fees"),
            ("Settled cash", theme.pnl(trade.settled_cash_usd), "of it final"),
            ("Realised", theme.pnl(trade.realised_pnl_usd), _ended(trade)),
            (
                "Return on capital",
                _percent(trade.return_on_capital),
                f"a year; {theme.number(trade.capital_dollar_days or Decimal(0))} dollar-days",
            ),
            ("Time to hedge", took, f"started {theme.clock(trade.started_at)} UTC"),
        ]
    )


def _ended(trade: TradeRow) -> str:
    if trade.settled_at is None:
        return "not settled yet"
    return f"{'closed' if trade.state == 'FLAT' else 'settled'} {theme.clock(trade.settled_at)}"


def _legs(trade: TradeRow) -> str:
    rows = [
        [
            theme.venue_chip(leg["venue"]),
            theme.chip(leg["outcome"].upper(), "info"),
            theme.text(theme.title(leg["title"])),
            f"{float(leg['filled']):g} of {float(leg['contracts']):g}",
        ]
        for leg in trade.legs
    ]
    return theme.table(["Venue", "Buys", "Market", "Held of planned"], rows, numeric=frozenset({"Held of planned"}))


def _orders(orders: tuple[OrderRow, ...]) -> str:
    if not orders:
        return theme.empty("No order was written.", "The timeline says why.")
    rows = [
        [
            str(order.order_id),
            theme.text(order.purpose),
            f"{theme.text(order.action)} {order.outcome.upper()} {theme.venue_chip(order.venue)}",
            theme.chip(order.state) + _reason(order),
            theme.cents(order.limit_price),
            theme.cents(order.average_price),
            f"{theme.number(order.filled)} / {theme.number(order.contracts)}",
            theme.money(order.fee_usd),
            _latency(order),
        ]
        for order in orders
    ]
    columns = ["#", "Purpose", "Order", "State", "Limit", "Average", "Filled", "Fee", "Answer"]
    return theme.table(columns, rows, numeric=frozenset({"Limit", "Average", "Filled", "Fee", "Answer"}))


def _reason(order: OrderRow) -> str:
    return f"<br><small>{theme.text(order.reason)}</small>" if order.reason not in ("", order.state) else ""


def _latency(order: OrderRow) -> str:
    if order.sent_at is None or order.answered_at is None:
        return "–"
    return f"{(order.answered_at - order.sent_at).total_seconds() * 1000:.0f} ms"


def _fills(fills: tuple[FillRow, ...]) -> str:
    if not fills:
        return theme.empty("Nothing was filled.", "Orders without a fill cost nothing.")
    rows = [
        [
            theme.clock(fill.filled_at, millis=True),
            f"{theme.text(fill.action)} {fill.outcome.upper()} {theme.venue_chip(fill.venue)}",
            theme.number(fill.contracts),
            theme.money(fill.cash_usd),
            theme.money(fill.fee_usd),
            theme.chip(fill.state),
        ]
        for fill in fills
    ]
    return theme.table(
        ["At (UTC)", "Fill", "Contracts", "Cash", "Fee", "State"], rows, numeric=frozenset({"Contracts", "Cash", "Fee"})
    )


def _timeline(detail: TradeDetail) -> str:
    if not detail.events:
        return theme.empty("No event yet.", "The run has not written its first step.")
    steps = "".join(
        f'<div><span class="cb-at">{theme.clock(event.happened_at, millis=True)}</span>{theme.text(event.what)} '
        f"{theme.chip(event.state)}</div>"
        for event in detail.events
    )
    refused = "".join(f"<div>{theme.text(reason)}</div>" for reason in detail.refusals)
    return f'<div class="cb-line">{steps}{refused}</div>'


def _show_flatten(trade: TradeRow) -> None:
    if trade.settled_at is not None:
        return
    if st.button(
        f"Flatten trade {trade.execution_id}",
        icon=":material/south:",
        key=f"flatten-{trade.execution_id}",
        **barred(Act.FLATTEN),
    ):
        _confirm_flatten(trade.execution_id)


@st.dialog("Flatten a trade")
def _confirm_flatten(execution_id: int) -> None:
    if show_outcome("flatten-dialog"):
        st.rerun()
    offer = read_now(load_flatten_offer, execution_id, settings().flatten_slippage_usd)
    if offer is None or offer.is_settled:
        st.info(f"Trade {execution_id} has settled; there is nothing to flatten.")
        return
    st.write(f"**Trade {offer.execution_id}**, {offer.state.lower()}: {theme.plain(theme.title(offer.title))}")
    st.write("This sells, through the path that only lowers exposure:")
    for sentence in offer.sentences:
        st.write(f"- {theme.plain(sentence)}")
    least = "not known while a leg has no bid" if offer.least_usd is None else theme.money(offer.least_usd)
    st.write(f"At worst it brings {theme.plain(least)}, before fees. What cannot be sold within these prices stays.")
    st.text_input("Reason", max_chars=1000, key="flatten-reason")
    ask_again("flatten-dialog", Act.FLATTEN)
    st.button(
        f"Confirm: flatten trade {execution_id}",
        type="primary",
        key="flatten-confirm",
        on_click=_flatten,
        args=(offer,),
    )


def _flatten(offer: FlattenOffer) -> None:
    """Ask for the flatten that was on the screen."""
    act_on_click(
        "flatten-dialog",
        ask_flatten,
        offer.execution_id,
        reason=str(st.session_state.get("flatten-reason", "")),
        seen=offer,
        done=f"Flatten of trade {offer.execution_id} requested; the next settlement cycle takes it up.",
    )
