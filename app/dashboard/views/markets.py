"""Which markets there are, and what one of them says and costs."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from app.dashboard import charts, theme
from app.dashboard.acts import act_on_click, barred, show_outcome
from app.dashboard.data import REFRESH, read, show_chart, show_failed_tests, show_html
from app.dashboard.selection import hold, table_options
from app.doors.roles import Act
from app.operator_actions import unwatch_market, watch_market
from app.queries.markets import (
    MarketFilter,
    MarketRow,
    load_categories,
    load_market_text,
    load_markets,
    load_prices,
    load_recent_quotes,
)
from streams.market.identity import Venue
from streams.storage.store.wanted import watched_among

_SHOWN_MAX = 500
_STATUSES = ("open", "unopened", "paused", "closed", "determined", "settled", "unknown")


def page() -> None:
    """Draw the list with its filters and the chosen market below."""
    st.title("Markets", anchor=False)
    show_failed_tests("markets", "quotes_1m", "rolling_prices")
    rows = _filtered()
    if not rows:
        show_html(
            theme.empty(
                "No market fits.",
                "Widen the filters; right after the start the first discovery may still be running.",
            )
        )
        return
    chosen = _choose(rows)
    if chosen is None:
        st.caption("Choose a row to see its rules, quotes and averages.")
        return
    venue, _, market_id = chosen.partition(":")
    _show_detail(venue, market_id)


def _filtered() -> list[MarketRow]:
    search, venue, status, category, recorded = st.columns([4, 2, 2, 2, 1.6], vertical_alignment="bottom")
    words = search.text_input(
        "Search",
        placeholder="Words of title, event or id",
        key="market-search",
        help="Finds markets that have, for each word, one that begins with it: bitc 100 finds Bitcoin above 100,000.",
    )
    names: dict[str | None, str] = {None: "Both venues"}
    names.update(theme.VENUE_NAMES)
    venue_choice = venue.selectbox("Venue", list(names), format_func=lambda key: names[key], key="market-venue")
    status_choice = status.selectbox("Status", [None, *_STATUSES], format_func=lambda key: key or "Any status")
    categories = [None, *read(load_categories, slow=True)]
    category_choice = category.selectbox("Category", categories, format_func=lambda key: key or "Any category")
    only_recorded = recorded.toggle("Recorded", help="Only markets whose books are being recorded.")
    found = read(
        load_markets,
        MarketFilter(venue_choice, status_choice, category_choice, words, only_recorded),
        limit=_SHOWN_MAX,
    )
    more = f"the first {_SHOWN_MAX}; narrow the search for others" if found.next_cursor else "all that fit"
    st.caption(f"{len(found.rows)} markets, {more}.")
    return list(found.rows)


def _choose(rows: list[MarketRow]) -> str | None:
    """Draw the list and return the key ("venue:market_id") of the chosen market, None while none is chosen."""
    ids = [f"{row.venue}:{row.market_id}" for row in rows]
    choice = hold("market", ids, first=False)
    frame = pd.DataFrame(
        {
            "Venue": [theme.VENUE_NAMES.get(row.venue, row.venue) for row in rows],
            "Market": [theme.cell(row.title) for row in rows],
            "Event": [theme.cell(row.event_title) for row in rows],
            "Status": [theme.cell(row.status) for row in rows],
            "Bid": [theme.cents(row.bid) for row in rows],
            "Ask": [theme.cents(row.ask) for row in rows],
            "Closes": [row.close_time for row in rows],
            "Recorded": [row.is_recorded for row in rows],
            "Polled": [bool(row.is_polled) for row in rows],
            "Id": [theme.cell(row.market_id) for row in rows],
        }
    )
    st.dataframe(
        frame,
        hide_index=True,
        height=330,
        column_config={
            "Market": st.column_config.TextColumn(width=330),
            "Event": st.column_config.TextColumn(width=200),
            "Polled": st.column_config.CheckboxColumn(help="Its book is asked for over REST every few seconds."),
            "Closes": st.column_config.DatetimeColumn(format="D MMM YYYY, HH:mm", timezone="UTC"),
        },
        **table_options("market", ids, choice),
    )
    if choice is not None and not choice.is_listed:
        st.caption(f"{theme.plain(choice.row_id)} is chosen and not in this list; a click chooses another one.")
    return None if choice is None else choice.row_id


def _show_detail(venue: str, market_id: str) -> None:
    text = read(load_market_text, venue, market_id)
    if text is None:
        show_html(theme.empty("This market is gone.", "Choose another one."))
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        _show_prices(venue, market_id)
    with right:
        colour = theme.VENUE_COLOURS.get(venue, theme.MUTED)
        closes = "–" if text.close_time is None else f"{text.close_time:%d %b %Y %H:%M} UTC"
        meta = f"{theme.text(market_id)} · closes {closes} · {theme.chip(text.status)}"
        show_html(
            f'<div class="cb-card" style="--cb-venue:{colour}"><div class="cb-venue">'
            f'{theme.text(theme.VENUE_NAMES.get(venue, venue))}</div><div class="cb-title">'
            f'{theme.text(theme.title(text.title))}</div><div class="cb-meta">{meta}</div><div class="cb-rules">'
            f"{theme.text(text.rules)}</div></div>"
        )
        _show_watch_button(Venue(venue), market_id)


def _show_watch_button(venue: Venue, market_id: str) -> None:
    show_outcome("watch")
    key = f"{venue}:{market_id}"
    st.caption(f"Record {theme.plain(key)}:")
    if read(watched_among, ((str(venue), market_id),)):
        st.button(
            "Stop watching",
            icon=":material/visibility_off:",
            key=f"unwatch-{key}",
            on_click=act_on_click,
            args=("watch", unwatch_market, venue, market_id),
            kwargs={"done": f"{key} was taken off the watch list."},
            **barred(Act.WATCH),
        )
        return
    st.button(
        "Watch: record its book",
        icon=":material/visibility:",
        key=f"watch-{key}",
        on_click=act_on_click,
        args=("watch", watch_market, venue, market_id),
        kwargs={"done": f"{key} is on the watch list; recording starts shortly."},
        **barred(Act.WATCH),
    )


@st.fragment(run_every=REFRESH)
def _show_prices(venue: str, market_id: str) -> None:
    quotes = read(load_recent_quotes, venue, market_id, 30)
    if quotes:
        last = quotes[-1]
        show_html(
            theme.tiles(
                [
                    ("Bid", theme.cents(last.bid), f"{theme.number(last.bid_size)} contracts"),
                    ("Ask", theme.cents(last.ask), f"{theme.number(last.ask_size)} contracts"),
                    (
                        "Book",
                        theme.chip(last.state) + theme.polled_chip(last.is_polled),
                        f"changed {theme.since(last.received_at)}",
                    ),
                ]
            )
        )
        st.subheader("Best prices, last 30 minutes", anchor=False)
        show_chart(charts.quote_chart(quotes, venue), f"quotes-{market_id}")
    hours = st.segmented_control("Window", [6, 24, 168], default=24, format_func=_hours, key="market-hours")
    prices = read(load_prices, venue, market_id, hours or 24)
    if prices.problem:
        show_html(theme.empty("No averages yet.", prices.problem))
    elif prices.rows:
        show_chart(charts.price_chart(prices.rows, venue), f"prices-{market_id}")
        last_row = prices.rows[-1]
        seen = f"{last_row.observations or 0} observations in the last 60 minutes"
        volatility = (
            f"not shown with {seen}"
            if last_row.volatility_60m is None
            else f"{last_row.volatility_60m:.4f} dollars per square root of a day, {seen}"
        )
        st.caption(
            "Averages over 15 and 60 minutes; windows of a fresh recording reach back into the venue's history. "
            f"Realised volatility: {volatility}; last minute {theme.since(last_row.minute)}."
        )
    elif not quotes:
        show_html(theme.empty("Not recorded.", "Watch this market, or approve a pair it is in, to record its book."))


def _hours(value: int) -> str:
    return {6: "6 hours", 24: "1 day", 168: "7 days"}[value]
