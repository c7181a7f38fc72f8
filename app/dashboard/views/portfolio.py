"""What is held on both venues, what it is worth, and what was earned."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from app.dashboard import charts, theme
from app.dashboard.data import REFRESH, read, show_chart, show_failed_tests, show_html
from app.queries.portfolio import (
    BalanceRow,
    PositionRow,
    load_balances,
    load_pnl_curve,
    load_pnl_days,
    load_pnl_summary,
    load_positions,
)
from app.queries.trades import OpenValues, load_open_values


def page() -> None:
    """Draw balances, PnL and positions."""
    st.title("Portfolio", anchor=False)
    show_failed_tests("positions", "pnl_daily", "trades", "balances")
    _live()


@st.fragment(run_every=REFRESH)
def _live() -> None:
    summary, balances, positions = read(load_pnl_summary), list(read(load_balances)), list(read(load_positions))
    values = read(load_open_values)
    cash = sum((row.cash_usd for row in balances), Decimal(0))
    marked = [row.value_usd for row in positions if row.value_usd is not None]
    unmarked = len(positions) - len(marked)
    note = f"{len(positions)} positions at mid" + (f", {unmarked} without a live quote" if unmarked else "")
    show_html(
        theme.tiles(
            [
                ("Cash at the venues", theme.money(cash) if balances else "–", f"{len(balances)} accounts read"),
                ("Positions", theme.money(sum(marked, Decimal(0))) if marked or not positions else "–", note),
                ("Realised PnL", theme.pnl(summary.realised_usd), f"{summary.settled} trades done"),
                ("Locked floor", theme.pnl(values.floor_usd), f"least that {values.trades} open trades end with"),
                ("Exit now", theme.pnl(values.exit_usd), _exit_note(values)),
                ("Settled cash", theme.pnl(values.settled_usd), "of open trades, so far and final"),
                ("Fees paid", theme.money(summary.fees_usd), "both venues"),
            ]
        )
    )
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Realised PnL, trade by trade", anchor=False)
        curve = read(load_pnl_curve)
        if curve:
            show_chart(charts.pnl_curve(curve), "portfolio-curve")
        else:
            show_html(theme.empty("No trade has settled yet.", "PnL is realised once every leg is settled or sold."))
    with right:
        st.subheader("By day", anchor=False)
        days = read(load_pnl_days, slow=True)
        if days:
            show_chart(charts.pnl_days(days), "portfolio-days")
        else:
            show_html(theme.empty("No day to show yet.", "The first trade starts the chart."))
    st.subheader("Accounts against our ledger", anchor=False)
    show_html(_balances(balances))
    st.subheader("Positions", anchor=False)
    show_html(_positions(positions))


def _exit_note(values: OpenValues) -> str:
    words = "open trades, all sold at the best bids, after fees"
    return f"{words}; {values.without_exit} without a live bid" if values.without_exit else words


def _balances(rows: list[BalanceRow]) -> str:
    if not rows:
        return theme.empty("No account was read yet.", "Balances are read when trading runs; check keys if it does.")
    cells = [
        [
            theme.venue_chip(row.venue),
            theme.money(row.cash_usd),
            theme.money(row.ledger_cash_usd),
            _comparison(row),
            theme.since(row.read_at),
        ]
        for row in rows
    ]
    columns = ["Venue", "Cash at the venue", "Cash in the ledger", "Comparison", "Read"]
    return theme.table(columns, cells, numeric=frozenset({"Cash at the venue", "Cash in the ledger"}))


def _comparison(row: BalanceRow) -> str:
    if row.difference_usd == 0:
        return theme.chip("equal", "good")
    differs = f"differs by {theme.money(row.difference_usd, signed=True, digits=4)}"
    if row.in_flight:
        return f"{theme.chip('orders in flight', 'info')} {differs} until they are booked"
    return theme.chip(differs, "bad")


def _mark(row: PositionRow) -> str:
    if row.mark_age_s is None:
        return "settlement value" if row.mark_source == "settlement" else "no live quote"
    seen = f"{theme.age(row.mark_age_s)} ago"
    return f"{seen} {theme.chip('stale', 'warn')}" if row.is_mark_stale else seen


def _positions(rows: list[PositionRow]) -> str:
    if not rows:
        return theme.empty("Nothing is held.", "Open hedges show their legs here until both settle.")
    cells = [
        [
            theme.venue_chip(row.venue),
            theme.text(theme.title(row.title)),
            theme.chip(row.outcome.upper(), "info"),
            theme.number(row.contracts),
            theme.money(row.cost_usd),
            theme.cents(row.mark),
            theme.money(row.value_usd),
            theme.pnl(row.unrealised_pnl_usd),
            _mark(row),
        ]
        for row in rows
    ]
    return theme.table(
        ["Venue", "Market", "Outcome", "Contracts", "Cost", "Mark", "Value", "Unrealised", "Marked"],
        cells,
        numeric=frozenset({"Contracts", "Cost", "Mark", "Value", "Unrealised"}),
        is_long=True,
    )
