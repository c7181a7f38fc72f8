"""The charts. Each takes typed rows and returns a Plotly figure; prices and edges are drawn in cents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate
from typing import Any, TypeVar

import plotly.graph_objects as go

from app.dashboard import theme
from app.queries.books import BookView, Level
from app.queries.markets import PriceMinute, QuoteRow
from app.queries.opportunities import RefusalCount
from app.queries.portfolio import PnlDay, PnlPoint
from app.queries.quality.execution import ExecutionStatistics, FunnelReason, MarkoutStatistics
from app.queries.spreads import SpreadMinute

_FONT = {"color": theme.INK, "size": 13, "family": '"Source Sans", Arial, sans-serif'}
_SMALL = {"size": 12, "color": theme.MUTED}

_SHORTEST = timedelta(minutes=2)
_FEW = 12
_MISSING = timedelta(minutes=3)
_MISSING_BAND = timedelta(minutes=15)
Minute = TypeVar("Minute", SpreadMinute, PriceMinute)

CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True}


def spread_chart(rows: Sequence[SpreadMinute], sigmas: float) -> go.Figure:
    """Draw the spread of one pair with its mean and the band of `sigmas` standard deviations."""
    figure = _figure(height=360, unit="spread (¢)")
    minutes = [row.minute for row in rows]
    for number, part in enumerate(_bands(rows, sigmas)):
        times = [minute for minute, _, _ in part]
        figure.add_scatter(x=times, y=[high for _, _, high in part], mode="lines", line_width=0, showlegend=False,
                           hoverinfo="skip")  # fmt: skip
        figure.add_scatter(x=times, y=[low for _, low, _ in part], mode="lines", line_width=0, fill="tonexty",
                           fillcolor="rgba(59,76,202,.13)", name=f"mean ± {sigmas:g} σ", hoverinfo="skip",
                           showlegend=number == 0)  # fmt: skip
    cut = _with_gaps(rows)
    means = [None if row is None else row.avg_60m for row in cut]
    figure.add_scatter(x=_minutes(cut), y=_cents(means), mode="lines", name="mean of 60 min",
                       line={"color": theme.ACCENT, "width": 1.5, "dash": "dot"})  # fmt: skip
    for source, name, colour in (
        ("backfilled", "spread, backfilled", "#A9B2C3"),
        ("recorded", "spread, recorded", theme.INK),
    ):
        shown = [row.mid_spread if row is not None and row.source == source else None for row in cut]
        if any(value is not None for value in shown):
            figure.add_scatter(x=_minutes(cut), y=_cents(shown), mode=_mode(shown), name=name, marker_size=5,
                               line={"color": colour, "width": 1.6})  # fmt: skip
    outside = [row for row in rows if row.z_score is not None and abs(row.z_score) >= Decimal(str(sigmas))]
    figure.add_scatter(x=[row.minute for row in outside], y=_cents(row.mid_spread for row in outside), mode="markers",
                       name="outside the band", marker={"color": theme.BAD, "size": 5})  # fmt: skip
    _fit_times(figure, minutes)
    figure.add_hline(y=0, line_color="#C9D1E0", line_width=1)
    return figure


def mids_chart(rows: Sequence[SpreadMinute]) -> go.Figure:
    """Draw the mids of both venues of one pair."""
    figure = _figure(height=260, unit="price of YES (¢)")
    cut = _with_gaps(rows)
    for venue, values in (
        ("kalshi", [None if row is None else row.kalshi_mid for row in cut]),
        ("polymarket", [None if row is None else row.polymarket_mid for row in cut]),
    ):
        figure.add_scatter(x=_minutes(cut), y=_cents(values), mode=_mode(values), name=theme.VENUE_NAMES[venue],
                           marker_size=5, line={"color": theme.VENUE_COLOURS[venue], "width": 1.8})  # fmt: skip
    _fit_times(figure, [row.minute for row in rows])
    return figure


def price_chart(rows: Sequence[PriceMinute], venue: str) -> go.Figure:
    """Draw bid to ask as a band with the rolling averages of one market."""
    figure = _figure(height=340, unit="price of YES (¢)")
    minutes = [row.minute for row in rows]
    colour = theme.VENUE_COLOURS.get(venue, theme.ACCENT)
    figure.add_scatter(x=minutes, y=_cents(row.ask for row in rows), mode="lines", line_width=0, showlegend=False,
                       hoverinfo="skip")  # fmt: skip
    figure.add_scatter(x=minutes, y=_cents(row.bid for row in rows), mode="lines", line_width=0, fill="tonexty",
                       fillcolor=_faint(colour), name="bid to ask", hoverinfo="skip")  # fmt: skip
    cut = _with_gaps(rows)
    mids = [None if row is None else row.mid for row in cut]
    figure.add_scatter(x=_minutes(cut), y=_cents(mids), mode="lines", name="mid",
                       line={"color": colour, "width": 1.3})  # fmt: skip
    figure.add_scatter(x=minutes, y=_cents(row.avg_15m for row in rows), mode="lines", name="average 15 min",
                       line={"color": "#E08A00", "width": 1.5})  # fmt: skip
    figure.add_scatter(x=minutes, y=_cents(row.avg_60m for row in rows), mode="lines", name="average 60 min",
                       line={"color": theme.ACCENT, "width": 1.8, "dash": "dot"})  # fmt: skip
    return figure


def quote_chart(rows: Sequence[QuoteRow], venue: str) -> go.Figure:
    """Draw the best prices of one market as they changed."""
    figure = _figure(height=260, unit="best prices (¢)")
    times = [row.received_at for row in rows]
    colour = theme.VENUE_COLOURS.get(venue, theme.ACCENT)
    for name, values, dash in (
        ("ask", [row.ask for row in rows], "dot"),
        ("bid", [row.bid for row in rows], "solid"),
    ):
        figure.add_scatter(x=times, y=_cents(values), mode="lines", name=name,
                           line={"color": colour, "width": 1.7, "dash": dash, "shape": "hv"})  # fmt: skip
    return figure


def depth_chart(books: Sequence[tuple[BookView, bool]]) -> go.Figure:
    """Draw cumulative depth of several books over price; a True beside a book turns it to the other outcome."""
    figure = _figure(height=420, unit="contracts up to this price", suffix="")
    title = {"text": "price of YES", "font": _SMALL}
    figure.update_xaxes(title=title, ticksuffix="¢", type="linear")
    figure.update_layout(hovermode="closest")
    for book, is_turned in books:
        bids, asks = turned(book) if is_turned else (book.bids, book.asks)
        colour = theme.VENUE_COLOURS[book.venue]
        for side, levels in (("bids", bids), ("asks", asks)):
            if not levels:
                continue
            sizes = list(accumulate(float(size) for _, size in levels))
            figure.add_scatter(
                x=[float(price * 100) for price, _ in levels], y=sizes, mode="lines", fill="tozeroy",
                fillcolor=_faint(colour), name=f"{theme.VENUE_NAMES[book.venue]} {side}",
                line={"color": colour, "width": 2, "shape": "hv", "dash": "solid" if side == "bids" else "dot"},
            )  # fmt: skip
    return figure


def turned(book: BookView) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    """Return (bids, asks) of a book as the other outcome sees it: an ask at p is a bid at 1 - p."""
    bids = tuple((1 - price, size) for price, size in book.asks)
    asks = tuple((1 - price, size) for price, size in book.bids)
    return bids, asks


def pnl_curve(points: Sequence[PnlPoint]) -> go.Figure:
    """Draw the running total of realised PnL, one mark per settled trade."""
    figure = _figure(height=300, unit="realised PnL ($)", suffix="")
    figure.update_yaxes(tickformat="$,.2~f")
    figure.add_scatter(
        x=[point.settled_at for point in points], y=[float(point.total_usd) for point in points], name="total",
        mode="lines+markers", line={"color": theme.ACCENT, "width": 2, "shape": "hv"}, fill="tozeroy",
        fillcolor="rgba(59,76,202,.08)",
        cliponaxis=False,
        marker={"size": 8, "color": [_pnl_colour(point) for point in points]},
        customdata=[[p.execution_id, theme.money(p.realised_pnl_usd, signed=True)] for p in points],
        hovertemplate="trade %{customdata[0]}: %{customdata[1]}<br>total $%{y:.2f}<extra></extra>",
    )  # fmt: skip
    _fit_times(figure, [point.settled_at for point in points])
    return figure


def pnl_days(rows: Sequence[PnlDay]) -> go.Figure:
    """Draw realised PnL per day."""
    figure = _figure(height=300, unit="realised PnL ($)", suffix="")
    figure.update_yaxes(tickformat="$,.2~f")
    values = [float(row.realised_pnl_usd) for row in rows]
    figure.add_bar(x=[f"{row.day:%d %b}" for row in rows], y=values, name="realised PnL",
                   marker_color=[theme.GOOD if value >= 0 else theme.BAD for value in values])  # fmt: skip
    figure.update_layout(bargap=0.45)
    figure.update_xaxes(type="category", tickangle=0, nticks=8, range=[-0.5, max(len(rows), 5) - 0.5])
    return figure


def refusal_chart(rows: Sequence[RefusalCount]) -> go.Figure:
    """Draw how often each reason refused an opportunity."""
    figure = _figure(height=max(160, 34 * len(rows) + 60), unit="", suffix="")
    figure.add_bar(y=[row.reason.replace("_", " ") for row in rows], x=[row.refusals for row in rows],
                   orientation="h", marker_color=theme.ACCENT, text=[row.refusals for row in rows],
                   textposition="outside", cliponaxis=False)  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=True, type="linear", rangemode="tozero")
    figure.update_layout(showlegend=False, hovermode=False, bargap=0.35)
    return figure


def missed_chart(rows: Sequence[FunnelReason]) -> go.Figure:
    """Draw the dollars that were missed, by what ended the signals."""
    figure = _figure(height=max(160, 34 * len(rows) + 60), unit="", suffix="")
    amounts = [float(row.missed_usd) for row in rows]
    names = [row.reason.replace("_", " ") + ("" if row.reason == row.stage else f" ({row.stage})") for row in rows]
    figure.add_bar(y=names, x=amounts, orientation="h",
                   marker_color=theme.ACCENT, text=[theme.money(row.missed_usd) for row in rows],
                   textposition="outside", cliponaxis=False)  # fmt: skip
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=True, type="linear", rangemode="tozero", tickprefix="$")
    figure.update_layout(showlegend=False, hovermode=False, bargap=0.35, margin_r=60)
    return figure


def split_chart(row: ExecutionStatistics) -> go.Figure:
    """Draw the way from the planned profit to what the fills have locked."""
    figure = _figure(height=300, unit="", suffix="")
    lost = [row.unfilled_usd, row.opening_slippage_usd, row.completing_slippage_usd, row.fee_slippage_usd,
            row.unwinding_usd]  # fmt: skip
    amounts = [row.planned_profit_usd, *(None if part is None else -part for part in lost), row.locked_pnl_usd]
    figure.add_waterfall(
        x=["planned", "not filled", "opening", "completing", "fees", "unwinding", "locked"],
        y=[float(amount or 0) for amount in amounts], measure=["absolute", *["relative"] * 5, "total"],
        text=[theme.money(amount, signed=True) for amount in amounts], textposition="outside", cliponaxis=False,
        increasing_marker_color=theme.GOOD, decreasing_marker_color=theme.BAD, totals_marker_color=theme.ACCENT,
        connector_line_color=theme.LINE,
    )  # fmt: skip
    figure.update_yaxes(tickprefix="$")
    figure.update_layout(showlegend=False, hovermode=False)
    return figure


def markout_chart(rows: Sequence[MarkoutStatistics]) -> go.Figure:
    """Draw how fair prices moved after the fills of orders that open, one line a venue."""
    figure = _figure(height=300, unit="markout per contract (¢)")
    for venue in dict.fromkeys(row.venue for row in rows):
        shown = [row for row in rows if row.venue == venue and row.purpose == "open"]
        figure.add_scatter(
            x=[f"{row.horizon_s:g} s" for row in shown], y=_cents(row.markout for row in shown), mode="lines+markers",
            name=theme.VENUE_NAMES.get(venue, venue),
            line={"color": theme.VENUE_COLOURS.get(venue, theme.MUTED), "width": 2},
        )  # fmt: skip
    figure.add_hline(y=0, line_color="#C9D1E0", line_width=1)
    return figure


def _figure(*, height: int, unit: str, suffix: str = "¢") -> go.Figure:
    figure = go.Figure()
    figure.update_layout(
        height=height, margin={"l": 8, "r": 12, "t": 34, "b": 8}, template="plotly_white", hovermode="x unified",
        font=_FONT, paper_bgcolor=theme.PAPER, plot_bgcolor=theme.PAPER,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title_text": ""}, uirevision="keep",
    )  # fmt: skip
    figure.update_yaxes(
        title={"text": unit, "font": _SMALL},
        ticksuffix=suffix,
        gridcolor="#EEF1F6",
        zeroline=False,
    )
    figure.update_xaxes(gridcolor="#F4F6FA", linecolor=theme.LINE, zeroline=False)
    return figure


def _pnl_colour(point: PnlPoint) -> str:
    if not point.realised_pnl_usd:
        return "#A9B2C3"
    return theme.GOOD if point.realised_pnl_usd > 0 else theme.BAD


def _fit_times(figure: go.Figure, times: Sequence[datetime]) -> None:
    """Show all times and at least two minutes: few points close together are not drawn as if milliseconds mattered."""
    if times:
        span = max(times[-1] - times[0], _SHORTEST)
        figure.update_xaxes(range=[times[-1] - span, times[-1] + span / 100])


def _with_gaps(rows: Sequence[Minute]) -> list[Minute | None]:
    """Put a None where minutes of the recording are missing, so that no line is drawn across a gap."""
    shown: list[Minute | None] = []
    for row, before in zip(rows, [None, *rows], strict=False):
        if before is not None and row.source == "recorded" and row.minute - before.minute > _MISSING:
            shown.append(None)
        shown.append(row)
    return shown


def _minutes(rows: Sequence[SpreadMinute | PriceMinute | None]) -> list[datetime | None]:
    return [None if row is None else row.minute for row in rows]


def _mode(values: Sequence[object]) -> str:
    # A line needs two points beside each other; where there are few, each is drawn.
    return "lines+markers" if sum(value is not None for value in values) <= _FEW else "lines"


def _bands(rows: Sequence[SpreadMinute], sigmas: float) -> list[list[tuple[datetime, float, float]]]:
    """Return the band as (minute, low, high), cut where it is not known, where minutes miss and where the source turns.

    A filled area has no gaps of its own: each part is drawn by itself.
    """
    parts: list[list[tuple[datetime, float, float]]] = []
    before: SpreadMinute | None = None
    for row in rows:
        if row.avg_60m is None or row.stddev_60m is None:
            before = None
            continue
        if before is None or before.source != row.source or row.minute - before.minute > _MISSING_BAND:
            parts.append([])
        middle, reach = float(row.avg_60m * 100), float(row.stddev_60m * 100) * sigmas
        parts[-1].append((row.minute, middle - reach, middle + reach))
        before = row
    return parts


def _cents(values: Any) -> list[float | None]:
    # Binary floats only reach the screen: no amount is computed from them.
    return [None if value is None else float(value * 100) for value in values]


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},.13)"
