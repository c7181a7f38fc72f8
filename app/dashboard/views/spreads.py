"""How far apart the two venues are, over time."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from app.dashboard import charts, theme
from app.dashboard.data import REFRESH, read, show_chart, show_failed_tests, show_html
from app.dashboard.selection import pick
from app.queries.pairs import PairRow, load_pairs
from app.queries.spreads import SpreadMinute, load_latest_spreads, load_longest_history, load_spread_history


def page() -> None:
    """Draw the spread of one pair with its bands, and the widest deviations of all."""
    st.title("Spreads", anchor=False)
    show_failed_tests("pair_spreads_1m")
    pairs = {row.pair_id: row for row in read(load_pairs, limit=500).rows}
    latest = read(load_latest_spreads, slow=True)
    if latest.problem or not pairs:
        show_html(theme.empty("No spreads yet.", latest.problem or "There are no pairs; matching makes them."))
        return
    widest = [row.pair_id for row in latest.rows if row.pair_id in pairs]
    if not widest:
        show_html(theme.empty("No spreads in the last day.", "Both markets of a pair must have quotes in one minute."))
        return
    choice, window, sigmas = st.columns([5, 2, 2], vertical_alignment="bottom")
    longest = read(load_longest_history, slow=True)
    pair_id = pick(
        choice,
        "Pair",
        "spread-pair",
        widest,
        first=longest if longest in widest else widest[0],
        words=lambda key: f"{theme.title(pairs[key].kalshi_title)} ({pairs[key].state})",
    )
    hours = window.segmented_control(
        "Window", [6, 24, 168], default=24, format_func=lambda key: {6: "6 h", 24: "1 day", 168: "7 days"}[key]
    )
    reach = sigmas.slider("Band (σ)", 0.5, 4.0, 2.0, 0.5)
    _show_pair(pair_id, hours or 24, float(reach))
    st.subheader("All pairs, widest deviation, then widest spread first; silent ones last", anchor=False)
    show_html(_latest_table(list(latest.rows), pairs))


@st.fragment(run_every=REFRESH)
def _show_pair(pair_id: str, hours: int, sigmas: float) -> None:
    history = read(load_spread_history, pair_id, hours)
    if not history.rows:
        show_html(theme.empty("Nothing in this window.", history.problem or "Choose a longer one."))
        return
    last = history.rows[-1]
    show_html(
        theme.tiles(
            [
                ("Spread now", theme.cents(last.mid_spread), f"{theme.since(last.minute)}, {theme.text(last.source)}"),
                ("z-score", _statistic(last.z_score, "{:.2f}"), f"{last.observations or 0} observations in 60 min"),
                ("Half-life", _statistic(last.half_life_minutes, "{:.1f} min"), "of a deviation"),
                ("Edge across books", theme.cents(last.cross_edge), _edge_note(last)),
            ]
        )
    )
    show_chart(charts.spread_chart(history.rows, sigmas), f"spread-{pair_id}")
    show_chart(charts.mids_chart(history.rows), f"mids-{pair_id}")
    st.caption(
        "Spread: Kalshi's mid minus Polymarket's, turned to the pair's polarity. Grey: from the venues' history; "
        "dark: recorded here. The statistics of a fresh recording reach back into that history."
    )


def _latest_table(rows: list[SpreadMinute], pairs: dict[str, PairRow]) -> str:
    cells = [
        [
            theme.text(theme.title(pairs[row.pair_id].kalshi_title)),
            theme.chip(pairs[row.pair_id].state) + theme.polled_chip(row.is_polled),
            theme.cents(row.kalshi_mid),
            theme.cents(row.polymarket_mid),
            theme.cents(row.mid_spread),
            "–" if row.z_score is None else f"{row.z_score:.2f}",
            theme.cents(row.cross_edge),
            theme.since(row.minute),
        ]
        for row in rows
        if row.pair_id in pairs
    ]
    return theme.table(
        ["Pair", "State", "Kalshi", "Polymarket", "Spread", "z", "Edge before fees", "Age"],
        cells,
        numeric=frozenset({"Kalshi", "Polymarket", "Spread", "z", "Edge before fees"}),
        is_long=True,
    )


def _edge_note(last: SpreadMinute) -> str:
    if last.is_polled:
        return "before fees; one book is polled, so the two prices may never have stood together"
    return "buying both sides, before fees"


def _statistic(value: Decimal | None, form: str) -> str:
    if value is None:
        return f'<span style="color:{theme.MUTED};font-size:.8em;font-weight:500">not enough data</span>'
    return form.format(value)
