"""How much could be bought and sold at which price, on both venues of a pair."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from app.dashboard import charts, theme
from app.dashboard.data import REFRESH, read, settings, show_chart, show_html
from app.dashboard.selection import pick
from app.queries.books import BookView, load_book
from app.queries.pairs import PairRow, load_pairs

_LEVELS = 8


def page() -> None:
    """Draw the books of both markets of the chosen pair."""
    st.title("Depth", anchor=False)
    pairs = [row for row in read(load_pairs, limit=500).rows if row.state != "rejected"]
    if not pairs:
        show_html(theme.empty("No pairs yet.", "Books are shown per pair; the first pass proposes pairs."))
        return
    pairs.sort(key=_rank)
    by_id = {row.pair_id: row for row in pairs}
    chosen = pick(
        st.container(),
        "Pair",
        "pair",
        list(by_id),
        first=pairs[0].pair_id,
        words=lambda pair_id: _label(by_id[pair_id]),
    )
    if chosen not in by_id:
        show_html(theme.empty("No books of this pair.", "It is rejected or gone; choose another one above."))
        return
    _show_books(by_id[chosen])


def _rank(row: PairRow) -> tuple[object, ...]:
    # Markets that close within the hour come last: their books empty while one looks.
    is_short = row.closes_at is not None and row.closes_at < datetime.now(UTC) + timedelta(hours=1)
    return row.state != "approved", not row.is_open, is_short, row.kalshi_title


def _label(row: PairRow) -> str:
    return f"{theme.title(row.kalshi_title)} ({row.state if row.is_open else 'closed'})"


@st.fragment(run_every=REFRESH)
def _show_books(pair: PairRow) -> None:
    kalshi = read(load_book, "kalshi", pair.kalshi_market_id)
    polymarket = read(load_book, "polymarket", pair.polymarket_market_id)
    is_turned = pair.polarity == "inverted"
    books = [(book, turned) for book, turned in ((kalshi, False), (polymarket, is_turned)) if book is not None]
    if not books:
        show_html(
            theme.empty(
                "Neither book was recorded in the last day.",
                "Approve the pair, or put its markets on the watch list; the recorder follows within seconds.",
            )
        )
        return
    if any(book.bids or book.asks for book, _ in books):
        show_chart(charts.depth_chart(books), f"depth-{pair.pair_id}")
    if is_turned:
        st.caption("The markets are inverted: Polymarket's book is drawn as its NO side, so that prices compare.")
    for column, venue, book in zip(
        st.columns(2, gap="medium"), ("kalshi", "polymarket"), (kalshi, polymarket), strict=True
    ):
        with column:
            _show_book(venue, book, is_turned=is_turned and venue == "polymarket")


def _show_book(venue: str, book: BookView | None, *, is_turned: bool) -> None:
    if book is None:
        show_html(theme.empty(f"No book of {theme.VENUE_NAMES[venue]}.", "It is not being recorded."))
        return
    is_old = book.age_s > settings().quote_stale_after_s
    state = book.state if book.state != "live" or not is_old else "quiet"
    show_html(
        f"<p style='margin:.2rem 0 .5rem'>{theme.venue_chip(venue)} &nbsp;{theme.chip(state)}"
        f"{theme.polled_chip(book.is_polled)} &nbsp;"
        f"<span style='color:{theme.MUTED}'>last change {theme.age(book.age_s)} ago</span></p>"
    )
    bids, asks = charts.turned(book) if is_turned else (book.bids, book.asks)
    rows = []
    for level in range(min(_LEVELS, max(len(bids), len(asks)))):
        bid = bids[level] if level < len(bids) else (None, None)
        ask = asks[level] if level < len(asks) else (None, None)
        rows.append([theme.number(bid[1]), theme.cents(bid[0]), theme.cents(ask[0]), theme.number(ask[1])])
    if not rows:
        show_html(theme.empty("The book is empty.", "Nobody quotes this market now; after its close nobody can."))
        return
    columns = ["Bid size", "Bid", "Ask", "Ask size"]
    show_html(theme.table(columns, rows, numeric=frozenset(columns)))
