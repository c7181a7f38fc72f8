"""One gap is one episode, whatever flickers in it; the clock is the test's."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestration.opportunities.episodes import (
    Episode,
    Level,
    OwnOrder,
    Step,
    Taken,
    Waits,
    taken_of,
    unseen_e6,
    without,
)
from streams.market.trading import ExecutionState

MS = 1_000_000
LAG = 1_000 * MS
WAITS = Waits(300 * MS, 2_000 * MS, LAG)
NEVER = (0, 0)


class Gap:
    """Drives episodes as the monitor does: a new one begins where there is none and the edge is enough."""

    def __init__(self) -> None:
        self.episode: Episode | None = None
        self.now_ms = 0
        self.steps: list[Step] = []

    def see(self, level: Level, for_ms: int, quoted_ns: Sequence[int] = NEVER) -> list[Step]:
        """Show a level for a time, looked at each 100 ms; returns what there was to do."""
        begin = len(self.steps)
        for _ in range(for_ms // 100):
            if self.episode is None:
                if level == "entry":
                    self.episode = Episode(self.now_ms * MS)
            else:
                step = self.episode.see(level, self.now_ms * MS, quoted_ns, WAITS)
                if step in ("close", "taken"):
                    self.episode = None
                self.steps.append(step)
            self.now_ms += 100
        return self.steps[begin:]

    def take(self, taken: Taken) -> None:
        assert self.episode is not None
        self.episode.taken, self.episode.last_fill_ns = taken, self.now_ms * MS


def test_a_gap_that_flickers_for_24_minutes_is_one_episode() -> None:
    gap = Gap()
    for _ in range(1_440):
        gap.see("entry", 600)
        gap.see("below", 400)
    assert gap.steps.count("open") == 1
    assert gap.steps.count("close") == 0


@pytest.mark.parametrize("away", ["below", "unknown"])
def test_a_flickering_gap_that_was_bought_and_unwound_is_taken_once(away: Level) -> None:
    """The books move on past our fills all the time; only an edge that is seen to be gone arms again."""
    gap, losses = Gap(), 0
    for _ in range(1_440):
        quoted = (gap.now_ms * MS, gap.now_ms * MS)
        if "open" in gap.see("entry", 600, quoted):
            gap.take("lost")
            losses += 1
        gap.see(away, 400, quoted)
    assert losses == 1


def test_an_edge_opens_after_the_least_time_and_a_shorter_one_never() -> None:
    gap = Gap()
    assert "open" not in gap.see("entry", 300)
    assert gap.see("below", 100) == ["close"]
    assert gap.see("entry", 500) == ["none", "none", "open", "held"]


def test_an_edge_that_is_gone_for_two_seconds_ends_the_episode_and_the_next_one_opens() -> None:
    gap = Gap()
    gap.see("entry", 1_000)
    assert gap.see("below", 2_000) == ["dip", *["none"] * 19]
    assert gap.see("below", 100) == ["close"]
    assert gap.see("entry", 500)[-2:] == ["open", "held"]


def test_a_return_within_two_seconds_begins_the_time_anew() -> None:
    gap = Gap()
    gap.see("entry", 1_000)
    gap.see("below", 1_900)
    assert gap.see("held", 100) == ["held"]
    assert "close" not in gap.see("below", 2_000)


def test_a_book_that_is_not_live_ends_an_episode_in_which_nothing_was_bought() -> None:
    gap = Gap()
    gap.see("entry", 1_000)
    assert gap.see("unknown", 2_100)[-1] == "close"


@pytest.mark.parametrize("taken", ["under_way", "held", "lost"])
def test_a_book_that_is_not_live_proves_nothing_once_something_was_bought(taken: Taken) -> None:
    gap = Gap()
    gap.see("entry", 1_000)
    gap.take(taken)
    assert "close" not in gap.see("unknown", 60_000)
    assert "close" not in gap.see("below", 2_000)
    assert gap.see("below", 100) == ["close"]


def test_what_is_held_arms_again_once_both_books_have_moved_past_our_last_fill() -> None:
    gap = Gap()
    gap.see("entry", 1_000)
    gap.take("held")
    last = gap.now_ms * MS
    assert gap.see("entry", 300, (last + LAG + 1, last + LAG)) == ["held"] * 3
    assert gap.see("entry", 100, (last + LAG + 1, last + LAG + 1)) == ["taken"]
    assert gap.see("entry", 500, (last + LAG + 1, last + LAG + 1))[-2:] == ["open", "held"]


def test_an_execution_under_way_keeps_its_episode() -> None:
    gap = Gap()
    gap.see("entry", 1_000)
    gap.take("under_way")
    later = gap.now_ms * MS + 2 * LAG
    assert set(gap.see("entry", 30_000, (later, later))) == {"held"}


def test_what_is_ours_is_taken_off_the_best_levels() -> None:
    levels = [(4_500, 10), (4_600, 20), (4_700, 5)]
    assert without(levels, 0) == levels
    assert without(levels, 4) == [(4_500, 6), (4_600, 20), (4_700, 5)]
    assert without(levels, 12) == [(4_600, 18), (4_700, 5)]
    assert without(levels, 35) == without(levels, 99) == []


def order(state: str, filled: int = 0, in_flight: int = 0, *, is_buy: bool = True, at: int = 5) -> OwnOrder:
    return OwnOrder(1, ExecutionState(state), "kalshi:K", "yes", is_buy, in_flight, filled, at if filled else 0)


@pytest.mark.parametrize(
    ("orders", "taken"),
    [
        ([], "nothing"),
        ([order("FLAT")], "nothing"),
        ([order("OPENING", in_flight=5)], "under_way"),
        ([order("HEDGED", 5), order("PLANNED")], "under_way"),
        ([order("HEDGED", 5), order("FLAT")], "held"),
        ([order("FLAT", 5), order("FLAT", 5, is_buy=False)], "lost"),
        ([order("HEDGED", 5), order("FLAT", 5)], "lost"),
        ([order("ESCALATED", 5)], "lost"),
    ],
)
def test_what_executions_came_to(orders: list[OwnOrder], taken: Taken) -> None:
    assert taken_of(orders)[0] == taken


def test_what_is_in_flight_or_filled_is_ours_until_the_book_shows_it() -> None:
    orders = [order("OPENING", 7, 3), order("FLAT", 4, is_buy=False), order("HEDGED", 2, at=9)]
    assert unseen_e6(orders, "kalshi:K", "yes", 5) == 7 + 3 + 2
    assert unseen_e6(orders, "kalshi:K", "yes", 6) == 3 + 2
    assert unseen_e6(orders, "kalshi:K", "yes", 10) == 3
    assert unseen_e6(orders, "kalshi:K", "no", 0) == unseen_e6(orders, "kalshi:J", "yes", 0) == 0
