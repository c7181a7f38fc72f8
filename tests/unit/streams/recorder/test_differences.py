"""What an unexplained book looks like."""

from __future__ import annotations

import pytest

from streams.market.identity import Side
from streams.recorder.rebuild.differences import LevelSizes, difference, remark

BEFORE: dict[tuple[Side, int], int] = {("bid", 4800): 10, ("bid", 4700): 20, ("ask", 5200): 5, ("ask", 5300): 30}


def changed(**levels: int) -> dict[tuple[Side, int], int]:
    """BEFORE with levels set, written as bid4800=0."""
    after = dict(BEFORE)
    for name, size in levels.items():
        side: Side = "bid" if name.startswith("bid") else "ask"
        after[side, int(name[3:])] = size
    return {level: size for level, size in after.items() if size}


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (changed(ask5200=0, bid5200=40), "fill_with_rest"),
        (changed(ask5200=0, bid5250=40), "fill_with_rest"),
        (changed(bid4800=0, ask4800=7), "fill_with_rest"),
        (changed(ask5200=0, bid5100=40), "other"),
        (changed(ask5200=3, bid5200=40), "other"),
        (changed(ask5300=0, bid5300=40), "other"),
        (changed(ask5200=0, bid4800=0), "fill_on_both_sides"),
        (changed(ask5200=2, bid4800=1), "fill_on_both_sides"),
        (changed(ask5200=9), "other"),
        (changed(bid4600=9, ask5400=9), "other"),
    ],
)
def test_an_unexplained_book_is_read_by_what_was_consumed_and_what_was_added(after: LevelSizes, expected: str) -> None:
    assert difference(BEFORE, after) == "unexplained"
    assert remark(BEFORE, after) == expected


def test_a_plain_fill_is_a_fill_whatever_it_might_look_like() -> None:
    assert difference(BEFORE, changed(ask5200=2)) == "fill"
    assert difference(BEFORE, dict(BEFORE)) == "equal"
