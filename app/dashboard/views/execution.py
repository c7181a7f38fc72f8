"""How well trading is executed: what was missed, prices after fills, slippage, exposure, proof, fees and capital."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import streamlit as st

from app.dashboard import charts, theme
from app.dashboard.data import REFRESH_SLOW, read, show_chart, show_failed_tests, show_html
from app.queries.quality.execution import (
    LEAST,
    PERIODS,
    ExecutionReport,
    ExecutionStatistics,
    FillStatistics,
    FunnelReason,
    MarkoutStatistics,
    OrderStatistics,
    Period,
    VenueCapital,
    load_execution_report,
)

_VIEWS = (
    "funnel_by_reason", "executions_by_period", "orders_by_purpose", "fills_by_venue", "markouts",
    "capital_by_venue",
)  # fmt: skip
_WORDS = {"hour": "last hour", "day": "last day", "week": "last 7 days"}
_STAGES = {
    "hedged": "hedged", "under_way": "under way", "open": "still open", "passed": "over before anything was decided",
    "refused": "refused", "unfilled": "tried, nothing bought", "unwound": "bought and sold again",
    "escalated": "escalated",
}  # fmt: skip
_BARS = 12


def page() -> None:
    """Draw the statistics of one period and one trading mode."""
    st.title("Execution", anchor=False)
    show_failed_tests(*_VIEWS)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    period = left.segmented_control(
        "Period", list(PERIODS), default="day", format_func=_WORDS.__getitem__, key="execution-period"
    )
    mode = right.segmented_control("Orders", ["live", "paper"], default=None, key="execution-mode")
    _live(period or "day", mode)


@st.fragment(run_every=REFRESH_SLOW)
def _live(period: Period, wanted: str | None) -> None:
    report = read(load_execution_report, period, slow=True)
    mode = wanted or _used_mode(report)
    executions = next((row for row in report.executions if row.mode == mode), None)
    orders = [row for row in report.orders if row.mode == mode]
    fills = [row for row in report.fills if row.mode == mode]
    st.caption(
        f"{mode.capitalize()} orders of executions that began in the {_WORDS[period]}; newest signal "
        f"{theme.since(report.newest_signal_at)}, newest order {theme.since(report.newest_order_at)}. A figure is "
        f"shown from {LEAST['p50']} observations on, a 95th percentile from {LEAST['p95']}, a 99th from {LEAST['p99']}."
    )
    if executions is not None:
        show_html(_tiles(executions, orders))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Dollars missed, by reason", anchor=False)
        _show_missed(report.funnel)
    with right:
        st.subheader("How far signals came", anchor=False)
        show_html(_stages(report.funnel))
    if executions is None:
        show_html(theme.empty(f"Nothing was executed in the {_WORDS[period]}.", "Choose a longer period above."))
    else:
        _show_prices(executions, [row for row in report.markouts if row.mode == mode])
        st.subheader("Orders", anchor=False)
        show_html(_orders(orders))
        left, right = st.columns(2, gap="large")
        with left:
            st.subheader("Fees, predicted against charged", anchor=False)
            show_html(_fees(fills))
        with right:
            st.subheader("From MATCHED to CONFIRMED", anchor=False)
            show_html(_confirmations(fills))
    st.subheader("Capital by venue", anchor=False)
    show_html(_capital([row for row in report.capital if row.mode == mode], period))


def _used_mode(report: ExecutionReport) -> str:
    """Return the mode in which most was executed; live where nothing was."""
    most = max(report.executions, key=lambda row: row.executions, default=None)
    return "live" if most is None else most.mode


def _enough(shown: str, value: object, observations: int) -> str:
    """Return a figure as it is shown; where it has too few observations, that, and how many there are."""
    if value is not None:
        return shown
    return f"<span style='color:{theme.MUTED};font-size:.85rem;font-weight:400'>not enough data ({observations})</span>"


def _seconds(value: Decimal | None) -> str:
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:,.0f} ms"
    return f"{value:,.2f} s" if value < 100 else theme.age(value)


def _percent(value: Decimal | None) -> str:
    return "–" if value is None else f"{value * 100:.1f} %"


def _dollar_seconds(value: Decimal | None) -> str:
    return "–" if value is None else f"{value:,.2f} $·s"


def _tiles(row: ExecutionStatistics, orders: Sequence[OrderStatistics]) -> str:
    sent = sum(order.sent for order in orders)
    unknowns, unproven = sum(order.unknowns for order in orders), sum(order.unproven for order in orders)
    waiting = theme.chip(f"{unproven} without proof", "bad") if unproven else "all proven since"
    return theme.tiles(
        [
            ("Executions", theme.number(row.executions), f"{row.hedged} hedged, {row.escalated} escalated"),
            (
                "Gap between legs, median",
                _enough(_seconds(row.leg_gap_p50_s), row.leg_gap_p50_s, row.leg_gaps),
                f"p95 {_enough(_seconds(row.leg_gap_p95_s), row.leg_gap_p95_s, row.leg_gaps)}, "
                f"p99 {_enough(_seconds(row.leg_gap_p99_s), row.leg_gap_p99_s, row.leg_gaps)}",
            ),
            (
                "Exposure, dollars times seconds",
                _dollar_seconds(row.exposure_usd_s),
                f"median {_enough(_dollar_seconds(row.exposure_p50_usd_s), row.exposure_p50_usd_s, row.exposures)}, "
                f"most {_dollar_seconds(row.exposure_max_usd_s)}; at a time {theme.money(row.peak_exposure_usd)}",
            ),
            (
                "Unwinds",
                theme.number(row.unwinds),
                f"{theme.number(row.unwound_contracts)} contracts, cost {theme.money(row.unwind_cost_usd)}",
            ),
            ("Unknown orders", theme.number(unknowns), f"of {theme.number(sent)} sent, {waiting}"),
        ]
    )


def _show_missed(rows: Sequence[FunnelReason]) -> None:
    missed = [row for row in rows if row.missed_usd > 0]
    if not missed:
        show_html(theme.empty("Nothing was missed.", "Signals that end without a hedge are counted by their reason."))
        return
    show_chart(charts.missed_chart(missed[:_BARS]), "execution-missed")
    rest = sum((row.missed_usd for row in missed[_BARS:]), Decimal(0))
    others = f" {len(missed) - _BARS} other reasons: {theme.plain(theme.money(rest))}." if rest else ""
    st.caption(f"Each signal counts once with its profit at the peak, by what ended it.{others}")


def _stages(rows: Sequence[FunnelReason]) -> str:
    if not rows:
        return theme.empty("No signal opened.", "Signals come while the books of related markets are recorded.")
    total = sum(row.signals for row in rows)
    cells = []
    for stage, words in _STAGES.items():
        here = [row for row in rows if row.stage == stage]
        if not here:
            continue
        count = sum(row.signals for row in here)
        profit = sum((row.profit_usd for row in here), Decimal(0))
        cells.append([theme.text(words), theme.number(count), _percent(Decimal(count) / total), theme.money(profit)])
    whole = sum((row.profit_usd for row in rows), Decimal(0))
    cells.append(["<b>all</b>", theme.number(total), "", theme.money(whole)])
    return theme.table(
        ["Signals", "Count", "Share", "Profit at the peak"],
        cells,
        numeric=frozenset({"Count", "Share", "Profit at the peak"}),
    )


def _show_prices(row: ExecutionStatistics, markouts: Sequence[MarkoutStatistics]) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("From planned to locked", anchor=False)
        if row.compared:
            show_chart(charts.split_chart(row), "execution-split")
            st.caption(
                f"{row.compared} executions that have ended. Opening and completing: paid beyond the plan for what was "
                "kept. Not filled: profit of what was not bought, and the cost of what stays unmatched."
            )
        else:
            show_html(theme.empty("No execution has ended yet.", "The split is made when a hedge has ended."))
    with right:
        st.subheader("Markouts", anchor=False)
        if any(entry.markout is not None for entry in markouts):
            show_chart(charts.markout_chart(markouts), "execution-markouts")
        show_html(_markouts(markouts))


def _markouts(rows: Sequence[MarkoutStatistics]) -> str:
    if not rows:
        return theme.empty("Nothing was filled.", "Markouts follow the fair price for 30 seconds after each fill.")
    horizons = sorted({row.horizon_s for row in rows})
    columns = [f"{horizon:g} s" for horizon in horizons]
    cells = []
    for venue, purpose in dict.fromkeys((row.venue, row.purpose) for row in rows):
        here = {row.horizon_s: row for row in rows if (row.venue, row.purpose) == (venue, purpose)}
        fills = max(row.fills for row in here.values())
        shown = [_enough(_signed_cents(row.markout), row.markout, row.observations) for _, row in sorted(here.items())]
        cells.append([theme.venue_chip(venue), theme.text(purpose), theme.number(fills), *shown])
    return theme.table(["Venue", "Orders", "Fills", *columns], cells, numeric=frozenset({"Fills", *columns}))


def _signed_cents(value: Decimal | None) -> str:
    if value is None:
        return "–"
    colour = theme.MUTED if not value else theme.GOOD if value > 0 else theme.BAD
    return f"<span style='color:{colour}'>{'+' if value > 0 else ''}{theme.cents(value)}</span>"


def _orders(rows: Sequence[OrderStatistics]) -> str:
    if not rows:
        return theme.empty("No order was written.", "The reasons above say why.")
    cells = [
        [
            theme.venue_chip(row.venue),
            theme.text(row.purpose),
            f"{theme.number(row.sent)} of {theme.number(row.orders)}",
            _enough(_percent(row.fill_ratio), row.fill_ratio, row.sent),
            "–" if row.slippage_usd is None else theme.pnl(-row.slippage_usd),
            _enough(_seconds(row.answer_p50_s), row.answer_p50_s, row.answers),
            _enough(_seconds(row.answer_p95_s), row.answer_p95_s, row.answers),
            theme.number(row.unknowns),
            theme.chip(str(row.unproven), "bad") if row.unproven else "0",
            _enough(_seconds(row.proof_p50_s), row.proof_p50_s, row.proofs),
            _seconds(row.proof_max_s),
        ]
        for row in rows
    ]
    columns = [
        "Venue", "Purpose", "Sent", "Fill ratio", "Against plan", "Answer p50", "Answer p95", "Unknown", "No proof yet",
        "Proof p50", "Longest proof",
    ]  # fmt: skip
    return theme.table(columns, cells, numeric=frozenset(columns[2:]))


def _fees(rows: Sequence[FillStatistics]) -> str:
    compared = [row for row in rows if row.fees_compared]
    if not compared:
        return theme.empty("No fee to compare.", "Kalshi states the fee of each fill; Polymarket states none.")
    cells = [
        [
            theme.venue_chip(row.venue),
            f"{theme.number(row.fees_compared)} of {theme.number(row.fills)}",
            theme.money(row.predicted_fee_usd, digits=4),
            theme.money(row.charged_fee_usd, digits=4),
            theme.money(row.fee_difference_usd, signed=True, digits=6)
            if row.fee_difference_usd
            else theme.chip("equal", "good"),
        ]
        for row in compared
    ]
    columns = ["Venue", "Fills compared", "Predicted", "Charged", "Difference"]
    return theme.table(columns, cells, numeric=frozenset(columns[1:]))


def _confirmations(rows: Sequence[FillStatistics]) -> str:
    if not rows:
        return theme.empty("Nothing was filled.", "A match of Polymarket counts as provisional until it is confirmed.")
    cells = [
        [
            theme.venue_chip(row.venue),
            theme.number(row.fills),
            _provisional(row),
            theme.chip(str(row.failed), "bad") if row.failed else "0",
            _enough(_seconds(row.confirmed_after_p50_s), row.confirmed_after_p50_s, row.confirmations),
            _enough(_seconds(row.confirmed_after_p95_s), row.confirmed_after_p95_s, row.confirmations),
            _seconds(row.confirmed_after_max_s),
        ]
        for row in rows
    ]
    columns = ["Venue", "Fills", "Provisional", "Failed", "p50", "p95", "Longest"]
    return theme.table(columns, cells, numeric=frozenset(columns[1:]))


def _provisional(row: FillStatistics) -> str:
    if not row.provisional:
        return "0"
    return f"{theme.number(row.provisional)}, oldest {theme.since(row.oldest_provisional_at)}"


def _capital(rows: Sequence[VenueCapital], period: Period) -> str:
    if not rows:
        return theme.empty("No account was read yet.", "Balances are read when trading runs; check keys if it does.")
    cells = [
        [
            theme.venue_chip(row.venue),
            "–" if row.capital_usd_days is None else f"{row.capital_usd_days:,.2f} $·d",
            theme.money(row.tied_up_usd),
            theme.money(row.cash_usd),
            theme.money(row.reserved_usd),
            theme.money(row.idle_usd),
            _percent(row.idle_share),
            theme.since(row.read_at),
        ]
        for row in rows
    ]
    columns = [
        "Venue", f"Capital-days, {_WORDS[period]}", "Tied up now", "Cash", "Reserved", "Idle", "Idle share", "Read",
    ]  # fmt: skip
    return theme.table(columns, cells, numeric=frozenset(columns[1:]))
