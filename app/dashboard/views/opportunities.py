"""Where the same dollar was cheaper, and why each opportunity was or was not traded."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.dashboard import charts, theme
from app.dashboard.data import REFRESH, read, show_chart, show_failed_tests, show_html
from app.queries.opportunities import OpportunityFilter, OpportunityRow, load_opportunities, load_refusal_counts

_KINDS = ("pair", "ladder", "event", "set")
_ALL = "all"
_OUTCOMES = ("traded", "refused", "open", "passed")


def page() -> None:
    """Draw the opportunities with what became of them, and the counts of refusals by reason."""
    st.title("Opportunities", anchor=False)
    show_failed_tests("signals", "refusals")
    outcome, kind, reason = st.columns([4, 2, 2], vertical_alignment="bottom")
    chosen_outcome = outcome.segmented_control("Outcome", [_ALL, *_OUTCOMES], default=_ALL)
    chosen_kind = kind.selectbox("Kind", [None, *_KINDS], format_func=_any("any kind"))
    reasons = [None, *(row.reason for row in read(load_refusal_counts))]
    chosen_reason = reason.selectbox("Refused for", reasons, format_func=_any("any reason"))
    _live(None if chosen_outcome == _ALL else chosen_outcome, chosen_kind, chosen_reason)


@st.fragment(run_every=REFRESH)
def _live(outcome: str | None, kind: str | None, reason: str | None) -> None:
    rows = read(load_opportunities, OpportunityFilter(outcome=outcome, kind=kind, reason=reason), limit=60).rows
    counts = read(load_refusal_counts)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Why chances were refused", anchor=False)
        if counts:
            show_chart(charts.refusal_chart(counts), "refusals")
        else:
            show_html(theme.empty("Nothing was refused yet.", "Each refusal will be counted here by its reason."))
    with right:
        st.subheader("Shown below", anchor=False)
        show_html(_summary(list(rows)))
    with st.container():
        if rows:
            show_html(_table(list(rows)))
            st.caption("Edges per contract, net of both venues' fees and limited by depth; the newest 60 that fit.")
        else:
            show_html(
                theme.empty(
                    "No opportunity fits.",
                    "They appear while books of related markets are recorded and an edge passes the entry level.",
                )
            )


def _summary(rows: list[OpportunityRow]) -> str:
    best = max((row.peak_edge_usd for row in rows), default=None)
    counted = [(name, sum(row.outcome == name for row in rows)) for name in _OUTCOMES]
    tiles = [(name.capitalize(), theme.number(count), f"of {len(rows)}") for name, count in counted]
    return theme.tiles([*tiles, ("Best edge", theme.cents(best), "per contract, net of fees")])


def _table(rows: list[OpportunityRow]) -> str:
    cells = [
        [
            str(row.signal_id),
            theme.clock(row.opened_at),
            theme.text(theme.title(row.title)),
            "<br>".join(
                f"{leg['outcome'].upper()} {theme.venue_chip(leg['venue'])} "
                f"<span style='color:{theme.MUTED}'>{float(leg['limit_price']) * 100:g}¢</span>"
                for leg in row.legs
            ),
            theme.age(row.duration_s) + (" …" if row.closed_at is None else ""),
            theme.cents(row.peak_edge_usd),
            theme.number(row.contracts),
            theme.money(row.profit_usd),
            f"{theme.chip(row.outcome)}<br>{_why(row)}",
        ]
        for row in rows
    ]
    return theme.table(
        ["#", "Opened", "What", "Legs", "Lasted", "Peak edge", "Contracts", "Locked", "Outcome and reason"],
        cells,
        numeric=frozenset({"Lasted", "Peak edge", "Contracts", "Locked"}),
        is_long=True,
    )


def _why(row: OpportunityRow) -> str:
    if row.refusal_reason and row.outcome != "traded":
        times = sum(row.refusals.values())
        again = f" ({times} times)" if times > 1 else ""
        detail = f": {theme.text(row.refusal_detail)}" if row.refusal_detail else ""
        words = f"{theme.text(row.refusal_reason.replace('_', ' '))}{detail}{again}"
    elif not row.is_tradable:
        words = "recorded and shown only"
    elif row.close_reason:
        words = f"ended: {theme.text(row.close_reason.replace('_', ' '))}"
    else:
        words = ""
    return f"<span style='color:{theme.MUTED};font-size:.8rem'>{words}</span>"


def _any(word: str) -> Callable[[str | None], str]:
    return lambda key: (key or word).replace("_", " ")
