"""How much may be at stake, how much is, and how to stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import streamlit as st

from app.account_actions import reopen_account
from app.dashboard import theme
from app.dashboard.acts import act_on_click, ask_again, barred, show_notice, show_outcome
from app.dashboard.data import REFRESH, is_away, read, read_now, settings, show_failed_tests, show_html
from app.doors.roles import Act
from app.doors.switch_act import act_of_switch
from app.operator_actions import set_limits, switch_trading
from app.order_actions import resolve_order
from app.queries.accounts import AccountDifference, AccountView, load_accounts
from app.queries.risk import Exposure, load_exposure
from streams.documents import plain_decimal
from streams.market.limits import KINDS, LIMIT_NAMES, BadLimit, LimitName, checked_limit
from streams.market.trading import SwitchState
from streams.market.units import cash_decimal
from streams.storage.database import Connection
from streams.storage.store.gate.daily_result import daily_result_e6
from streams.storage.store.gate.waiting import list_waiting
from streams.storage.store.hedges.unknown_orders import UnknownOrder, load_unknown_orders
from streams.storage.store.risk import LimitRow, SwitchRow, first_limit, last_switch, list_switches, load_limits

_SWITCHES: tuple[tuple[SwitchState, str, str, str], ...] = (
    ("pause", "Pause", ":material/pause:", "Nothing new opens; open trades finish."),
    ("reduce", "Reduce", ":material/trending_down:", "Only orders that lower exposure are sent."),
    (
        "kill",
        "Kill",
        ":material/dangerous:",
        "Nothing leaves. Resting orders are cancelled, exposure is escalated.",
    ),
    ("run", "Resume", ":material/play_arrow:", "Trading runs again within the limits."),
)
_IN_FLIGHT = timedelta(seconds=5)
"""An order that was sent less long ago is on its way, and its fate is not unknown yet."""
_LIMITS = {name: (kind.label, kind.unit) for name, kind in KINDS.items()}


def show_kill_now() -> None:
    """Draw, while the warehouse does not answer and no page can be drawn, a kill that needs no warehouse."""
    if not is_away():
        return
    show_outcome("kill-now")
    st.button(
        "Kill now",
        icon=":material/dangerous:",
        key="kill-now",
        type="primary",
        on_click=act_on_click,
        args=("kill-now", switch_trading, "kill"),
        kwargs={"done": "Switch set to kill."},
        **barred(Act.STOP),
    )
    st.caption("It needs no warehouse: a kill lies on this machine's disk first, and is in force at once.")


def page() -> None:
    """Draw the switch, the exposure and the limits."""
    st.title("Risk", anchor=False)
    show_failed_tests("exposure")
    for place in ("switch", "limits"):
        show_outcome(place)  # of a dialog that was closed before it could tell
    st.subheader("Trading switch", anchor=False)
    show_notice()
    _show_switch()
    st.subheader("What waits for a person", anchor=False)
    _show_waiting()
    st.subheader("Accounts", anchor=False)
    show_outcome("account")
    _show_accounts()
    show_outcome("order-resolve")
    _show_unknown_orders()
    st.subheader("Exposure", anchor=False)
    _show_exposure()
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("Limits", anchor=False)
        _show_limits()
    with right:
        st.subheader("Who switched when", anchor=False)
        rows = [
            [theme.clock(row.set_at), theme.chip(row.state), theme.text(row.set_by), theme.text(row.reason)]
            for row in read(list_switches, 12)
        ]
        show_html(theme.table(["When (UTC)", "Switch", "By", "Reason"], rows))


def _show_switch() -> None:
    current = read(last_switch)
    now = None if current is None else current.state
    by = "" if current is None else f" since {theme.clock(current.set_at)} UTC, by {theme.text(current.set_by)}"
    show_html(f"<p style='margin:.1rem 0 .5rem'>Now: {theme.chip(now or 'unknown')}{by}</p>")
    for column, (target, label, icon, meaning) in zip(st.columns(4), _SWITCHES, strict=True):
        with column:
            if st.button(
                label,
                icon=icon,
                key=f"switch-{target}",
                width="stretch",
                type="primary" if target == "kill" else "secondary",
                **barred(act_of_switch(target, now)[0], is_done=target == now),
            ):
                _confirm(target, label, meaning)
            st.caption(meaning)


@st.dialog("Change the trading switch")
def _confirm(target: SwitchState, label: str, meaning: str) -> None:
    if show_outcome("switch"):
        st.rerun()
    current = read_now(last_switch)
    state, by = ("unknown", "") if current is None else (current.state, f", set by {theme.plain(current.set_by)}")
    st.write(f"**{label}.** {meaning}")
    st.write(f"The switch goes from **{state}**{by}, to **{target}**.")
    st.text_input("Reason", max_chars=1000, key="switch-reason")
    act, lifts_kill = act_of_switch(target, None if current is None else current.state)
    ask_again("switch", act, lifts_kill=lifts_kill)
    st.button(
        f"Confirm: {label.lower()}", type="primary", key="switch-confirm", on_click=_switch, args=(target, current)
    )


def _switch(target: SwitchState, seen: SwitchRow | None) -> None:
    """Switch from what was on the screen."""
    act_on_click(
        "switch",
        switch_trading,
        target,
        reason=str(st.session_state.get("switch-reason", "")),
        seen=None if seen is None else seen.seen,
        wait_s=settings().kill_wait_s,
        home=settings().home_dir,
        done=f"Switch set to {target}.",
        also=lambda result: str(result[1].sentence),
    )


@st.fragment(run_every=REFRESH)
def _show_accounts() -> None:
    headers = ["Account", "State", "Compared", "Venue", "Our books", "Why it reduces"]
    for view in read(load_accounts, settings().trading_mode):
        left, right = st.columns([5, 1])
        with left:
            show_html(theme.table(headers, [_account_row(view)]))
            for difference in view.differences:
                st.caption(theme.plain(_difference_words(difference)))
            for thing in view.foreign[:10]:
                st.caption(theme.plain(f"Not ours: {thing.kind} of {thing.contracts:f} on {thing.market_id}"))
        if view.state != "run" and right.button(
            "Reopen", key=f"reopen-{view.venue}", icon=":material/lock_open:", **barred(Act.RESUME)
        ):
            _reopen(view)


def _account_row(view: AccountView) -> list[str]:
    reading, why = view.reading, theme.text(view.reason if view.state != "run" else "")
    if reading is None:
        return [theme.text(view.venue), theme.chip(view.state), theme.text("not yet"), "", "", why]
    ours = theme.money(reading.booked_usd)
    if reading.low_usd != reading.high_usd:
        ours += f" ({theme.money(reading.low_usd)} to {theme.money(reading.high_usd)})"
    return [
        theme.text(view.venue),
        theme.chip(view.state),
        f"{theme.clock(reading.read_at)} {theme.chip(reading.verdict)}",
        theme.money(reading.cash_usd),
        ours,
        why,
    ]


def _difference_words(row: AccountDifference) -> str:
    low, high, shown = (f"{amount.normalize():f}" for amount in (row.low, row.high, row.venue))
    ours = low if low == high else f"{low} to {high}"
    state = "a break that waits for a person" if row.state == "open" else "watched"
    unit = "dollars"
    if row.what.startswith("position:"):
        market, _, outcome = row.what.removeprefix("position:").rpartition(":")
        unit = f"contracts of {outcome} of {market}"
    return f"The venue shows {shown} {unit}, our books allow {ours}; {state}, since {row.since:%H:%M:%S} UTC."


@st.dialog("Let an account open again")
def _reopen(view: AccountView) -> None:
    if show_outcome("account-reopen"):
        st.rerun()
    st.write(f"The account at **{view.venue}** only reduces: {theme.plain(view.reason)}")
    st.write("Its differences as they are shown are booked to `foreign`, and what others did is acknowledged.")
    st.text_input("What explains it", max_chars=1000, key="account-reason")
    ask_again("account-reopen", Act.RESUME)
    st.button(
        f"Confirm: open {view.venue} again", type="primary", key="account-confirm", on_click=_reopen_now, args=(view,)
    )


def _reopen_now(view: AccountView) -> None:
    """Reopen what was on the screen."""
    act_on_click(
        "account-reopen",
        reopen_account,
        view.venue,
        mode=settings().trading_mode,
        reason=str(st.session_state.get("account-reason", "")),
        seen=view.seen,
        done=f"The account at {view.venue} may open again.",
    )


@st.fragment(run_every=REFRESH)
def _show_unknown_orders() -> None:
    young = datetime.now(UTC) - _IN_FLIGHT
    listed = read(load_unknown_orders, settings().trading_mode)
    found = [order for order in listed if order.state != "sent" or order.sent_at < young]
    if not found:
        return
    st.subheader("Orders of unknown fate", anchor=False)
    st.caption("They are looked for without an end, keep their reservation and close their market to new trades.")
    for order in found:
        left, right = st.columns([5, 1])
        words = (
            f"Order {order.order_id} of trade {order.execution_id} ({order.trade_state}): {order.action}"
            f" {order.contracts.normalize():f} {order.outcome} of {order.venue}:{order.market_id} at"
            f" {order.limit_price.normalize():f}, sent {order.sent_at:%Y-%m-%d %H:%M:%S} UTC, {order.state}"
        )
        left.write(theme.plain(words))
        if right.button("Resolve", key=f"resolve-{order.order_id}", icon=":material/fact_check:", **barred(Act.RESUME)):
            _resolve(order)


@st.dialog("Say what became of an order")
def _resolve(order: UnknownOrder) -> None:
    if show_outcome("order-resolve-dialog"):
        st.rerun()
    st.write(
        f"Order **{order.order_id}** on {theme.plain(order.venue)}:{theme.plain(order.market_id)}."
        " What you say is booked; if the venue shows another fate later, that is booked instead, and the account only"
        " reduces."
    )
    st.text_input("Contracts that have filled in all (0: it never arrived)", key="resolve-filled")
    st.text_input(f"Average price (the limit, {order.limit_price.normalize():f}, if left empty)", key="resolve-price")
    st.text_input("Where you saw it", max_chars=1000, key="resolve-reason")
    ask_again("order-resolve-dialog", Act.RESUME)
    st.button("Confirm", type="primary", key="resolve-confirm", on_click=_resolve_now, args=(order,))


def _resolve_now(order: UnknownOrder) -> None:
    try:
        filled = plain_decimal(str(st.session_state.get("resolve-filled", "")).strip())
        typed = str(st.session_state.get("resolve-price", "")).strip()
        price = plain_decimal(typed) if typed else None
    except ValueError:
        st.error("Contracts and price must be plain numbers; nothing was written.")
        return
    act_on_click(
        "order-resolve-dialog",
        resolve_order,
        order.order_id,
        filled=filled,
        price=price,
        reason=str(st.session_state.get("resolve-reason", "")),
        done=f"The next settlement cycle books order {order.order_id}.",
    )


@st.fragment(run_every=REFRESH)
def _show_exposure() -> None:
    at_stake, limits = read(load_exposure, settings().trading_mode), read(load_limits)
    show_html(
        theme.tiles(
            [
                _used("Tied up in open trades", at_stake.total_usd, limits, "total_usd"),
                _used("Largest pair or set", at_stake.largest_group_usd, limits, "pair_usd"),
                _used("Largest market", at_stake.largest_market_usd, limits, "market_usd"),
                _used("Lost today", max(Decimal(0), -cash_decimal(read(_day_result_e6))), limits, "daily_loss_usd"),
                (
                    "Unresolved orders",
                    str(at_stake.unresolved_orders),
                    f"{theme.money(at_stake.reserved_usd)} reserved",
                ),
                ("Escalated", _escalated(at_stake), "wait for a person"),
            ]
        )
    )


@st.fragment(run_every=REFRESH)
def _show_waiting() -> None:
    items = read(list_waiting, settings().trading_mode)
    if not items:
        st.caption("Nothing does.")
        return
    rows = [
        [theme.clock(item.since), theme.chip(item.kind), theme.text(item.what), f"<code>{theme.text(item.act)}</code>"]
        for item in items
    ]
    show_html(theme.table(["Since (UTC)", "Kind", "What to look at", "Act"], rows))


def _escalated(at_stake: Exposure) -> str:
    return theme.chip(at_stake.escalated, "bad") if at_stake.escalated else "0"


def _day_result_e6(connection: Connection) -> int:
    """Return the result of the day as the gate counts it."""
    return daily_result_e6(connection, settings().trading_mode, datetime.now(UTC))


def _used(label: str, value: Decimal, limits: dict[str, LimitRow], name: LimitName) -> tuple[str, str, str]:
    limit = _limit_value(limits, name)
    share = float(value / limit) if limit else 1.0
    return label, theme.money(value), f"of {theme.money(limit)} allowed{theme.usage_bar(share)}"


def _limit_value(limits: dict[str, LimitRow], name: LimitName) -> Decimal:
    return limits[name].value if name in limits else first_limit(settings(), name)


def _show_limits() -> None:
    limits = read(load_limits)
    with st.form("limits", border=True):
        typed: dict[LimitName, str] = {}
        columns = st.columns(2)
        for place, name in enumerate(LIMIT_NAMES):
            label, unit = _LIMITS[name]
            row = limits.get(name)
            # Not how long ago: a field whose words change is a new field, and loses what was typed.
            origin = (
                "first value" if row is None else f"set by {row.set_by}, {row.set_at.astimezone(UTC):%d %b %Y %H:%M}"
            )
            typed[name] = columns[place % 2].text_input(
                f"{label} ({unit})", value=f"{_limit_value(limits, name).normalize():f}", help=theme.plain(origin)
            )
        reason = st.text_input("Reason", max_chars=1000, placeholder="Why the limits change")
        if st.form_submit_button("Save limits", type="primary", **barred(Act.LIMITS)):
            _save(typed, limits, reason)


def _save(typed: dict[LimitName, str], limits: dict[str, LimitRow], reason: str) -> None:
    changes: list[tuple[LimitName, Decimal]] = []
    for name, text in typed.items():
        try:
            value = plain_decimal(text.strip().replace(",", "").removeprefix("$"))
        except ValueError:
            st.error(f"{_LIMITS[name][0]}: {theme.plain(text)} is not a number; nothing was saved.")
            return
        try:
            checked_limit(name, value)
        except BadLimit as error:
            st.error(f"{_LIMITS[name][0]}: {error} Nothing was saved.")
            return
        if value != _limit_value(limits, name):
            changes.append((name, value))
    if not changes:
        st.info("Nothing changed.")
        return
    _confirm_limits([(name, _limit_value(limits, name), value) for name, value in changes], reason)


@st.dialog("Change limits")
def _confirm_limits(changes: list[tuple[LimitName, Decimal, Decimal]], reason: str) -> None:
    if show_outcome("limits"):
        st.rerun()
    for name, old, new in changes:
        label, unit = _LIMITS[name]
        st.write(f"{label}: **{old.normalize():f}** → **{new.normalize():f}** {unit}")
    ask_again("limits", Act.LIMITS)
    st.button(
        "Confirm: change " + ("this limit" if len(changes) == 1 else f"these {len(changes)} limits"),
        type="primary",
        key="limits-confirm",
        on_click=act_on_click,
        args=("limits", set_limits, changes),
        kwargs={"reason": reason, "done": _said(changes)},
    )


def _said(changes: list[tuple[LimitName, Decimal, Decimal]]) -> str:
    return " ".join(f"{_LIMITS[name][0]} is now {new:f}." for name, _, new in changes)
