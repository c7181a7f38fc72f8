"""What runs, how old it is, and what came of it."""

from __future__ import annotations

import streamlit as st

from app.dashboard import charts, theme
from app.dashboard.data import REFRESH, read, settings, show_chart, show_failed_tests, show_html
from app.queries.health import load_marts, load_sweeps
from app.queries.portfolio import load_pnl_curve, load_pnl_summary
from app.queries.status import system_status
from app.queries.trades import TradeRow, load_trades
from streams.storage.store.alerts import AlertStatus, list_alerts
from streams.storage.store.leases import list_recent_leases


def page() -> None:
    """Draw the overview."""
    st.title("Overview", anchor=False)
    show_failed_tests("trades", "pnl_daily")
    _live()


@st.fragment(run_every=REFRESH)
def _live() -> None:
    _show_alerts(list(read(list_alerts, open_only=True, limit=5)))
    status = read(system_status, trading_mode=settings().trading_mode, slow=True)
    _show_figures(status)
    st.subheader("Last trades", anchor=False)
    show_html(trade_table(list(read(load_trades, limit=8).rows)))
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.subheader("What runs", anchor=False)
        _show_processes()
    with right:
        st.subheader("Realised PnL", anchor=False)
        curve = read(load_pnl_curve)
        if curve:
            show_chart(charts.pnl_curve(curve), "overview-pnl")
        else:
            show_html(theme.empty("No trade has settled yet.", "The first ones settle minutes after they are hedged."))


def trade_table(rows: list[TradeRow]) -> str:
    """Return a table of trades as HTML."""
    if not rows:
        return theme.empty(
            "No trades yet.", "Trades appear once a pair is approved, recorded, and its edge passes the entry level."
        )
    cells = [
        [
            str(row.execution_id),
            theme.clock(row.started_at),
            theme.text(theme.title(row.title)),
            theme.chip(row.state),
            " + ".join(f"{leg['outcome'].upper()} {theme.venue_chip(leg['venue'])}" for leg in row.legs),
            theme.number(row.contracts),
            theme.cents(row.edge_usd),
            theme.pnl(row.expected_pnl_usd),
            theme.pnl(row.realised_pnl_usd),
        ]
        for row in rows
    ]
    return theme.table(
        ["#", "Started", "What", "State", "Legs", "Contracts", "Edge", "Expected", "Realised"],
        cells,
        numeric=frozenset({"Contracts", "Edge", "Expected", "Realised"}),
    )


def _show_alerts(alerts: list[AlertStatus]) -> None:
    for alert in alerts:
        show = st.error if alert.severity == "critical" else st.warning if alert.severity == "warning" else st.info
        show(f"{theme.plain(alert.message)} ({theme.since(alert.raised_at)})", icon=":material/notifications:")


def _show_figures(status: dict[str, object]) -> None:
    markets, pairs, gaps = (dict(status[key]) for key in ("markets", "pairs", "gaps"))  # type: ignore[call-overload]
    summary = read(load_pnl_summary)
    refusals = dict(status["refusals"])  # type: ignore[call-overload]
    venues = " · ".join(
        f"<nobr>{theme.venue_chip(venue)} {theme.number(count)}</nobr>" for venue, count in markets.items()
    )
    show_html(
        theme.tiles(
            [
                ("Markets", theme.number(sum(markets.values())), venues or "first discovery pending"),
                ("Pairs approved", theme.number(pairs.get("approved", 0)), f"{pairs.get('proposed', 0)} to decide on"),
                ("Book changes recorded", _count(status["deltas"]), f"{gaps['open']} of {gaps['total']} gaps open"),
                (
                    "Opportunities",
                    _count(status["signals"]),
                    f"{sum(refusals.values())} refusals with reasons",
                ),
                (
                    "Trades",
                    theme.number(summary.settled + summary.open),
                    f"{summary.open} open, {summary.settled} done",
                ),
                (
                    "Realised PnL",
                    theme.pnl(summary.realised_usd),
                    f"{summary.winning} won, {summary.losing} lost, fees {theme.money(summary.fees_usd)}",
                ),
            ]
        )
    )


def _show_processes() -> None:
    rows = []
    for lease in read(list_recent_leases):
        if lease.name.startswith(("shard:", "reconcile")):
            state = "alive" if lease.is_alive else "ended" if lease.is_released else "no heartbeat"
            tone = "good" if lease.is_alive else "mute" if lease.is_released else "bad"
            what = f"Recorder {lease.name}" if lease.name.startswith("shard:") else "Reconciliation"
            rows.append([theme.text(what), theme.chip(state, tone), f"heartbeat {theme.age(lease.age_s)} ago"])
    for sweep in read(load_sweeps):
        word, tone = ("failed", "bad") if sweep.error else ("done", "good") if sweep.ended_at else ("running", "info")
        rows.append(
            [
                f"Discovery {theme.venue_chip(sweep.venue)} ({theme.text(sweep.kind)})",
                theme.chip(word, tone),
                f"{theme.number(sweep.markets_seen)} markets, {theme.since(sweep.ended_at or sweep.started_at)}",
            ]
        )
    marts = read(load_marts, slow=True)
    ages = [mart.age_s for mart in marts if mart.age_s is not None]
    newest = f"newest minute {theme.age(min(ages))} old" if ages else "not built yet"
    rows.append(
        ["Warehouse models", theme.chip(f"{len(marts)} marts", "good" if marts else "warn"), newest],
    )
    show_html(theme.table(["Part", "State", "Age"], rows))


def _count(value: object) -> str:
    return theme.number(int(str(value)))
