"""When a token's subscription counts as dead: its book moves over REST and the socket says nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from streams.market.events import BookSnapshot
from streams.market.identity import Venue
from streams.venues.polymarket.stream.probe import rest_probe
from streams.venues.polymarket.stream.silence import BookMark, TokenSilence

SECOND = 1_000_000_000
FIRST, MOVED = BookMark("t", 1_000, 1), BookMark("t", 2_000, 2)


def watched() -> TokenSilence:
    silence = TokenSilence(60 * SECOND, 15 * SECOND)
    silence.follow(["t"], 0)
    return silence


def test_a_book_that_moves_while_its_token_is_silent_is_stale_after_some_patience() -> None:
    silence = watched()
    assert silence.due(59 * SECOND, 10) == []
    assert silence.due(60 * SECOND, 10) == ["t"]
    silence.read(FIRST, 60 * SECOND)
    silence.read(MOVED, 70 * SECOND)
    assert silence.stale(84 * SECOND) == []
    assert silence.stale(85 * SECOND) == ["t"]
    assert silence.stale(86 * SECOND) == []
    assert silence.due(86 * SECOND, 10) == []


def test_a_frame_within_the_patience_clears_the_token() -> None:
    silence = watched()
    silence.read(FIRST, 60 * SECOND)
    silence.read(MOVED, 70 * SECOND)
    silence.heard("t", 84 * SECOND)
    assert silence.stale(200 * SECOND) == []


def test_a_quiet_market_is_not_a_dead_one() -> None:
    silence = watched()
    for at in range(60, 600, 10):
        # The time of the answer moves although the levels do not.
        silence.read(BookMark("t", at, 1), at * SECOND)
    assert silence.stale(1_000 * SECOND) == []


def test_what_rest_showed_before_the_silence_or_from_its_cache_counts_for_nothing() -> None:
    silence = watched()
    silence.read(FIRST, 30 * SECOND)
    silence.read(MOVED, 61 * SECOND)
    silence.read(BookMark("t", 1_500, 3), 62 * SECOND)
    assert silence.stale(300 * SECOND) == []


def test_silent_tokens_take_turns_and_forgotten_ones_are_left_alone() -> None:
    silence = TokenSilence(SECOND, SECOND)
    silence.follow(["a", "b", "c"], 0)
    assert silence.due(10 * SECOND, 2) == ["a", "b"]
    assert silence.due(11 * SECOND, 2) == ["c", "a"]
    silence.forget(["a", "unknown"])
    silence.heard("c", 12 * SECOND)
    silence.heard("unknown", 12 * SECOND)
    silence.read(BookMark("unknown", 1, 1), 20 * SECOND)
    assert silence.due(12 * SECOND, 2) == ["b"]


def test_a_probe_tells_books_apart_by_their_levels_and_not_by_the_time_of_the_answer() -> None:
    class Client:
        answers = 0

        async def books(self, token_ids: Sequence[str]) -> list[BookSnapshot]:
            self.answers += 1
            bids = [(4_000, 1_000_000 if self.answers < 3 else 2_000_000)]
            return [
                BookSnapshot(
                    Venue.POLYMARKET, "M", bids, [], self.answers, venue_hash="x", payload={"asset_id": token}
                )
                for token in token_ids
            ]  # fmt: skip

    async def main() -> None:
        probe = rest_probe(Client())
        (first,), (same,), (moved,) = [await probe(["t"]) for _ in range(3)]
        assert (first.token, first.timestamp_ms, same.timestamp_ms) == ("t", 1, 2)
        assert first.digest == same.digest != moved.digest

    asyncio.run(main())
