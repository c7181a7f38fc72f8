"""Which markets settle alike or depend on each other, and a person's decision on each."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from app.dashboard import theme
from app.dashboard.acts import act_on_click
from app.dashboard.data import read, show_failed_tests, show_html
from app.dashboard.differences import mark_differences
from app.dashboard.selection import hold, table_options
from app.dashboard.views.groups import show_choices, show_decisions, show_groups, text_card
from app.operator_actions import decide_group
from app.queries.pairs import PairDetail, PairRow, count_pairs, load_pair, load_pairs
from streams.storage.store.decisions.group_decisions import (
    GroupDecision,
    GroupStateRow,
    find_group_state,
    pair_group_id,
)
from streams.storage.store.pairs import VerdictRow

_ALL = "all"
_STATES = ("proposed", "approved", "paused", "rejected", "lapsed")
_KINDS = {"pair": "Pairs", "ladder": "Ladders", "event": "Events", "set": "Sets"}


def page() -> None:
    """Draw the pairs by state and the review of the chosen one, or the groups of another kind."""
    st.title("Pairs", anchor=False)
    show_failed_tests("pairs")
    kind = st.segmented_control(
        "Kind",
        list(_KINDS),
        default="pair",
        format_func=lambda key: _KINDS[key],
        key="group-kind",
        label_visibility="collapsed",
    )
    if kind not in (None, "pair"):
        show_groups(str(kind))
        return
    counts = read(count_pairs)
    if not counts:
        show_html(
            theme.empty(
                "No pairs yet.",
                "They appear when discovery, candidates and verdicts have run: the first pass takes a minute or two.",
            )
        )
        return
    state = st.segmented_control(
        "State",
        [_ALL, *_STATES],
        default=next(state for state in _STATES if counts.get(state)),
        format_func=lambda key: f"{key} ({sum(counts.values()) if key == _ALL else counts.get(key, 0)})",
        key="pair-state",
        label_visibility="collapsed",
    )
    rows = list(read(load_pairs, state=None if state == _ALL else state, limit=500).rows)
    if not rows:
        show_html(theme.empty("No pair in this state.", "Choose another state above."))
        return
    chosen = _choose(rows)
    detail, subject = read(load_pair, chosen), read(find_group_state, pair_group_id(chosen))
    if detail is None or subject is None:
        show_html(theme.empty("This pair is gone.", "Choose another one above."))
        return
    _review(detail, subject)


def _choose(rows: list[PairRow]) -> str:
    """Draw the list and return the id of the chosen pair."""
    ids = [row.pair_id for row in rows]
    choice = hold("pair", ids)
    assert choice is not None  # there are rows
    frame = pd.DataFrame(
        {
            "Kalshi": [theme.cell(row.kalshi_title) for row in rows],
            "Polymarket": [theme.cell(row.polymarket_title) for row in rows],
            "Relation": [theme.cell(row.relation.replace("_", " ")) for row in rows],
            "Confidence": [None if row.confidence is None else float(row.confidence) for row in rows],
            "Judge": [theme.cell(row.judge) for row in rows],
            "State": [row.state for row in rows],
            "Decided by": [theme.cell(row.decided_by) for row in rows],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        height=min(300, 38 + 35 * len(rows)),
        column_config={
            "Confidence": st.column_config.ProgressColumn(min_value=0, max_value=1, format="%.2f", width=110),
            "Kalshi": st.column_config.TextColumn(width=300),
            "Polymarket": st.column_config.TextColumn(width=300),
        },
        **table_options("pair", ids, choice),
    )
    if not choice.is_listed:
        st.caption(f"Pair {theme.plain(choice.row_id)} is chosen and not in this list; a click chooses another one.")
    return choice.row_id


def _review(detail: PairDetail, subject: GroupStateRow) -> None:
    pair = detail.pair
    st.subheader(f"Review of pair {pair.pair_id}", anchor=False)
    if pair.state == "lapsed":
        st.warning("A text changed after this pair was decided on: read both again and decide anew.")
    show_html(_verdict_line(detail))
    if detail.kalshi is not None and detail.polymarket is not None:
        left, right = st.columns(2, gap="medium")
        marked = mark_differences(detail.kalshi.rules, detail.polymarket.rules)
        titles = mark_differences(detail.kalshi.title, detail.polymarket.title)
        with left:
            show_html(text_card(detail.kalshi, titles[0], marked[0]))
        with right:
            show_html(text_card(detail.polymarket, titles[1], marked[1]))
        st.caption("Marked: words the other text does not have.")
    else:
        show_html(theme.empty("A text is missing.", "Wait for the next discovery before deciding."))
    if detail.verdict is not None:
        _show_verdict(detail.verdict)
    show_choices("pair", detail.pair.pair_id, subject, _decide, detail, subject)
    show_decisions(detail.decisions)


def _verdict_line(detail: PairDetail) -> str:
    pair, verdict = detail.pair, detail.verdict
    if verdict is None:
        return f"<p>{theme.chip(pair.state)} no verdict is stored</p>"
    judge = "the deterministic rule judge" if verdict.judge == "rules" else f"the model {verdict.judge}"
    return (
        f"<p style='margin:.2rem 0 .6rem'>{theme.chip(pair.state)} &nbsp;{theme.chip(verdict.relation, 'info')} &nbsp;"
        f"{theme.chip(verdict.polarity or 'no polarity', 'mute')} &nbsp;confidence <b>{verdict.confidence:.2f}</b> by "
        f"{theme.text(judge)}, {theme.since(verdict.judged_at)}</p>"
    )


def _show_verdict(verdict: VerdictRow) -> None:
    st.subheader("What differs, according to the verdict", anchor=False)
    if verdict.differences:
        rows = [_difference_row(entry) for entry in verdict.differences]
        show_html(theme.table(["Clause", "Kalshi", "Polymarket", "Weight"], rows))
    else:
        show_html(theme.empty("No differing clause was found.", "Read both texts all the same before approving."))
    for label, words in (("Why", verdict.explanation), ("Basis risk", verdict.basis_risk)):
        if words:
            show_html(f"<p style='margin:.5rem 0'><b>{label}:</b> {theme.text(words)}</p>")


def _difference_row(entry: Any) -> list[str]:
    if not isinstance(entry, dict):
        return [theme.text(entry), "", "", ""]
    clause = next((entry[key] for key in ("clause", "field", "kind", "name", "what") if entry.get(key)), "")
    a = next((entry[key] for key in ("a", "a_quote", "quote_a", "kalshi") if entry.get(key)), None)
    b = next((entry[key] for key in ("b", "b_quote", "quote_b", "polymarket") if entry.get(key)), None)
    if not clause and a is None and b is None:
        return [theme.text(json.dumps(entry, ensure_ascii=False)), "", "", ""]
    weight = theme.chip("may settle differently", "bad") if entry.get("is_decisive") else theme.chip("wording", "mute")
    return [theme.text(clause), theme.text(a), theme.text(b), weight]


def _decide(detail: PairDetail, subject: GroupStateRow, decision: GroupDecision, done: str) -> None:
    """Decide on the pair that was on the screen, bound to the texts that were."""
    pair = detail.pair
    hashes = {
        f"kalshi:{pair.kalshi_market_id}": detail.kalshi.text_hash if detail.kalshi else pair.kalshi_text_hash,
        f"polymarket:{pair.polymarket_market_id}": (
            detail.polymarket.text_hash if detail.polymarket else pair.polymarket_text_hash
        ),
    }
    act_on_click(
        "pair",
        decide_group,
        pair_group_id(pair.pair_id),
        decision,
        reason=str(st.session_state.get(f"reason-{pair.pair_id}", "")),
        seen_hashes=hashes,
        seen=subject.seen,
        done=f"Pair {pair.pair_id}: {done}",
    )
