"""The short series' texts and times."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from streams.market.identity import Venue
from streams.sandbox.simulation.parameters import COINS
from streams.sandbox.simulation.short_series import ShortEvent, due_closes, eastern, listings, strikes_around


@pytest.mark.parametrize(
    ("utc", "local"),
    [
        ("2026-03-08T06:59:00+00:00", "2026-03-08T01:59:00"),
        ("2026-03-08T07:00:00+00:00", "2026-03-08T03:00:00"),
        ("2026-11-01T05:59:00+00:00", "2026-11-01T01:59:00"),
        ("2026-11-01T06:00:00+00:00", "2026-11-01T01:00:00"),
        ("2026-11-20T23:24:00+00:00", "2026-11-20T18:24:00"),
        ("2027-07-04T00:00:00+00:00", "2027-07-03T20:00:00"),
    ],
)
def test_eastern_time_follows_summer_time(utc: str, local: str) -> None:
    assert eastern(datetime.fromisoformat(utc)) == datetime.fromisoformat(local)


def test_both_venues_name_the_same_minute_and_strikes_in_their_own_words() -> None:
    close = datetime(2026, 11, 20, 23, 24, tzinfo=UTC)
    event = ShortEvent(
        COINS[0], int(close.timestamp() * 1000), int(close.timestamp() * 1000) - 180_000, (92_350, 92_400)
    )
    rows = listings(event)
    kalshi = [market for _, market, _ in rows if market.venue is Venue.KALSHI]
    polymarket = [market for _, market, _ in rows if market.venue is Venue.POLYMARKET]
    assert [market.market_id for market in kalshi] == ["KXBTC1M-26NOV201824-T92350", "KXBTC1M-26NOV201824-T92400"]
    assert polymarket[0].title == "Will Bitcoin be $92,350 or above at 6:24PM ET on November 20?"
    assert "6:24 PM ET on Nov 20, 2026 is at or above 92350" in kalshi[0].rules
    assert {market.close_time for _, market, _ in rows} == {close}
    assert [first.yes for _, _, first in rows[:2]] == [second.yes for _, _, second in rows[2:]]


def test_a_minute_is_listed_once_up_to_the_life_ahead() -> None:
    coin = COINS[0]
    now = 60_000 * 1_000
    assert due_closes(now, coin, 0) == [60_000 * 1_001, 60_000 * 1_002, 60_000 * 1_003]
    assert due_closes(now + 60_000, coin, 60_000 * 1_003) == [60_000 * 1_004]
    assert due_closes(now + 45_000, coin, 60_000 * 1_003) == []


def test_strikes_lie_on_the_grid_around_the_price() -> None:
    assert strikes_around(92_411.0, COINS[0]) == (92_350, 92_400, 92_450)
    assert strikes_around(142.4, COINS[2]) == (142,)
