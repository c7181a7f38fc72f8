"""What runs, how old it is, and what came of it."""

from __future__ import annotations

import streamlit as st

from app.dashboard import charts
from app.dashboard import theme as look
from app.dashboard.data import REFRESH, read, settings, show_chart, show_html
from app.queries.health import AlertRow, load_alerts, load_leases, load_marts, load_sweeps
from app.queries.portfolio import load_pnl_curve, load_pnl_summary
from app.queries.status import system_status
from app.queries.trades import TradeRow, load_trades


def page() -> None:
    """Draw the overview."""
    st.title("Overview", anchor=False)
    _live()


@st.fragment(run_every=REFRESH)
def _live() -> None:
    _show_alerts(list(read(load_alerts, open_only=True, limit=5)))
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
            show_html(look.empty("No trade has settled yet.", "The first ones settle minutes after they are hedged."))


def trade_table(rows: list[TradeRow]) -> str:
    """Return a table of trades as HTML."""
    if not rows:
        return look.empty(
            "No trades yet.", "Trades appear once a pair is approved, recorded, and its edge passes the entry level."
        )
    cells = [
        [
            str(row.execution_id),
            look.clock(row.started_at),
            look.text(look.title(row.title)),
            look.chip(row.state),
            " + ".join(f"{leg['outcome'].upper()} {look.venue_chip(leg['venue'])}" for leg in row.legs),
            look.number(row.contracts),
            look.cents(row.edge_usd),
            look.pnl(row.expected_pnl_usd),
            look.pnl(row.realised_pnl_usd),
        ]
        for row in rows
    ]
    return look.table(
        ["#", "Started", "What", "State", "Legs", "Contracts", "Edge", "Expected", "Realised"],
        cells,
        numeric=frozenset({"Contracts", "Edge", "Expected", "Realised"}),
    )


def _show_alerts(alerts: list[AlertRow]) -> None:
    for alert in alerts:
        show = st.error if alert.severity == "critical" else st.warning if alert.severity == "warning" else st.info
        show(f"{look.plain(alert.message)} ({look.since(alert.raised_at)})", icon=":material/notifications:")


def _show_figures(status: dict[str, object]) -> None:
    markets, pairs, gaps = (dict(status[key]) for key in ("markets", "pairs", "gaps"))  # type: ignore[call-overload]
    summary = read(load_pnl_summary)
    refusals = dict(status["refusals"])  # type: ignore[call-overload]
    venues = " · ".join(
        f"<nobr>{look.venue_chip(venue)} {look.number(count)}</nobr>" for venue, count in markets.items()
    )
    show_html(
        look.tiles(
            [
                ("Markets", look.number(sum(markets.values())), venues or "first discovery pending"),
                ("Pairs approved", look.number(pairs.get("approved", 0)), f"{pairs.get('proposed', 0)} to decide on"),
                ("Book changes recorded", _count(status["deltas"]), f"{gaps['open']} of {gaps['total']} gaps open"),
                (
                    "Opportunities",
                    _count(status["signals"]),
                    f"{sum(refusals.values())} refusals with reasons",
                ),
                (
                    "Trades",
                    look.number(summary.settled + summary.open),
                    f"{summary.open} open, {summary.settled} done",
                ),
                (
                    "Realised PnL",
                    look.pnl(summary.realised_usd),
                    f"{summary.winning} won, {summary.losing} lost, fees {look.money(summary.fees_usd)}",
                ),
            ]
        )
    )


def _show_processes() -> None:
    rows = []
    for lease in read(load_leases):
        if lease.name.startswith(("shard:", "reconcile")):
            state = "alive" if lease.is_alive else "ended" if lease.is_released else "no heartbeat"
            tone = "good" if lease.is_alive else "mute" if lease.is_released else "bad"
            what = f"Recorder {lease.name}" if lease.name.startswith("shard:") else "Reconciliation"
            rows.append([look.text(what), look.chip(state, tone), f"heartbeat {look.age(lease.age_s)} ago"])
    for sweep in read(load_sweeps):
        word, tone = ("failed", "bad") if sweep.error else ("done", "good") if sweep.ended_at else ("running", "info")
        rows.append(
            [
                f"Discovery {look.venue_chip(sweep.venue)} ({look.text(sweep.kind)})",
                look.chip(word, tone),
                f"{look.number(sweep.markets_seen)} markets, {look.since(sweep.ended_at or sweep.started_at)}",
            ]
        )
    marts = read(load_marts, slow=True)
    ages = [mart.age_s for mart in marts if mart.age_s is not None]
    newest = f"newest minute {look.age(min(ages))} old" if ages else "not built yet"
    rows.append(
        ["Warehouse models", look.chip(f"{len(marts)} marts", "good" if marts else "warn"), newest],
    )
    show_html(look.table(["Part", "State", "Age"], rows))


def _count(value: object) -> str:
    return look.number(int(str(value)))
