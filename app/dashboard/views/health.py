"""Whether everything is alive, what was missed, and how fresh the data is."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.dashboard import theme
from app.dashboard.data import REFRESH, REFRESH_SLOW, examined, read, settings, show_html
from app.queries.alerts import InboxAlert, load_inbox
from app.queries.health import (
    ConnectionRow,
    MartRow,
    SweepRow,
    ViewRow,
    load_connections,
    load_dead_letters,
    load_gap_causes,
    load_gaps,
    load_marts,
    load_sweeps,
    load_views,
)
from streams.storage.store.leases import LeaseStatus, list_recent_leases

_FRESH_S = 600
_NAME_MAX = 30
_ID_MAX = 28


def page() -> None:
    """Draw what is wrong, then leases, connections, gaps, dead letters, marts and open alerts."""
    st.title("Health", anchor=False)
    _findings()
    _live()


@st.fragment(run_every=REFRESH_SLOW)
def _findings() -> None:
    findings = [found for found in examined(settings()) if not found.is_ok]
    st.subheader("What is wrong", anchor=False)
    if not findings:
        show_html("<p>Nothing that this page can see; <code>crossbook doctor</code> also asks those outside.</p>")
        return
    rows = [[theme.text(found.check), theme.text(found.found), theme.text(found.remedy)] for found in findings]
    show_html(theme.table(["Check", "Found", "What to do"], rows))


@st.fragment(run_every=REFRESH)
def _live() -> None:
    st.subheader("Alerts", anchor=False)
    show_html(_alerts(read(load_inbox, limit=20)))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Leases", anchor=False)
        show_html(_leases(read(list_recent_leases)))
        st.subheader("Connections to the venues", anchor=False)
        show_html(_connections(read(load_connections)))
        st.subheader("Discovery", anchor=False)
        show_html(_sweeps(read(load_sweeps)))
    with right:
        st.subheader("Warehouse models", anchor=False)
        show_html(_marts(read(load_marts, slow=True), read(load_views, slow=True)))
        st.subheader("Input that could not be used", anchor=False)
        show_html(_dead_letters())
    st.subheader("What was not received", anchor=False)
    _show_gaps()


def _alerts(alerts: Sequence[InboxAlert]) -> str:
    if not alerts:
        return theme.empty("No open alert.", "Escalated trades, silent recorders and kills would be listed here.")
    cells = [
        [
            theme.chip(alert.severity),
            theme.text(alert.message),
            theme.since(alert.raised_at),
            theme.text(alert.delivery),
        ]
        for alert in alerts
    ]
    return theme.table(["Severity", "What", "Raised", "Told"], cells)


def _leases(rows: Sequence[LeaseStatus]) -> str:
    if not rows:
        return theme.empty("No process holds a lease.", "The recorder takes one at its start; see Dagster's runs.")
    cells = [
        [
            theme.text(row.name if len(row.name) <= _NAME_MAX else f"{row.name[:_NAME_MAX]}…"),
            theme.chip("alive", "good")
            if row.is_alive
            else theme.chip("released", "mute")
            if row.is_released
            else theme.chip("dead", "bad"),
            theme.age(row.age_s) + " ago",
            str(row.epoch),
        ]
        for row in rows
    ]
    return theme.table(["Lease", "State", "Heartbeat", "Epoch"], cells, numeric=frozenset({"Epoch"}), is_long=True)


def _connections(rows: Sequence[ConnectionRow]) -> str:
    if not rows:
        return theme.empty("Never connected.", "The recorder connects once there are markets to record.")
    cells = [
        [
            theme.venue_chip(row.venue),
            str(row.shard),
            (
                theme.chip("connected", "good")
                if row.ended_at is None and row.connected_at
                else theme.chip(row.end_reason or "connecting", "warn")
            )
            + theme.polled_chip(row.is_polled),
            theme.since(row.connected_at or row.started_at),
            theme.number(row.frames) if row.ended_at else "counted at its end",
        ]
        for row in rows
    ]
    return theme.table(["Venue", "Shard", "State", "Since", "Frames"], cells, numeric=frozenset({"Frames", "Shard"}))


def _sweeps(rows: Sequence[SweepRow]) -> str:
    if not rows:
        return theme.empty("No discovery yet.", "The first pass starts it; look into Dagster's runs if it does not.")
    cells = [
        [
            theme.venue_chip(row.venue),
            theme.text(row.kind),
            theme.chip("failed", "bad")
            if row.error
            else theme.chip("done", "good")
            if row.ended_at
            else theme.chip("running", "info"),
            theme.number(row.markets_seen),
            theme.number(row.markets_new),
            theme.since(row.ended_at or row.started_at),
        ]
        for row in rows
    ]
    failed = "".join(
        f"<p style='color:{theme.BAD};margin:.3rem 0'>{theme.text(row.venue)}: {theme.text(row.error)}</p>"
        for row in rows
        if row.error
    )
    columns = ["Venue", "Kind", "State", "Markets", "New", "When"]
    return theme.table(columns, cells, numeric=frozenset({"Markets", "New"})) + failed


def _marts(tables: Sequence[MartRow], views: Sequence[ViewRow]) -> str:
    cells = [
        [
            theme.text(row.name),
            theme.number(row.rows),
            "–" if row.age_s is None else theme.chip(theme.age(row.age_s), "good" if row.age_s < _FRESH_S else "warn"),
            _tests(row),
        ]
        for row in tables
    ]
    cells += [
        [
            theme.text(row.name),
            "view",
            # Always up to date, however long ago its newest fact happened.
            "–" if row.age_s is None else theme.chip(theme.age(row.age_s), "mute"),
            _tests(row),
        ]
        for row in views
    ]
    shown = theme.table(["Mart", "Rows", "Newest row", "Data tests"], cells, numeric=frozenset({"Rows"}))
    if tables:
        return shown
    return theme.empty("The series by the minute have not been built yet.", "The first pass builds them.") + shown


def _tests(row: MartRow | ViewRow) -> str:
    failing = (
        f"{theme.chip('fails', 'bad')} {theme.text(t.test)}, {theme.since(t.failed_at)}" for t in row.failed_tests
    )
    return "<br>".join(failing) or theme.chip("pass", "good")


def _dead_letters() -> str:
    rows = read(load_dead_letters)
    if not rows:
        return theme.empty("Everything that arrived could be read.", "Frames that do not parse are counted here.")
    cells = [
        [theme.venue_chip(row.venue), theme.text(row.source), theme.text(row.reason), str(row.letters),
         theme.since(row.last_at)]
        for row in rows
    ]  # fmt: skip
    return theme.table(["Venue", "Source", "Reason", "Count", "Last"], cells, numeric=frozenset({"Count"}))


def _show_gaps() -> None:
    causes = read(load_gap_causes)
    if not causes:
        show_html(
            theme.empty("No gap in the recording.", "Disconnects and sequence holes would be listed with causes.")
        )
        return
    left, right = st.columns([2, 3], gap="large")
    with left:
        cells = [[theme.text(r.cause), str(r.open), str(r.total), theme.age(r.seconds)] for r in causes]
        columns = ["Cause", "Open", "All", "Market time"]
        show_html(theme.table(columns, cells, numeric=frozenset(columns[1:])))
    with right:
        gaps = [
            [theme.venue_chip(gap.venue), theme.text(gap.market_id[:_ID_MAX]), theme.text(gap.cause),
             theme.clock(gap.started_at), theme.age(gap.duration_s) if gap.ended_at else theme.chip("open", "warn")]
            for gap in read(load_gaps, 12)
        ]  # fmt: skip
        show_html(theme.table(["Venue", "Market", "Cause", "From (UTC)", "Lasted"], gaps))
