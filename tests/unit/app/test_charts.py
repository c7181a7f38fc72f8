"""The charts: bands where there are statistics, and books turned to the other outcome."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.dashboard import charts
from app.queries.books import BookView
from app.queries.spreads import SpreadMinute

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def _minute(spread: str, mean: str | None, deviation: str | None) -> SpreadMinute:
    numbers = [None if text is None else Decimal(text) for text in (mean, deviation)]
    return SpreadMinute(
        pair_id="p", minute=NOW, kalshi_mid=Decimal("0.5"), polymarket_mid=Decimal("0.49"), mid_spread=Decimal(spread),
        cross_edge=None, avg_60m=numbers[0], stddev_60m=numbers[1], z_score=None, half_life_minutes=None,
        observations=3, source="recorded", is_polled=False,
    )  # fmt: skip


def test_the_band_is_the_mean_plus_and_minus_sigmas() -> None:
    figure = charts.spread_chart([_minute("0.03", "0.01", "0.004")], 2.0)
    assert list(figure.data[0].y) == pytest.approx([1.8])
    assert list(figure.data[1].y) == pytest.approx([0.2])


def test_there_is_no_band_without_enough_observations() -> None:
    figure = charts.spread_chart([_minute("0.03", None, None)], 2.0)
    assert not [trace for trace in figure.data if trace.fill]


def test_nothing_is_drawn_over_minutes_nobody_recorded() -> None:
    first = _minute("0.03", "0.01", "0.004")
    later = [replace(first, minute=NOW + timedelta(minutes=minutes)) for minutes in (1, 30, 31)]
    figure = charts.spread_chart([first, *later], 2.0)
    spread = next(trace for trace in figure.data if trace.name == "spread, recorded")
    assert list(spread.y) == pytest.approx([3, 3, None, 3, 3])
    assert len([trace for trace in figure.data if trace.fill]) == 2


def test_a_turned_book_swaps_its_sides() -> None:
    book = BookView(
        venue="polymarket", market_id="m", bids=((Decimal("0.40"), Decimal(5)),), asks=((Decimal("0.43"), Decimal(7)),),
        snapshot_at=NOW, updated_at=NOW, state="live", age_s=0.0, is_polled=False,
    )  # fmt: skip
    bids, asks = charts.turned(book)
    assert bids == ((Decimal("0.57"), Decimal(7)),)
    assert asks == ((Decimal("0.60"), Decimal(5)),)
