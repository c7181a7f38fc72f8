"""Ladders and other market groups of more than a pair: all their texts, and a person's decision on each.

A market's texts and past decisions are drawn here for the review of pairs, too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

import pandas as pd
import streamlit as st

from app.dashboard import theme
from app.dashboard.acts import act_on_click, barred, person, show_outcome
from app.dashboard.data import read, show_html
from app.dashboard.selection import hold, table_options
from app.doors.roles import Act
from app.operator_actions import decide_group
from app.queries.markets import MarketText
from app.queries.pairs import GroupDetail, load_group_detail
from streams.storage.store.decisions.group_decisions import (
    DecisionRow,
    GroupDecision,
    GroupStateRow,
    list_group_states,
)

DECISIONS: tuple[tuple[GroupDecision, str, str, str], ...] = (
    ("approve", "Approve", ":material/check:", "Approved: it may be traded."),
    ("reject", "Reject", ":material/close:", "Rejected: it will not be traded."),
    ("pause", "Pause", ":material/pause:", "Paused: nothing new opens on it."),
)
"""Each decision with its label, its icon and what is said once it is made."""


def show_groups(kind: str) -> None:
    """Draw the list of the groups of a kind, and the review of the chosen one."""
    rows = read(list_group_states, kind=kind)
    if not rows:
        show_html(theme.empty(f"No {kind} now.", "They appear when the rules of their markets have been read."))
        return
    detail = read(load_group_detail, _choose(rows))
    if detail is None:
        show_html(theme.empty("This group is gone.", "Choose another one above."))
        return
    _review(detail)


def _choose(rows: list[GroupStateRow]) -> str:
    ids = [row.group_id for row in rows]
    choice = hold("group", ids)
    assert choice is not None  # there are rows
    frame = pd.DataFrame(
        {
            "Title": [theme.cell(row.title) for row in rows],
            "Markets": [len(row.market_hashes) for row in rows],
            "State": [row.state for row in rows],
            "Decided by": [theme.cell(row.decided_by) for row in rows],
            "Group": [theme.cell(row.group_id) for row in rows],
        }
    )
    st.dataframe(frame, hide_index=True, height=min(300, 38 + 35 * len(rows)), **table_options("group", ids, choice))
    return choice.row_id


def _review(detail: GroupDetail) -> None:
    group = detail.group
    st.subheader(f"Review of {theme.plain(group.title)}", anchor=False)
    if group.state == "lapsed":
        st.warning("A text, a date or the markets changed since the decision: read all and decide anew.")
    if not group.is_tradable:
        show_html(f"<p>{theme.chip('not traded', 'mute')} {theme.text(group.reason)}</p>")
    show_html(f"<p>{theme.chip(group.state)} {theme.text(group.group_id)}</p>")
    for text in detail.texts:
        show_html(text_card(text, escape(text.title), escape(text.rules)))
    st.caption("Allowed outcomes, each the markets that resolve yes:")
    st.json(group.terms, expanded=False)
    show_choices("group", group.group_id, group, _decide, detail)
    show_decisions(detail.decisions)


def show_choices(panel: str, key: str, state: GroupStateRow, on_click: Callable[..., None], *about: object) -> None:
    """Draw the field for a reason and a button for each decision; what is decided already is not decided again.

    Args:
        panel: Where the outcome of an act is shown.
        key: Ends the keys of the fields.
        state: The group as it stands.
        on_click: Gets `about`, the decision, and what is said once it is made.
        about: What was on the screen.
    """
    st.subheader("Decide", anchor=False)
    show_outcome(panel)
    name = person()
    st.text_input("Reason", key=f"reason-{key}", max_chars=1000, placeholder="Why, in a few words")
    columns = st.columns([1, 1, 1, 4])
    for column, (decision, label, icon, done) in zip(columns, DECISIONS, strict=False):
        column.button(
            label,
            icon=icon,
            width="stretch",
            type="primary" if decision == "approve" else "secondary",
            key=f"{decision}-{key}",
            on_click=on_click,
            args=(*about, decision, done),
            **barred(Act.DECIDE_PAIRS, is_done=state.is_decided(decision, name)),
        )


def _decide(detail: GroupDetail, decision: GroupDecision, done: str) -> None:
    """Decide on the group that was on the screen, bound to the texts that were."""
    group = detail.group
    act_on_click(
        "group",
        decide_group,
        group.group_id,
        decision,
        reason=str(st.session_state.get(f"reason-{group.group_id}", "")),
        seen_hashes=detail.seen_hashes,
        seen=group.seen,
        done=f"{group.title}: {done}",
    )


def text_card(market: MarketText, title: str, rules: str) -> str:
    """Return a market's texts as HTML; `title` and `rules` are HTML already."""
    colour = theme.VENUE_COLOURS.get(market.venue, theme.MUTED)
    closes = "–" if market.close_time is None else f"{market.close_time:%d %b %Y %H:%M} UTC"
    meta = " · ".join(
        part
        for part in (
            theme.text(market.event_title) if market.event_title else "",
            f"closes {closes}",
            f"YES means: {theme.text(market.yes_means)}" if market.yes_means else "",
            theme.text(market.market_id),
        )
        if part
    )
    return (
        f'<div class="cb-card" style="--cb-venue:{colour}"><div class="cb-venue">'
        f'{theme.text(theme.VENUE_NAMES[market.venue])}</div><div class="cb-title">{title}</div>'
        f'<div class="cb-meta">{meta}</div><div class="cb-rules">{rules or "This venue states no rules."}</div></div>'
    )


def show_decisions(decisions: Sequence[DecisionRow]) -> None:
    """Draw the decisions so far, newest first; nothing where there is none."""
    if not decisions:
        return
    rows = [
        [theme.clock(d.decided_at), theme.chip(d.decision), theme.text(d.decided_by), theme.text(d.reason)]
        for d in decisions
    ]
    show_html(theme.table(["When (UTC)", "Decision", "By", "Reason"], rows))
