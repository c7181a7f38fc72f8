"""The inbox: what is wrong, what to do about it, who was told by which channel, and who has seen it."""

from __future__ import annotations

import streamlit as st

from app.alert_actions import acknowledge_alert, ask_alert_test
from app.dashboard import theme
from app.dashboard.acts import act_on_click, barred, show_outcome
from app.dashboard.data import REFRESH, read, show_html
from app.doors.roles import Act
from app.queries.alerts import InboxAlert, load_banner, load_inbox
from streams.storage.store.alerting.inbox import AlertReceipt

_OPEN_MAX = 50
_SHOWN_MAX = 200
_DELIVERY_TONES = {"waiting": "info", "no channel": "warn", "sent": "good", "failed": "bad"}


def page() -> None:
    """Draw the open alerts, the channels and the alerts that are over."""
    st.title("Alerts", anchor=False)
    show_outcome("alerts")
    _live()


@st.fragment(run_every=REFRESH)
def _live() -> None:
    show_outcome("acknowledge")
    alerts = read(load_inbox, open_only=False, limit=_SHOWN_MAX)
    st.subheader("Open", anchor=False)
    _show_open([alert for alert in alerts if alert.is_open])
    st.subheader("Channels", anchor=False)
    _show_channels()
    st.subheader("Over", anchor=False)
    show_html(_past([alert for alert in alerts if not alert.is_open]))


def _show_open(alerts: list[InboxAlert]) -> None:
    if not alerts:
        show_html(theme.empty("No open alert.", "Whatever fails from now on stands here, with a way out."))
        return
    for alert in alerts[:_OPEN_MAX]:
        with st.container(border=True):
            words, button = st.columns([6, 1.3], vertical_alignment="center")
            with words:
                show_html(_alert(alert))
            if alert.acknowledged_by is None:
                button.button(
                    "Acknowledge",
                    icon=":material/done_all:",
                    key=f"acknowledge-{alert.alert_id}",
                    width="stretch",
                    on_click=act_on_click,
                    args=("acknowledge", acknowledge_alert, alert.alert_id),
                    kwargs={"done": f"Alert {alert.alert_id} is acknowledged; it stays until its cause is over."},
                    **barred(Act.ALERTS),
                )
    if len(alerts) > _OPEN_MAX:
        st.caption(f"{len(alerts) - _OPEN_MAX} more are open; `crossbook alerts list` has them all.")


def _alert(alert: InboxAlert) -> str:
    seen = (
        ""
        if alert.acknowledged_by is None
        else f" · seen by {theme.text(alert.acknowledged_by)} {theme.since(alert.acknowledged_at)}"
    )
    return (
        f'<div class="cb-alert"><div>{theme.chip(alert.severity)} {theme.chip(_words(alert.kind), "mute")} '
        f'<span class="cb-meta">alert {alert.alert_id}, since {theme.clock(alert.raised_at)} UTC '
        f"({theme.since(alert.raised_at)}){seen}</span></div><div><b>{theme.text(alert.message)}</b></div>"
        f"<div>What to do: {theme.text(alert.remedy)}</div>"
        f'<div class="cb-meta">Told: {_delivery(alert)}</div></div>'
    )


def _delivery(alert: InboxAlert) -> str:
    """Return what became of an alert, and of the newest attempt by each channel, as HTML."""
    receipts = " · ".join(_receipt(receipt) for receipt in alert.receipts)
    return f"{theme.chip(alert.delivery, _DELIVERY_TONES[alert.delivery])} {receipts}"


def _receipt(receipt: AlertReceipt) -> str:
    took = f"{receipt.took_ms / 1000:.1f} s" if receipt.took_ms >= 1000 else f"{receipt.took_ms} ms"
    became = f"sent in {took}" if receipt.outcome == "sent" else f"failed: {receipt.error}"
    return theme.text(f"{receipt.place}. {receipt.channel} {became}, {theme.since(receipt.at)}")


def _show_channels() -> None:
    show_outcome("test-channels")
    channels = read(load_banner).channels
    if not channels:
        show_html(
            theme.empty(
                "No channel: nobody is told beyond this page.",
                "Set CROSSBOOK_ALERT_CHANNELS; docs/how-to/alerts.md shows how.",
            )
        )
        return
    words, button = st.columns([6, 1.3], vertical_alignment="center")
    with words:
        show_html("<p>In this order: " + ", ".join(f"{n}. {theme.text(kind)}" for n, kind in enumerate(channels, 1)))
    button.button(
        "Test each",
        icon=":material/send:",
        key="test-channels",
        width="stretch",
        on_click=act_on_click,
        args=("test-channels", ask_alert_test),
        kwargs={"done": "A test goes through each channel within seconds; what became of it stands below, under Over."},
        **barred(Act.ALERTS),
    )


def _past(alerts: list[InboxAlert]) -> str:
    if not alerts:
        return theme.empty("No alert is over yet.", "Those whose cause has passed are kept here.")
    cells = [
        [
            theme.chip(alert.severity),
            theme.text(_words(alert.kind)),
            theme.text(alert.message),
            theme.clock(alert.raised_at),
            theme.clock(alert.cleared_at),
            _delivery(alert),
            theme.text(alert.acknowledged_by),
        ]
        for alert in alerts
    ]
    return theme.table(["Severity", "Kind", "What", "Raised", "Over", "Told", "Seen by"], cells, is_long=True)


def _words(kind: str) -> str:
    return kind.replace("_", " ")
