"""The book of one market."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.market.book import Book
from streams.market.errors import IntegrityError
from streams.market.events import BookSnapshot, LevelChange
from streams.market.identity import Venue


def _snapshot(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> BookSnapshot:
    return BookSnapshot(Venue.KALSHI, "M", bids, asks)


def _book(bids: list[tuple[int, int]], asks: list[tuple[int, int]]) -> Book:
    book = Book()
    book.replace(_snapshot(bids, asks))
    return book


def test_buying_no_takes_the_yes_bids() -> None:
    book = _book([(4_000, 10), (3_900, 20)], [(4_500, 5)])
    assert book.offers("no") == [(6_000, 10), (6_100, 20)]
    assert book.offers("yes") == [(4_500, 5)]


def test_a_change_learns_the_size_that_its_venue_left_out() -> None:
    book = _book([(4_000, 10)], [])
    by_change = LevelChange(Venue.KALSHI, "M", "bid", 4_000, size_change_e6=-4)
    book.apply(by_change)
    by_total = LevelChange(Venue.POLYMARKET, "M", "bid", 4_000, size_after_e6=9)
    book.apply(by_total)
    assert (by_change.size_after_e6, by_total.size_change_e6) == (6, 3)


def test_a_negative_level_is_refused_and_changes_nothing() -> None:
    book = _book([(4_000, 10)], [])
    with pytest.raises(IntegrityError):
        book.apply(LevelChange(Venue.KALSHI, "M", "bid", 4_000, size_change_e6=-11))
    assert book.bids == {4_000: 10}


def test_a_level_larger_than_any_is_refused_and_changes_nothing() -> None:
    book = _book([(4_000, 10**18)], [])
    with pytest.raises(IntegrityError):
        book.apply(LevelChange(Venue.KALSHI, "M", "bid", 4_000, size_change_e6=1))
    assert book.bids == {4_000: 10**18}


def test_the_best_price_moves_when_its_level_goes() -> None:
    book = _book([(4_000, 10), (3_900, 20)], [(4_500, 5)])
    book.apply(LevelChange(Venue.KALSHI, "M", "bid", 4_000, size_change_e6=-10))
    assert book.best_bid == 3_900


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ([(40, 10), (39, 20)], [(45, 5), (46, 6)], "equal"),
        ([(39, 20)], [(45, 5), (46, 6)], "fill"),  # the best bid was taken
        ([(40, 3), (39, 20)], [(45, 5), (46, 6)], "fill"),  # a part of it
        ([(40, 10), (39, 20)], [(46, 1)], "fill"),  # an ask and a part of the next
        ([(40, 10), (39, 21)], [(45, 5), (46, 6)], "unexplained"),  # a deeper level grew
        ([(39, 20)], [(46, 6)], "unexplained"),  # both sides
        ([(40, 10)], [(45, 5), (46, 6)], "unexplained"),  # a deeper level went
    ],
)
def test_the_difference_to_the_next_snapshot_is_classified(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], expected: str
) -> None:
    book = _book([(40, 10), (39, 20)], [(45, 5), (46, 6)])
    assert book.differs_by(_snapshot(bids, asks)) == expected


@given(st.lists(st.tuples(st.sampled_from(["bid", "ask"]), st.integers(1, 30), st.integers(0, 5)), max_size=60))
def test_the_best_prices_are_those_of_the_levels(changes: list[tuple[str, int, int]]) -> None:
    book = Book()
    for side, price, size in changes:
        book.apply(LevelChange(Venue.POLYMARKET, "M", side, price, size_after_e6=size))  # type: ignore[arg-type]
        assert book.best_bid == max(book.bids, default=None)
        assert book.best_ask == min(book.asks, default=None)
        assert all(book.bids.values())
        assert all(book.asks.values())
